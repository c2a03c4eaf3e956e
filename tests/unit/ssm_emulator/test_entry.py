"""Who gets in: requests signed with the keys of this run, from programs of this machine. All over real HTTP."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import botocore.session
import psutil
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from ssm_emulator import protocol

LIST = {"X-Amz-Target": "AmazonSSM.ListCommands", "Content-Type": "application/x-amz-json-1.1"}
SEND = LIST | {"X-Amz-Target": "AmazonSSM.SendCommand"}
TIME = "%Y%m%dT%H%M%SZ"


def signed(aws, *, headers=LIST, body=b"{}", service="ssm", region="eu-west-1", key="", secret="", token=None, signer=SigV4Auth, path="/", method="POST"):  # fmt: skip
    """Return a request of ours, signed by botocore."""
    request = AWSRequest(method, aws.endpoint_url + path, headers=dict(headers), data=body)
    request.headers["Host"] = aws.endpoint_url.removeprefix("http://")
    keys = Credentials(key or aws.access_key_id, secret or aws.secret_access_key, token)
    signer(keys, service, region).add_auth(request)
    return request


def call(request) -> tuple[int, str]:
    """Send a request as it stands, and return status and answer."""
    sent = urllib.request.Request(  # noqa: S310
        request.url, method=request.method, headers=dict(request.headers.items()), data=request.body or None
    )
    try:
        with urllib.request.urlopen(sent) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def raw(aws, text: str | bytes, wait: float = 20) -> str:
    """Send *text* over a connection, and return what comes back until the other side ends it."""
    address = urlsplit(aws.endpoint_url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.settimeout(wait)
        connection.sendall(text if isinstance(text, bytes) else text.encode())
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while block := connection.recv(65536):
                answer += block
    return answer.decode(errors="replace")


def test_signed_request_gets_in(bastion):
    """What botocore signs is answered: the refusals below are not for another reason."""
    assert call(signed(bastion.aws))[0] == 200
    assert call(signed(bastion.aws, token="some session's"))[0] == 200
    assert call(signed(bastion.aws, region="us-west-2"))[0] == 200


def change(**headers: str | None):
    def altered(request):
        for name, value in headers.items():
            del request.headers[name.replace("_", "-")]
            if value is not None:
                request.headers[name.replace("_", "-")] = value

    return altered


def authorization(pattern, by):
    """Change what the header Authorization says."""

    def altered(request):
        given = request.headers["Authorization"]
        changed = re.sub(pattern, by, given)
        assert changed != given
        change(Authorization=changed)(request)

    return altered


def tampered(request):
    request.data = b'{"MaxResults": 1}'


REFUSALS = {
    "unsigned": change(Authorization=None),
    "the key id alone": authorization("AWS4-HMAC-SHA256.*?Credential=([^/]+).*", r"AWS4-HMAC-SHA256 Credential=\1"),
    "no signature": authorization("[0-9a-f]{64}", ""),
    "a signature of zeros": authorization("[0-9a-f]{64}", "0" * 64),
    "a signature that is cut": authorization("([0-9a-f]{63})[0-9a-f]$", r"\1"),
    "a foreign key id": authorization("AKIA", "AKIB"),
    "another region": authorization("/eu-west-1/", "/us-east-1/"),
    "another service": authorization("/ssm/", "/sts/"),
    "another day": authorization("/20[0-9]{6}/", "/20200101/"),
    "another kind of scope": authorization("aws4_request", "aws5_request"),
    "no host signed": authorization("host;", ""),
    "the action not signed": authorization(";x-amz-target", ""),
    "another action": change(X_Amz_Target="AmazonSSM.SendCommand"),
    "another time": change(X_Amz_Date="20200101T000000Z"),
    "no time": change(X_Amz_Date=None),
    "a time that is none": change(X_Amz_Date="tomorrow"),
    "a token that was not signed": change(X_Amz_Security_Token="token"),
    "another body": tampered,
    "letters beyond ASCII": change(Authorization="AWS4-HMAC-SHA256 Credential=\xe9, SignedHeaders=host, Signature=\xe9"),
}  # fmt: skip


@pytest.mark.parametrize("altered", REFUSALS.values(), ids=REFUSALS)
def test_what_is_not_signed_as_it_stands_is_refused(bastion, altered):
    """Each of these is refused, with an answer a client understands, and has no effect."""
    request = signed(bastion.aws)
    altered(request)
    status, answer = call(request)
    assert status == 403
    assert json.loads(answer)["__type"] in {
        "InvalidSignatureException", "MissingAuthenticationToken", "UnrecognizedClientException",
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [{"secret": "wrong"}, {"key": "AKIAAAAAAAAAAAAAAAAA"}, {"service": "s3"}])
def test_a_signature_with_or_for_something_else_is_refused(bastion, wrong):
    """Other keys, and the right ones for another service than the action's."""
    status, _ = call(signed(bastion.aws, **wrong))
    assert status == 403


@pytest.mark.parametrize("service", ["ssm", "s3", "secretsmanager", "cloudformation", "rds", "ec2", "sts"])
def test_real_clients_of_every_service(bastion, service):
    """boto3's own requests get in with the right secret; with the key id and another secret none does."""
    ask = {
        "ssm": "list_commands", "s3": "list_buckets", "secretsmanager": "list_secrets", "ec2": "describe_instances",
        "cloudformation": "describe_stacks", "rds": "describe_db_clusters", "sts": "get_caller_identity",
    }[service]  # fmt: skip
    assert getattr(bastion.client(service), ask)()["ResponseMetadata"]["HTTPStatusCode"] == 200
    stranger = boto3.session.Session(botocore_session=botocore.session.Session()).client(
        service, endpoint_url=bastion.aws.endpoint_url, region_name="eu-west-1",
        aws_access_key_id=bastion.aws.access_key_id, aws_secret_access_key="guessed",
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    with pytest.raises(ClientError) as failed:
        getattr(stranger, ask)()
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert failed.value.response["Error"]["Code"] in {"InvalidSignatureException", "SignatureDoesNotMatch"}


@pytest.mark.parametrize("name", ["plain", "a b/c+d~e", "äöü/日本", "x?y=z&w#v", "double//slash/", "per%20cent"])
@pytest.mark.parametrize("config", [{}, {"signature_version": "s3v4"}], ids=["version 2", "version 4"])
def test_objects_of_any_name(bastion, name, config):
    """S3's paths are signed as they stand: put, listed, presigned and deleted under every name."""
    s3 = bastion.client("s3", **config)
    bucket = f"names-{hashlib.sha256(repr((name, config)).encode()).hexdigest()[:12]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=bucket, Key=name, Body=b"content")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=name)["Contents"]] == [name]
    address = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": name})
    assert urllib.request.urlopen(address).read() == b"content"  # noqa: S310
    s3.delete_object(Bucket=bucket, Key=name)


@pytest.mark.parametrize("config", [{}, {"signature_version": "s3v4"}], ids=["version 2", "version 4"])
@pytest.mark.parametrize(
    ("pattern", "by"),
    [
        ("two", "one"), ("Signature=..", "Signature=AA"), ("Expires=[0-9]+", "Expires=99999999999"),
        ("Expires=[0-9]+", "Expires=soon"), ("Expires=[0-9]+", ""), ("(Credential|KeyId)=AKIA", r"\1=AKIB"),
    ],
)  # fmt: skip
def test_a_presigned_address_is_good_for_what_was_signed(bastion, config, pattern, by):
    """Another object, a longer life, another key: refused."""
    s3 = bastion.client("s3", **config)
    with contextlib.suppress(ClientError):
        s3.create_bucket(Bucket="addresses", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for name in ("one", "two"):
        s3.put_object(Bucket="addresses", Key=name, Body=b"content")
    address = s3.generate_presigned_url("get_object", Params={"Bucket": "addresses", "Key": "two"})
    altered = re.sub(pattern, by, address, count=1)
    assert altered != address
    for sent, status in ((address, 200), (altered, 403)):
        assert call(AWSRequest("GET", sent))[0] == status


@pytest.mark.parametrize("config", [{}, {"signature_version": "s3v4"}], ids=["version 2", "version 4"])
def test_a_presigned_address_runs_no_command(bastion, config):
    """It is handed to the bastion: with it, and SSM's headers added, nobody sends a command, or puts an object."""
    address = bastion.client("s3", **config).generate_presigned_url(
        "get_object", Params={"Bucket": "addresses", "Key": "two"}
    )
    before = len(bastion.aws.sent_commands())
    for method, headers, body in (
        ("GET", SEND, b""),
        ("POST", SEND, b"{}"),
        ("POST", {}, b"Action=X"),
        ("PUT", {}, b"x"),
    ):
        assert call(AWSRequest(method, address, headers=headers, data=body))[0] == 403
    assert len(bastion.aws.sent_commands()) == before


def test_a_presigned_address_ends(bastion, monkeypatch):
    """After its seconds it is refused, by either version."""
    for config in ({}, {"signature_version": "s3v4"}):
        address = bastion.client("s3", **config).generate_presigned_url(
            "get_object", Params={"Bucket": "none", "Key": "x"}, ExpiresIn=60
        )
        now = time.time()
        with monkeypatch.context() as clock:
            clock.setattr(time, "time", lambda now=now: now + 50)
            assert call(AWSRequest("GET", address))[0] == 404
            clock.setattr(time, "time", lambda now=now: now + 70)
            assert call(AWSRequest("GET", address))[0] == 403


@pytest.mark.parametrize(("service", "skew"), [("ssm", 300), ("s3", 900)])
def test_the_clock_may_be_off_a_little(bastion, monkeypatch, service, skew):
    """AWS: five minutes, for S3 fifteen, to either side."""
    if service == "ssm":
        request = signed(bastion.aws)
    else:
        request = signed(bastion.aws, headers={}, body=b"", service="s3", signer=S3SigV4Auth, method="GET")
    now = time.time()
    for off, status in ((skew - 30, 200), (skew + 30, 403), (30 - skew, 200), (-30 - skew, 403)):
        with monkeypatch.context() as clock:
            clock.setattr(time, "time", lambda off=off: now + off)
            assert call(request)[0] == status, off


def test_a_presigned_call_of_another_service(bastion):
    """As for STS, whose presigned address tells others who one is: good as it stands, and not with another action."""
    path = "/?Action=GetCallerIdentity&Version=2011-06-15"
    request = signed(bastion.aws, headers={}, body=b"", service="sts", signer=SigV4QueryAuth, path=path, method="GET")
    assert call(AWSRequest("GET", request.url))[0] == 200
    assert call(AWSRequest("GET", request.url.replace("GetCallerIdentity", "GetSessionToken")))[0] == 403


def test_a_body_other_than_the_digest_in_a_header(bastion):
    """The digest is signed, the body must be its own; only S3's may go without a digest."""
    for service, digest in (("s3", hashlib.sha256(b"mine").hexdigest()), ("ssm", "UNSIGNED-PAYLOAD")):
        request = signed(bastion.aws, headers=LIST | {"X-Amz-Content-SHA256": digest}, service=service, body=b"theirs")
        assert call(request)[0] in {400, 403}


@pytest.mark.parametrize("origin", ["https://pages.example", "null", "http://127.0.0.1:80"])
def test_a_web_page_is_refused(bastion, origin):
    """A page that has the browser call a loopback port sends Origin, whatever else it knows."""
    assert call(signed(bastion.aws))[0] == 200
    assert call(signed(bastion.aws, headers=LIST | {"Origin": origin}))[0] == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("bucket.localhost:1", 200), ("127.0.0.1", 200), ("LOCALHOST:80", 200),
        ("rebound.example", 403), ("localhost.example", 403), ("127.0.0.1.example:80", 403), ("localhost@x.example", 403),
        ("[", 403), ("", 403), ("169.254.169.254", 403),
    ],
)  # fmt: skip
def test_the_name_it_is_called_by(bastion, host, status):
    """A foreign name that leads to the loopback address is a web page's way in; the signature alone is not asked."""
    request = AWSRequest("POST", bastion.aws.endpoint_url + "/", headers=LIST | {"Host": host}, data=b"{}")
    SigV4Auth(Credentials(bastion.aws.access_key_id, bastion.aws.secret_access_key), "ssm", "eu-west-1").add_auth(
        request
    )
    assert call(request)[0] == status


LENGTHS = ["-1", "x", "1e3", "0x10", "+5", "9" * 30, "1 2", "1,1", "\u00b2", "300000000", ""]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    "authorization",
    ["", "AWS4-HMAC-SHA256 Credential=A/20200101/r/s/aws4_request, SignedHeaders=host, Signature=" + "0" * 64],
)
def test_lengths_that_are_none(bastion, capfd, length, authorization):
    """Each has an answer, which is no failure of the server's, and nothing is printed."""
    text = f"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\nContent-Length: {length}\r\n\r\n"
    address = urlsplit(bastion.aws.endpoint_url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.settimeout(5)
        connection.sendall(text.encode("latin-1"))
        assert re.match(rb"HTTP/1.. (400|403|411|413) ", connection.recv(65536))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "text",
    [
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "GET http://[/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET /%zz%ff\xff HTTP/1.1\r\nHost: localhost\r\nAuthorization: \xff\r\n\r\n",
        "GET /?X-Amz-Credential=a/b&X-Amz-Date=\xff&AWSAccessKeyId=\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        "GET / HTTP/1.1\r\n" + "x: y\r\n" * 200 + "\r\n",
        "GET /" + "x" * 100_000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["chunked", "no address", "no host", "bytes", "query", "version", "TLS", "headers", "long"],
)
def test_requests_that_are_none(bastion, capfd, text):
    """Each has an answer of the kind 4xx or 505, and no traceback anywhere."""
    assert re.search(r"HTTP/1\.. (4\d\d|505) |Error code: (4\d\d|505)", raw(bastion.aws, text.encode("latin-1")))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"), (b"[" * 100_000, "SerializationException"), (b"\xff", "SerializationException"),
        (b"[]", "ValidationException"), (b"{}", "ValidationException"), (b'{"DocumentName": 5}', "ValidationException"),
        (b'{"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": "x"}}', "ValidationException"),
    ],
)  # fmt: skip
def test_signed_nonsense_has_an_answer(bastion, body, code):
    """AWS's model decides what a request is; boto3 looks before it sends, others do not."""
    status, answer = call(signed(bastion.aws, headers=SEND, body=body))
    assert (status, json.loads(answer)["__type"]) == (400, code)


@pytest.fixture
def service():
    """An emulator in a process of its own, whose memory and threads are its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ssm_emulator"], cwd=Path(__file__).parents[3], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    exports = {}
    for line in process.stdout:
        if line == "ready\n":
            break
        name, _, value = line.removeprefix("export ").strip().partition("=")
        exports[name] = value
    yield process, exports["AWS_ENDPOINT_URL"], exports
    process.terminate()
    process.wait(30)


def listing(exports):
    """Call as one who knows the keys."""
    client = boto3.session.Session(botocore_session=botocore.session.Session()).client(
        "ssm", endpoint_url=exports["AWS_ENDPOINT_URL"], region_name=exports["AWS_DEFAULT_REGION"],
        aws_access_key_id=exports["AWS_ACCESS_KEY_ID"], aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    return client.list_commands()["Commands"]


@pytest.mark.parametrize("scope", ["", "ssm", "s3"])
def test_a_long_body_of_a_stranger_is_not_held(service, scope):
    """300 MB, really sent: refused with an answer, and the process does not grow by a tenth of it."""
    process, endpoint, exports = service
    assert listing(exports) == []
    stranger = psutil.Process(process.pid)
    before = stranger.memory_info().rss
    credential = f"Credential={exports['AWS_ACCESS_KEY_ID']}/20260101/eu-west-1/{scope}/aws4_request" if scope else ""
    head = (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000000\r\nAuthorization: AWS4-HMAC-SHA256 {credential},"
        f" SignedHeaders=host, Signature={'0' * 64}\r\n\r\n"
    )
    address, most = urlsplit(endpoint), before
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.settimeout(20)
        connection.sendall(head.encode())
        answer = connection.recv(65536)
        with contextlib.suppress(ConnectionError):
            for _ in range(300):
                connection.sendall(bytes(1_000_000))
                most = max(most, stranger.memory_info().rss)
    assert re.match(rb"HTTP/1.. (403|413) ", answer)
    assert most - before < 30_000_000


def test_idle_connections_are_few_and_end(service, monkeypatch):
    """Hundreds of them hold a bounded number of threads, keep nobody out, and end by themselves, one that trickles too."""
    process, endpoint, exports = service
    address = urlsplit(endpoint)
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection((address.hostname, address.port))) for _ in range(400)]
        assert listing(exports) == []
        deadline = time.monotonic() + 5
        while (threads := psutil.Process(process.pid).num_threads()) > protocol.STRANGERS + 10:
            assert time.monotonic() < deadline, threads
            time.sleep(0.05)
        trickling = idle[-1]
        trickling.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n")
        ended = False
        while not ended and time.monotonic() < began + protocol.PATIENCE + 5:
            time.sleep(0.5)
            try:
                trickling.sendall(b"x: y\r\n")
            except OSError:  # reset, or a broken pipe
                ended = True
        assert ended
        for each in idle:
            each.settimeout(5)
            with contextlib.suppress(ConnectionError):
                assert each.recv(1) in {b"", b"H"}
    assert psutil.Process(process.pid).num_threads() < 15
