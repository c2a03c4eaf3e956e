"""A PostgreSQL of Debian's as the cluster: it speaks TLS only, with a certificate that a CA of our own has signed."""

from __future__ import annotations

import datetime
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from etl_manager.targets import emulated_aws
from etl_manager.targets.postgres import server_account
from ssm_emulator import SandboxHost, SsmEmulator
from tests.support import forks

ROOT = Path(__file__).parents[3]
REGION = "eu-central-1"
RIGHT_STACK, WRONG_STACK = emulated_aws.CLUSTER_STACK, "ByAddress"
"""One stack names the cluster as its certificate does, the other by an address that is not in it."""


@dataclass
class Authority:
    """A CA that can sign."""

    name: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        """Make its own certificate."""
        self.certificate = self._sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None))

    def server(self, host: str) -> tuple[bytes, bytes]:
        """Return key and certificate of a server called *host*, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(host, key, x509.SubjectAlternativeName([x509.DNSName(host)]))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private, pem(certificate)

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=False)
            .sign(self.key, hashes.SHA256())
        )


def pem(certificate: x509.Certificate) -> bytes:
    """Return *certificate* as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="session")
def debian() -> Path:
    """The folder of Debian's server programs; these tests are skipped where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("no PostgreSQL server with TLS is installed: apt-get install postgresql-15")
    return found[-1].parent


@dataclass
class Cluster:
    """A server that takes TLS connections only."""

    bin_dir: Path
    port: int
    password: str
    ca: Path
    host: str = "localhost"
    user: str = "postgres"

    def connect(self, database: str = "postgres", **words: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a superuser's connection."""
        return psycopg.connect(
            host="localhost", port=self.port, user="postgres", password=self.password, dbname=database,
            sslmode="verify-full", sslrootcert=str(self.ca), autocommit=True, **words,
        )  # fmt: skip


@pytest.fixture(scope="session")
def cluster(debian: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The server; its certificate is for ``localhost``."""
    home = Path(tempfile.mkdtemp(prefix="etl-manager-tls-", dir="/var/tmp"))
    account = server_account(home)
    as_server = account.popen() if account else {}
    authority = Authority("the cluster's CA")
    ca = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.write_bytes(pem(authority.certificate))
    password = secrets.token_urlsafe(20)
    key, certificate = authority.server("localhost")
    for name, content in (("password", password.encode()), ("server.key", key), ("server.crt", certificate)):
        (home / name).write_bytes(content)
        (home / name).chmod(0o600)
        if account:
            os.chown(home / name, account.uid, account.gid)
    (home / "data").mkdir(mode=0o700)
    home.chmod(0o755)
    if account:
        os.chown(home / "data", account.uid, account.gid)
    subprocess.run(
        [debian / "initdb", "-D", home / "data", "-U", "postgres", f"--pwfile={home / 'password'}", "--auth=scram-sha-256",
         "--encoding=UTF8", "--locale=C", "--no-sync"],
        check=True, capture_output=True, cwd="/", **as_server,
    )  # fmt: skip
    # An IAM token reaches Aurora as a password in the TLS channel, not by SCRAM.
    (home / "data/pg_hba.conf").write_text(
        "hostssl all iam_user all password\nhostssl all all all scram-sha-256\nhostnossl all all all reject\n"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "listen_addresses": "localhost", "port": port, "unix_socket_directories": "", "ssl": "on", "fsync": "off",
        "ssl_cert_file": home / "server.crt", "ssl_key_file": home / "server.key",
    }  # fmt: skip
    process = subprocess.Popen(
        [debian / "postgres", "-D", home / "data", *(f"--{name}={value}" for name, value in settings.items())],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **as_server,
    )  # fmt: skip
    found = Cluster(debian, port, password, ca)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                found.connect().close()
                break
            except psycopg.OperationalError:
                assert process.poll() is None and time.monotonic() < deadline  # noqa: PT018
                time.sleep(0.05)
        yield found
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(home)


@dataclass
class Environment:
    """A project, and an AWS that knows the cluster."""

    project: Path
    aws: SsmEmulator
    cluster: Cluster
    root: Path

    @property
    def variables(self) -> dict[str, str]:
        """What the shell of the operator holds."""
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "AWS_ENDPOINT_URL": self.aws.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.aws.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.aws.secret_access_key,
        }

    def configure(self, *, by_address: bool = False, bundle: bytes | None = None, **aurora: Any) -> Path:
        """Write config.json with *aurora*; *bundle* is the CA bundle, the cluster's own by default."""
        folder = self.project / "certs"
        folder.mkdir(exist_ok=True)
        (folder / "bundle.pem").write_bytes(bundle or self.cluster.ca.read_bytes())
        stack = WRONG_STACK if by_address else RIGHT_STACK
        document = {
            "project": {"region": REGION},
            "aurora": {"stackName": stack, "caBundle": "certs/bundle.pem"} | aurora,
            "bastion": {"autoTransfer": {"excludePatterns": ["certs/", "*.pem"]}},
        }
        path = self.project / "config.json"
        path.write_text(json.dumps(document))
        return path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a module of Python's in the project."""
        return forks.run(*words, cwd=self.project, env=self.variables)

    def features(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``pytest features/``."""
        return self.run("pytest", "features/", "--target", "aws", "-p", "no:cacheprovider", *words)

    def psql(self, query: str) -> subprocess.CompletedProcess[str]:
        """Ask the cluster through the bastion."""
        command = f'psql -d postgres -Atc "{query}"'
        return self.run("etl_manager", "-p", "aurora-postgresql", "--bastion-command", command)

    def client(self, name: str) -> Any:
        """Return a boto3 client of this AWS."""
        return boto3.client(
            name,
            endpoint_url=self.aws.endpoint_url,
            region_name=REGION,
            aws_access_key_id=self.aws.access_key_id,
            aws_secret_access_key=self.aws.secret_access_key,
        )


@pytest.fixture(scope="session")
def environment(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """The suite, its bastion with Debian's psql, and the cluster in CloudFormation by name and by address."""
    root = tmp_path_factory.mktemp("bastion")
    project = tmp_path_factory.mktemp("project")
    for name in ("scripts", "sql", "steps", "features"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("etl_manager", "ssm_emulator"):
        (project / name).symlink_to(ROOT / name)
    for name in ("conftest.py", "pytest.ini"):
        shutil.copy2(ROOT / name, project)
    aws = SsmEmulator({emulated_aws.DEFAULT_INSTANCE: SandboxHost(root, [cluster.bin_dir / "psql"])}, region=REGION)
    aws.start()
    found = Environment(project, aws, cluster, root)
    try:
        emulated_aws.seed(aws, cluster)
        address = {"DBClusterEndpoint": f"127.0.0.1:{cluster.port}", "DBSecretName": emulated_aws.SECRET}
        emulated_aws.add_stack(aws, WRONG_STACK, address)
        yield found
    finally:
        aws.stop()


@pytest.fixture(scope="session")
def stranger() -> bytes:
    """The certificate of a CA that has nothing to do with the cluster."""
    return pem(Authority("another CA").certificate)


@pytest.fixture
def output_of() -> Callable[[str], str]:
    """Return a function that cuts a command's output out of what the orchestrator printed."""
    return lambda stdout: re.split(r"\[INFO\] === (?:COMMAND OUTPUT|EXECUTION SUMMARY) ===\n", stdout)[1]
