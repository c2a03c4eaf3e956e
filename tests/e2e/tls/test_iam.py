"""aurora.credentials iam: a token in place of the password, sealed the same way, and renewed in a long run."""

from __future__ import annotations

import contextlib
import secrets
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from psycopg import sql

from etl_manager import config
from etl_manager.aws import discovery
from etl_manager.aws.discovery import TOKEN_RENEWAL_SECONDS, TokenCredentials
from etl_manager.errors import DiscoveryError
from etl_manager.progress import NullProgress
from etl_manager.provisioning.startup import open_bastion
from etl_manager.targets import TargetOptions
from etl_manager.targets.aws import AwsTarget

WHO = "sql/aurora/verification/who.sql"


class Tokens:
    """An RDS client whose tokens are what the cluster takes as a password, as only Aurora could check a real one."""

    meta = SimpleNamespace(endpoint_url="https://rds.eu-central-1.amazonaws.com")

    def __init__(self, cluster) -> None:
        self.cluster = cluster
        self.made = []
        self.asked = []

    def generate_db_auth_token(self, **asked: object):
        """Make one, as boto3's own function would sign one."""
        self.asked.append(asked)
        self.made.append(f"localhost:1/?Action=connect&{secrets.token_urlsafe(1000)}")
        with self.cluster.connect() as connection:
            connection.execute(sql.SQL("ALTER ROLE iam_user PASSWORD {}").format(self.made[-1]))
        return self.made[-1]


class NoSecrets:
    """A client that has an address, and is asked for nothing."""

    meta = SimpleNamespace(endpoint_url="https://secretsmanager.eu-central-1.amazonaws.com")

    def get_secret_value(self, **_: object) -> None:
        """Refuse."""
        pytest.fail("the secret is not needed")


class Target(AwsTarget):
    """The aws target, with those tokens, and with no permission to read secrets."""

    def __init__(self, tokens) -> None:
        super().__init__(TargetOptions(region="eu-central-1"))
        self.tokens = tokens

    def client(self, service, *, attempts=None):
        """Return AWS's own client, but for the two services."""
        if service == "secretsmanager":
            return NoSecrets()
        return self.tokens if service == "rds" else super().client(service, attempts=attempts)


@pytest.fixture
def tokens(cluster):
    with cluster.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS iam_user")
        connection.execute("CREATE ROLE iam_user LOGIN")
    return Tokens(cluster)


@pytest.fixture
def opened(environment, tokens, monkeypatch):
    """Discovery's result and an open bastion, with the configuration ``iam``."""
    for name, value in environment.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    path = environment.configure(sslmode="verify-full", credentials="iam", masterUsername="iam_user")
    (environment.project / WHO).write_text("SELECT current_user;\n")
    loaded = config.load(path, environment.project)
    found, bastion = open_bastion(loaded, Target(tokens), skip_copy=False, progress=NullProgress(), warn=print)
    yield found, bastion
    bastion.close()
    (environment.project / WHO).unlink()


def who(opened):
    found, bastion = opened
    _, [step] = bastion.run_sql([WHO], found.connection, "who")
    return step.exit_code, step.stdout


@pytest.fixture
def database(cluster):
    """The tenants' database, which the SQL file of these tests connects to."""
    with cluster.connect() as connection, contextlib.suppress(psycopg.errors.DuplicateDatabase):
        connection.execute("CREATE DATABASE multitenant_analytics")


def test_a_token_connects_and_is_sealed(opened, database, tokens, environment):
    """The bastion connects as the configured user; SSM's history has no token, and the secret was not read."""
    status, stdout = who(opened)
    assert status == 0
    assert "iam_user" in stdout
    assert tokens.asked == [
        {"DBHostname": "localhost", "Port": tokens.cluster.port, "DBUsername": "iam_user", "Region": "eu-central-1"}
    ]
    history = str(environment.client("ssm").list_commands()["Commands"])
    assert tokens.made[0] not in history
    assert tokens.made[0][-60:] not in history


def test_a_token_is_kept_while_it_is_young_and_renewed_when_it_is_old(opened, database, tokens):
    """After ten minutes the next command brings a new one; the cluster takes only the latest."""
    found, _ = opened
    now = [1000.0]
    found.connection.credentials._clock = lambda: now[0]
    assert who(opened)[0] == 0
    now[0] += TOKEN_RENEWAL_SECONDS - 1
    assert who(opened)[0] == 0
    assert len(tokens.made) == 1
    now[0] += 1
    assert who(opened)[0] == 0
    assert len(tokens.made) == 2
    assert tokens.made[0] != tokens.made[1]


def test_an_old_token_is_refused_by_the_cluster(opened, database, tokens, cluster):
    """The twin of the above: without the renewal the run would fail, as it does here, with exit status 2."""
    assert who(opened)[0] == 0
    with cluster.connect() as connection:
        connection.execute("ALTER ROLE iam_user PASSWORD 'the next token'")
    assert who(opened)[0] == 2


def test_a_clock_that_was_set_back_makes_a_new_token():
    """Its age cannot be known then."""
    now, made = [1000.0], []
    credentials = TokenCredentials("u", lambda: made.append(1) or f"token-{len(made)}", lambda: now[0])
    first = credentials.current()
    assert credentials.current() is first
    now[0] = 10.0
    assert credentials.current() is not first


def test_the_token_is_what_rds_documents(environment, monkeypatch):
    """A presigned URL without its scheme, good for 15 minutes, for this host, port, user and region."""
    for name, value in environment.variables.items():
        monkeypatch.setenv(name, value)
    client = AwsTarget(TargetOptions(region="eu-central-1")).client("rds")
    credentials = discovery.iam_credentials(client, "cluster.example", 6543, "iam_user", "eu-central-1")
    token = credentials.current().password
    parts = urlsplit(f"https://{token}")
    query = parse_qs(parts.query)
    assert (parts.hostname, parts.port) == ("cluster.example", 6543)
    assert query["Action"] == ["connect"]
    assert query["DBUser"] == ["iam_user"]
    assert query["X-Amz-Expires"] == ["900"]
    assert "/eu-central-1/rds-db/aws4_request" in query["X-Amz-Credential"][0]
    assert token not in repr(credentials.current())


def test_missing_aws_credentials_are_told(environment, monkeypatch, tmp_path):
    """A token is signed with the operator's credentials: without any, the error says so."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    client = AwsTarget(TargetOptions(region="eu-central-1")).client("rds")
    credentials = discovery.iam_credentials(client, "cluster.example", 6543, "iam_user", "eu-central-1")
    with pytest.raises(DiscoveryError, match="RDS could not be called: Unable to locate credentials"):
        credentials.current()
