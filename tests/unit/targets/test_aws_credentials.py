"""Credentials of every kind, good and broken: one message, nothing of them shown, and registered once they are found."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from botocore.credentials import SSOProvider
from botocore.exceptions import ClientError
from botocore.tokens import SSOTokenProvider

from etl_manager import redaction
from etl_manager.aws.errors import aws_errors
from etl_manager.errors import DiscoveryError, TargetError
from etl_manager.targets import TargetOptions, open_target

KEY = "KEYkeyKEYkey+KEYkeyKEYkey/0001"
TOKEN = "TOKENtoken/TOKENtoken+0002=="
PASSWORD = 'pa"ss\\wörd\u20ac0003'
CREDENTIALS = {"Version": 1, "AccessKeyId": "ASIAEXAMPLEEXAMPLE34", "SecretAccessKey": KEY, "SessionToken": TOKEN}


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A home of its own, with a program that prints credentials, and nothing of the machine's."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    printed = tmp_path / "credentials.json"
    printed.write_text(json.dumps({**CREDENTIALS, "Expiration": "2099-01-01T00:00:00Z"}))
    (tmp_path / "two-lines.json").write_text(printed.read_text() + "\nUpdated the profile\n")
    cache = tmp_path / ".aws/sso/cache" / f"{hashlib.sha1(b'cut').hexdigest()}.json"  # noqa: S324 - botocore's name for it
    cache.parent.mkdir(parents=True)
    for provider in (SSOTokenProvider, SSOProvider):  # botocore looks for the home once, when it is imported
        monkeypatch.setattr(provider, "_SSO_TOKEN_CACHE_DIR", str(cache.parent))
    cache.write_text(json.dumps({"accessToken": TOKEN, "expiresAt": "2099-01-01T00:00:00Z"})[:60])
    (tmp_path / "config").write_text(f"""
[profile process]
credential_process = /bin/cat {printed}
[profile static]
aws_access_key_id = AKIAAAAAAAAAAAAAAAAA
aws_secret_access_key = {KEY}
aws_session_token = {TOKEN}
[profile second-line]
credential_process = /bin/cat {tmp_path}/two-lines.json
[profile badjson]
credential_process = /bin/echo Please log in at https://login.example.com first
[profile noprogram]
credential_process = /opt/no-such/helper --json
[profile unversioned]
credential_process = /bin/echo {{}}
[profile nosource]
role_arn = arn:aws:iam::123456789012:role/operator
source_profile = nobody
[profile halfkeys]
aws_access_key_id = AKIAAAAAAAAAAAAAAAAA
[profile typo]
aws_access_key_id = AKIAAAAAAAAAAAAAAAAA
aws_secret_acces_key = {KEY}
[profile sso]
sso_session = cut
sso_account_id = 123456789012
sso_role_name = operator
[sso-session cut]
sso_region = us-east-1
sso_start_url = https://example.awsapps.com/start
""")
    return tmp_path


def target(profile=None):
    return open_target("aws", TargetOptions(region="eu-west-1", profile=profile))


@pytest.mark.parametrize("profile", ["process", "static"])
def test_what_is_resolved_is_registered(profile):
    """From whatever provider: key and token are masked before the first call."""
    target(profile)
    assert redaction.redact(f"{KEY} {TOKEN}") == "******** ********"


BROKEN = {
    "second-line": "not JSON",
    "badjson": "not JSON",
    "noprogram": "/opt/no-such/helper",
    "unversioned": "Version",
    "nosource": '"nobody"',
    "halfkeys": "missing: aws_secret_access_key",
    "typo": "missing: aws_secret_access_key",
    "sso": "KeyError",
}


@pytest.mark.parametrize("profile", BROKEN)
def test_broken_credentials_are_one_message(profile):
    """It says what is wrong and what to do, and neither it nor what led to it quotes what was found."""
    with pytest.raises(TargetError, match="no AWS credentials") as caught:
        target(profile)
    assert BROKEN[profile] in str(caught.value)
    assert "--aws-profile" in caught.value.hint
    assert caught.value.__cause__ is None
    assert "KEYkey" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AWS_PROFILE", "nobody", "nobody"),
        ("AWS_ENDPOINT_URL", "nonsense", "nonsense"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:99999", "Port out of range"),
        ("AWS_ENDPOINT_URL_RDS", "http://[::1", "IPv6"),
        ("AWS_DEFAULTS_MODE", "nonsense", "nonsense"),
    ],
)
def test_settings_that_botocore_refuses_are_one_message(monkeypatch, name, value, told):
    """The user's own variables are no defect of the suite."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv(name, value)
    with pytest.raises(TargetError, match=told):
        target().client("ssm" if name != "AWS_ENDPOINT_URL_RDS" else "rds")


def test_malformed_configuration_is_one_message(home):
    """So is a file of AWS's that cannot be read."""
    (home / "config").write_text("[default\nregion")
    with pytest.raises(TargetError, match="Unable to parse config file"):
        target()


class Answers(BaseHTTPRequestHandler):
    """Secrets Manager, STS and S3 in one: a secret, the credentials of a role."""

    def do_POST(self):
        """Answer."""
        words = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if "AssumeRole" in words:
            role = f"<AccessKeyId>ASIA2</AccessKeyId><SecretAccessKey>{KEY}</SecretAccessKey><SessionToken>{TOKEN}</SessionToken>"
            body = (
                "<AssumeRoleResponse><AssumeRoleResult><Credentials>"
                f"{role}<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
            )
        else:
            secret = json.dumps({"username": "postgres", "password": PASSWORD}, ensure_ascii="ascii" in words)
            body = json.dumps({"Name": "s", "SecretString": secret}, ensure_ascii="ascii" in words)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_words: object):
        """Say nothing."""


@pytest.fixture
def endpoint(monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    yield url
    server.shutdown()
    server.server_close()


def logged(caplog, act):
    """Return all that was logged while *act* ran, in the words of a handler that knows no filter."""
    undo = redaction.install()
    try:
        with caplog.at_level(logging.DEBUG):
            act()
    finally:
        undo()
    return caplog.text


@pytest.mark.parametrize("name", ["ascii", "as it is"])
def test_a_secret_is_masked_in_the_log_of_its_own_answer(endpoint, caplog, name):
    """The client logs the body as it came, before anybody has read the password in it."""
    secrets = target("static").client("secretsmanager")
    text = logged(caplog, lambda: secrets.get_secret_value(SecretId=name))
    assert "Response body" in text
    for piece in ("0003", "ss\\\\", KEY[:13], TOKEN[:10]):
        assert piece not in text, text[text.index(piece) - 200 :][:400]


def test_a_role_is_masked_in_the_log_of_its_own_answer(endpoint, caplog, home):
    """The client that botocore makes for itself, to assume the role, is watched too."""
    with (home / "config").open("a") as config:
        config.write("[profile role]\nrole_arn = arn:aws:iam::123456789012:role/operator\nsource_profile = source\n")
        config.write("[profile source]\naws_access_key_id = AKIAA\naws_secret_access_key = SOURCEsource0004\n")
    text = logged(caplog, lambda: target("role").client("ssm"))
    assert "AssumeRole" in text
    for piece in (KEY[:13], TOKEN[:10], "SOURCEsource"):
        assert piece not in text, text[text.index(piece) - 200 :][:400]


def test_credentials_that_cannot_be_renewed_are_one_message(endpoint, home, monkeypatch):
    """A program that breaks later, while a run goes on, is told by the call that needed it."""
    printed = home / "credentials.json"
    printed.write_text(json.dumps({**CREDENTIALS, "Expiration": "2000-01-01T00:00:00Z"}))
    monkeypatch.setattr("botocore.credentials.RefreshableCredentials.refresh_needed", lambda *_, **__: broken)
    broken = False
    secrets = target("process").client("secretsmanager")
    printed.write_text("not logged in")
    broken = True
    with (
        pytest.raises(DiscoveryError, match="not JSON") as caught,
        aws_errors("Secrets Manager", "GetSecretValue", "s"),
    ):
        secrets.get_secret_value(SecretId="s")
    assert "aws sso login" in caught.value.hint


@pytest.mark.parametrize(
    "code",
    [
        "RequestTimeTooSkewed",
        "RequestExpired",
        "RequestInTheFuture",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    ],
)
def test_clock_that_is_wrong_is_named(code):
    """Whatever a service calls a request of another time: the clock is what to look at."""
    with pytest.raises(DiscoveryError, match=code) as caught, aws_errors("STS", "GetCallerIdentity", "the account"):
        raise ClientError({"Error": {"Code": code, "Message": "Signature not yet current"}}, "GetCallerIdentity")
    assert "date -u" in caught.value.hint
