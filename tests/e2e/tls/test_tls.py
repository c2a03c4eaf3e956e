"""TLS to the cluster, up to verify-full: the CA bundle travels with the workspace, and what is wrong is told."""

from __future__ import annotations

import re

import pytest

from etl_manager import config
from etl_manager.bastion.workspace import build
from etl_manager.errors import ConfigError


def databases(cluster):
    with cluster.connect() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}


def test_features_are_proven_over_a_verified_connection(environment, cluster):
    """The suite with verify-full against a server that refuses all but TLS; what is repeated goes the same way."""
    environment.configure(sslmode="verify-full")
    done = environment.features("-q", "-m", "not idempotence")
    assert done.returncode == 0, done.stdout
    assert "multitenant_analytics" in databases(cluster)


def test_the_connection_is_encrypted(environment, output_of):
    """PostgreSQL itself says so."""
    environment.configure(sslmode="verify-full")
    done = environment.psql("SELECT ssl, version LIKE 'TLSv1%' FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert output_of(done.stdout) == "t|t\n", done.stderr


def test_a_wrong_authority_is_told(environment, stranger):
    """With verify-full a CA that did not sign the certificate ends the run, and says what to look at."""
    environment.configure(sslmode="verify-full", bundle=stranger)
    done = environment.features("--verify-only", "-k", "database")
    assert done.returncode == 1
    assert re.search(r"no connection to the database: .*certificate verify failed", done.stdout)
    assert "aurora.caBundle is certs/bundle.pem" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_wrong_host_name_is_told(environment):
    """With verify-full a certificate for another name ends the run; with verify-ca, its twin, the name does not count."""
    environment.configure(sslmode="verify-full", by_address=True)
    done = environment.features("--verify-only", "-k", "database")
    assert done.returncode == 1
    assert re.search(r'certificate for "localhost".* does not match host name "127\.0\.0\.1"', done.stdout)
    assert "must be a name of the certificate" in done.stdout
    environment.configure(sslmode="verify-ca", by_address=True)
    assert environment.psql("SELECT 1").returncode == 0


def test_without_tls_the_server_refuses(environment):
    """The server of these tests takes TLS only: that it let the others in means something."""
    environment.configure(sslmode="disable")
    done = environment.features("--verify-only", "-k", "database")
    assert done.returncode == 1
    assert "no encryption" in done.stdout
    assert "aurora.sslmode is disable" in done.stdout


def test_the_archive_carries_the_bundle(environment, stranger):
    """Whatever is excluded; and another bundle is another workspace."""
    first = build(config.load(environment.configure(sslmode="verify-full"), environment.project))
    second = build(config.load(environment.configure(sslmode="verify-full", bundle=stranger), environment.project))
    assert "certs/bundle.pem" in first.names
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("aurora", "bundle", "problem"),
    [
        ({"sslmode": "verify-full", "caBundle": None}, None, "aurora.caBundle: missing; sslmode verify-full"),
        ({"sslmode": "verify-ca", "caBundle": "certs/no.pem"}, None, "aurora.caBundle: no such file: certs/no.pem"),
        ({"sslmode": "verify-ca"}, b"\x30\x82\x01\x0a binary", "holds no certificate in PEM form"),
        ({"sslmode": "verify-ca"}, b"-----BEGIN PRIVATE KEY-----", "holds a private key"),
        ({"sslmode": "verify-ca", "caBundle": "../ca.pem"}, None, "must be a path inside the project"),
        ({"credentials": "iam"}, None, "aurora.sslmode: 'prefer' might send an IAM token in clear"),
        ({"credentials": "iam", "sslmode": "disable"}, None, "aurora.sslmode: 'disable' might send an IAM token"),
    ],
)
def test_what_cannot_be_is_told_before_anything_starts(environment, aurora, bundle, problem):
    """As every problem of the configuration: with its path."""
    path = environment.configure(bundle=bundle, **aurora)
    with pytest.raises(ConfigError) as caught:
        config.load(path, environment.project)
    assert problem in str(caught.value)
