"""Sealed handover: credentials are sent to the bastion as ciphertext that only this run's key there decrypts.

SSM keeps the text of a command for up to 30 days and the bastion's disk keeps it for 14 (AWS Systems Manager user
guide; the agent's default log retention), so a command holds no secret. The bastion's key and one made for each
sealing give a passphrase that only their two holders can compute (ECDH on P-256, whose keys cost milliseconds), and AES
under that passphrase carries the credentials.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass

from etl_manager.aws.discovery import Credentials
from etl_manager.errors import WorkspaceError

ITERATIONS = 10_000
"""Rounds of PBKDF2, as ``openssl enc -pbkdf2 -iter`` is called on the bastion. The passphrase is 256 bits of a shared secret."""


@dataclass(frozen=True)
class Sealed:
    """A text that only the bastion can decrypt; both parts are base64 and may be shown."""

    key: str
    body: str


def seal(credentials: Credentials, public_key_pem: str) -> Sealed:
    """Encrypt *credentials*, as a line of a pgpass file, to the bastion's *public_key_pem*.

    Raises:
        WorkspaceError: When the bastion sent no public key on P-256.
    """
    return seal_text(f"*:*:*:{_escaped(credentials.user)}:{_escaped(credentials.password)}\n", public_key_pem)


def seal_text(text: str, public_key_pem: str) -> Sealed:
    """Encrypt *text* to the bastion's *public_key_pem*.

    Raises:
        WorkspaceError: When the bastion sent no public key on P-256.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        public_key = serialization.load_pem_public_key(public_key_pem.encode())
    except ValueError as error:
        raise WorkspaceError("The bastion sent no readable public key", hint="Is openssl installed there?") from error
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
        raise WorkspaceError("The bastion sent a public key that is not on P-256")
    own_key = ec.generate_private_key(ec.SECP256R1())
    passphrase = base64.b64encode(own_key.exchange(ec.ECDH(), public_key))
    own_public = own_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Sealed(
        key=base64.b64encode(own_public).decode(),
        body=base64.b64encode(_encrypt(text.encode(), passphrase)).decode(),
    )


def _escaped(value: str) -> str:
    """Escape *value* for a pgpass line (PostgreSQL manual, "The Password File")."""
    return value.replace("\\", "\\\\").replace(":", "\\:")


def _encrypt(plain: bytes, passphrase: bytes) -> bytes:
    """Return what ``openssl enc -aes-256-cbc -pbkdf2 -md sha256`` would write: a magic word, salt and ciphertext."""
    from cryptography.hazmat.primitives import hashes, padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    salt = secrets.token_bytes(8)
    derived = PBKDF2HMAC(algorithm=hashes.SHA256(), length=48, salt=salt, iterations=ITERATIONS).derive(passphrase)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(derived[:32]), modes.CBC(derived[32:])).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return b"Salted__" + salt + encryptor.update(padded) + encryptor.finalize()
