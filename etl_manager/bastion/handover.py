"""Sealed handover: credentials travel to the bastion as ciphertext that only this run's key there opens.

SSM keeps the text of a command for up to 30 days and the bastion's disk keeps it for 14 (AWS Systems Manager user
guide; the agent's default log retention), so nothing secret may stand in one. RSA holds only 318 bytes and an IAM
token is longer: RSA carries a passphrase, and AES under that passphrase carries the credentials.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from etl_manager import redaction
from etl_manager.errors import DiscoveryError, WorkspaceError

ITERATIONS = 10_000
"""Rounds of PBKDF2, as ``openssl enc -pbkdf2 -iter`` is told on the bastion. The passphrase is 256 random bits."""


@dataclass(frozen=True)
class Credentials:
    """As whom to connect. The password shows in no repr and is masked everywhere from here on."""

    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        """Register the password as a secret; refuse what a pgpass file cannot hold."""
        if any(character in self.user + self.password for character in "\n\r\0"):
            raise DiscoveryError(
                "The user name or password holds a line break or NUL, which PostgreSQL's password file cannot carry",
                remedy="Rotate the secret to a password without control characters.",
            )
        redaction.register(self.password)

    def current(self) -> Credentials:
        """Return what to connect with now: a password does not age."""
        return self


TOKEN_RENEWAL_SECONDS = 600
"""At this age an IAM token is made anew. It lives 15 minutes (AWS: Aurora user guide, "IAM database authentication"),
and the rest is for the command to be delivered and to connect; a connection that stands outlives its token."""


class TokenCredentials:
    """Credentials whose password is an IAM token, made anew when it is older than `TOKEN_RENEWAL_SECONDS`.

    Args:
        user: The database user; it needs the role ``rds_iam``.
        make: Makes a token.
        clock: Seconds; the wall's, since AWS counts a token's life also while this machine sleeps.
    """

    def __init__(self, user: str, make: Callable[[], str], clock: Callable[[], float] = time.time) -> None:
        self.user = user
        self._make = make
        self._clock = clock
        self._made: tuple[float, Credentials] | None = None

    def current(self) -> Credentials:
        """Return credentials that are good for a command sent now."""
        now = self._clock()
        if self._made is None or not 0 <= now - self._made[0] < TOKEN_RENEWAL_SECONDS:
            self._made = (now, Credentials(self.user, self._make()))
        return self._made[1]


@dataclass(frozen=True)
class Sealed:
    """A text only the bastion can open; both parts are base64 and may be shown."""

    key: str
    body: str


def seal(credentials: Credentials, public_key_pem: str) -> Sealed:
    """Encrypt *credentials*, as a line of a pgpass file, to the bastion's *public_key_pem*.

    Raises:
        WorkspaceError: When what the bastion sent is no RSA public key.
    """
    return seal_text(f"*:*:*:{_escaped(credentials.user)}:{_escaped(credentials.password)}\n", public_key_pem)


def seal_text(text: str, public_key_pem: str) -> Sealed:
    """Encrypt *text* to the bastion's *public_key_pem*.

    Raises:
        WorkspaceError: When what the bastion sent is no RSA public key.
    """
    try:
        public_key = serialization.load_pem_public_key(public_key_pem.encode())
    except ValueError as error:
        raise WorkspaceError("The bastion sent no readable public key", remedy="Is openssl installed there?") from error
    if not isinstance(public_key, rsa.RSAPublicKey):
        raise WorkspaceError("The bastion sent a public key that is not RSA")
    passphrase = secrets.token_hex(32)
    oaep = rsa_padding.OAEP(mgf=rsa_padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    return Sealed(
        key=base64.b64encode(public_key.encrypt(passphrase.encode(), oaep)).decode(),
        body=base64.b64encode(_encrypt(text.encode(), passphrase)).decode(),
    )


def _escaped(value: str) -> str:
    """Escape *value* for a pgpass line (PostgreSQL manual, "The Password File")."""
    return value.replace("\\", "\\\\").replace(":", "\\:")


def _encrypt(plain: bytes, passphrase: str) -> bytes:
    """Return what ``openssl enc -aes-256-cbc -pbkdf2 -md sha256`` would write: a magic word, salt and ciphertext."""
    salt = secrets.token_bytes(8)
    derived = PBKDF2HMAC(algorithm=hashes.SHA256(), length=48, salt=salt, iterations=ITERATIONS).derive(
        passphrase.encode()
    )
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(derived[:32]), modes.CBC(derived[32:])).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return b"Salted__" + salt + encryptor.update(padded) + encryptor.finalize()
