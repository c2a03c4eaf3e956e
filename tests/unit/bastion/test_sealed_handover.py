"""Credentials travel as ciphertext that the bastion's own openssl opens, whatever characters they hold."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from etl_manager.aws.discovery import Credentials
from etl_manager.bastion.credentials import Sealed, seal
from etl_manager.errors import DiscoveryError, WorkspaceError
from etl_manager.redaction import redact

AWKWARD = (
    "plain",
    "with:colon",
    "back\\slash",
    "\\",
    "ends in backslash\\",
    "a\\:b::\\\\",
    "'single' \"double\" `tick`",
    "$(reboot) ${HOME} $$ !!",
    "  spaces at both ends  ",
    "tab\tinside",
    "*",
    "#comment",
    "ünïcödé €😀 日本語",
    "%s %n %d",
    "=?&;|<>()[]{}~^",
    "x" * 1_600,  # an IAM token is long
)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key made as the bastion makes its own."""
    path = tmp_path_factory.mktemp("key") / "key.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return path


def public(key: Path) -> str:
    """Return the public half, as openssl prints it."""
    done = subprocess.run(["openssl", "pkey", "-in", key, "-pubout"], check=True, capture_output=True, text=True)
    return done.stdout


def opened(sealed: Sealed, key: Path, folder: Path) -> bytes:
    """Open *sealed* with openssl, by the commands of scripts/2-sql-execute.sh."""
    (folder / "peer.der").write_bytes(base64.b64decode(sealed.key))
    secret = subprocess.run(
        ["openssl", "pkeyutl", "-derive", "-inkey", key, "-peerkey", folder / "peer.der", "-peerform", "DER"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    (folder / "passphrase").write_bytes(base64.b64encode(secret))
    return subprocess.run(
        ["openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-iter", "10000", "-md", "sha256",
         "-pass", f"file:{folder / 'passphrase'}"],
        input=base64.b64decode(sealed.body), check=True, capture_output=True,
    ).stdout  # fmt: skip


def unescaped(field: str) -> str:
    """Read a field of a pgpass line as libpq does: a backslash takes the next character as it is."""
    characters = iter(field)
    return "".join(next(characters) if character == "\\" else character for character in characters)


@pytest.mark.parametrize("password", AWKWARD)
def test_openssl_opens_what_was_sealed(key, password, tmp_path):
    """The line that comes out is a pgpass line of exactly this user and password."""
    sealed = seal(Credentials("post:gres", password), public(key))
    line = opened(sealed, key, tmp_path).decode()
    assert line.startswith("*:*:*:post\\:gres:")
    assert line.endswith("\n")
    assert unescaped(line.removeprefix("*:*:*:post\\:gres:").removesuffix("\n")) == password


def test_nothing_of_the_password_shows_in_what_travels(key):
    """Neither part holds the password; sealing again gives other bytes, so that two runs cannot be compared."""
    credentials = Credentials("postgres", "correct horse battery staple")
    first, second = (seal(credentials, public(key)) for _ in range(2))
    assert first != second
    for sealed in (first, second):
        raw = base64.b64decode(sealed.key) + base64.b64decode(sealed.body)
        assert b"horse" not in raw
        assert "horse" not in repr(sealed)


def test_another_key_does_not_open_it(key, tmp_path):
    """Who has the public key, the command and another private key has nothing."""
    other = tmp_path / "other.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", other], check=True
    )
    sealed = seal(Credentials("postgres", "correct horse"), public(key))
    try:
        line = opened(sealed, other, tmp_path)
    except subprocess.CalledProcessError:
        line = b""  # of 256 wrong keys one decrypts to something whose padding is right by chance
    assert b"horse" not in line


def test_password_is_masked_from_the_moment_it_is_known():
    """Credentials register their password, and show it in no repr."""
    credentials = Credentials("postgres", "once:known\\masked")
    assert "known" not in repr(credentials)
    assert "known" not in redact("the line *:*:*:postgres:once\\:known\\\\masked and the password once:known\\masked")


@pytest.mark.parametrize("password", ["line\nbreak", "carriage\rreturn", "nul\0byte"])
def test_password_that_no_password_file_can_hold_is_refused(password):
    """A line break would be another line of the file: it is refused with what to do, and not shown."""
    with pytest.raises(DiscoveryError, match="line break or NUL") as refused:
        Credentials("postgres", password)
    assert "Rotate the secret" in str(refused.value)
    assert password not in str(refused.value)


@pytest.mark.parametrize(
    "sent", ["", "-----BEGIN PUBLIC KEY-----\nno\n-----END PUBLIC KEY-----\n", "bash: openssl: not found"]
)
def test_what_is_no_public_key_is_told(sent):
    """A bastion that answers with something else is an error, and nothing is sealed."""
    with pytest.raises(WorkspaceError, match="no readable public key"):
        seal(Credentials("postgres", "correct horse"), sent)


@pytest.mark.parametrize("kind", [("ED25519",), ("EC", "-pkeyopt", "ec_paramgen_curve:P-384")])
def test_key_of_another_kind_is_refused(kind, tmp_path):
    """Only a key on P-256 is sealed to."""
    path = tmp_path / "other.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", *kind, "-out", path], check=True)
    with pytest.raises(WorkspaceError, match="not on P-256"):
        seal(Credentials("postgres", "correct horse"), public(path))
