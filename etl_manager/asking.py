"""Asking AWS: what it answers when it refuses becomes an error that says whom was asked for what, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from etl_manager.errors import DiscoveryError

REMEDIES = {
    "AccessDenied": "The operator's policy does not allow this call; docs/aws.md has the policy.",
    "ExpiredToken": "The AWS credentials have expired: log in again.",
    "UnrecognizedClient": "AWS does not know these credentials: check --aws-profile and --aws-region.",
    "ResourceNotFound": "It is not there: check the name, and the region.",
    "Decryption": "The operator may not use the key the secret is encrypted with (kms:Decrypt).",
}
"""What to do, by a part of AWS's error code."""


@contextmanager
def asking(service: str, call: str, subject: str) -> Iterator[None]:
    """Make a `DiscoveryError` of what AWS answers when it refuses *call* about *subject*, or cannot be reached."""
    where = {"call": call, "of": subject}
    try:
        yield
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        message = str(error.response["Error"].get("Message", ""))
        remedy = next((text for part, text in REMEDIES.items() if part in code), "")
        raise DiscoveryError(f"{service} refused: {code}: {message}", where=where, remedy=remedy) from error
    except BotoCoreError as error:
        raise DiscoveryError(
            f"{service} could not be asked: {error}",
            where=where,
            remedy="Check the network, the credentials (aws sts get-caller-identity) and the region.",
        ) from error
