"""Turn AWS's errors into errors of the suite, with remedies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    LoginError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

from etl_manager.errors import DiscoveryError

LOG_IN = (
    "Log in again: aws sso login (with --profile NAME where --aws-profile names one), or export fresh AWS_… variables.\n"
    "Then look: aws sts get-caller-identity"
)
CLOCK = (
    "Look at this machine's clock, which may be off by minutes at most: date -u; timedatectl shows whether it is kept."
)
"""AWS refuses a request whose time is too far from its own: in most cases 5 minutes (IAM User Guide, "AWS Signature Version 4
for API requests"), 15 for S3 (its error RequestTimeTooSkewed says so: MaxAllowedSkewMilliseconds)."""
_POLICY = "The operator's policy does not allow this call; docs/aws.md has the policy."
_UNKNOWN = (
    "AWS does not know these credentials: check --aws-profile, and --aws-region (a region that is not enabled for the "
    "account answers so too)."
)
REMEDIES = {
    "AccessDenied": _POLICY,
    "UnauthorizedOperation": _POLICY,
    "ExpiredToken": LOG_IN,
    "RequestExpired": f"{CLOCK}\nIf it is right: {LOG_IN[0].lower()}{LOG_IN[1:]}",
    "Skewed": CLOCK,
    "RequestInTheFuture": CLOCK,
    "UnrecognizedClient": _UNKNOWN,
    "InvalidClientTokenId": _UNKNOWN,
    "Signature": f"The secret access key is not the one of this access key id, or this machine's clock is wrong. {CLOCK}",
    "ResourceNotFound": "It is not there: check the name, and the region.",
    "Decryption": "The operator may not use the key the secret is encrypted with (kms:Decrypt).",
    "Throttling": "This account calls AWS too often: wait a minute, then run again.",
    "MaxDocumentSizeExceeded": "SSM takes no command of that length: lower bastion.autoTransfer.maxCommandBytes.",
    "RequestEntityTooLarge": "AWS takes no request of that length: lower bastion.autoTransfer.maxCommandBytes.",
    "InvalidInstanceId": "The bastion is not a managed node in a valid state: is it running, and its SSM agent online?",
}
"""What to do, by a part of AWS's error code."""

NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    SSOError,
    LoginError,
)
"""What botocore raises where it has no credentials to sign with, or cannot renew them."""


def remedy(error: ClientError | BotoCoreError) -> str:
    """Return what a user can do about *error*; empty where only AWS's message is known."""
    if isinstance(error, ClientError):
        code = str(error.response["Error"]["Code"])
        return next((text for part, text in REMEDIES.items() if part in code), "")
    if isinstance(error, NO_CREDENTIALS):
        return LOG_IN
    return "Check the network, and that the region exists (--aws-region, or project.region in config.json)."


@contextmanager
def aws_errors(service: str, call: str, subject: str) -> Iterator[None]:
    """Raise a `DiscoveryError` where AWS refuses *call* about *subject*, or cannot be reached."""
    where = {"call": call, "of": subject}
    try:
        yield
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        message = str(error.response["Error"].get("Message", ""))
        raise DiscoveryError(f"{service} refused: {code}: {message}", context=where, hint=remedy(error)) from error
    except BotoCoreError as error:
        raise DiscoveryError(f"{service} could not be called: {error}", context=where, hint=remedy(error)) from error
