"""Register every secret that botocore resolves, sends or receives before it can be logged; and configure clients."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from etl_manager import redaction

_SECRET_FIELDS = frozenset({
    "secretaccesskey", "sessiontoken", "accesstoken", "refreshtoken", "idtoken", "clientsecret", "webidentitytoken",
    "samlassertion", "secretstring", "secretbinary", "password",
})  # fmt: skip
"""Fields of requests and answers that are secrets, whatever the service; in lower case."""
_XML_FIELD = re.compile(r"<(SecretAccessKey|SessionToken)>([^<]+)</")


def watch(session: Any) -> Any:
    """Return the botocore *session*, or a client's events, with its secrets registered for redaction.

    It holds for every client of a session, those included that botocore makes to renew credentials by STS or IAM
    Identity Center.
    """
    session.register("before-parameter-build", _before_request)
    session.register("before-sign", _before_sign)
    session.register("before-parse", _before_parse)
    return session


def resolve(session: Any) -> None:
    """Have the botocore *session* find its credentials, and register them.

    Raises:
        CredentialRetrievalError: When a provider of them fails with an error of its own.
        BotoCoreError: When botocore reports what is wrong with them.
    """
    _register(_frozen_credentials(session.get_credentials))


def _frozen_credentials(find: Any) -> Any:
    """Return what *find* does; a failure that is not botocore's own (of a program it ran, a file it read) becomes one."""
    from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError

    try:
        found = find()
        return found and found.get_frozen_credentials()
    except (BotoCoreError, ClientError):
        raise
    except Exception as error:  # noqa: BLE001 - of whatever program or file provides them
        # Cause and frames are dropped: they hold what the program printed and the file contains.
        said = (
            "what it gave is not JSON"
            if isinstance(error, json.JSONDecodeError)
            else f"{type(error).__name__}: {error}"
        )
        raise CredentialRetrievalError(provider="the profile", error_msg=said) from None


def _register(credentials: Any) -> None:
    for secret in (credentials.secret_key, credentials.token) if credentials else ():
        redaction.register(secret or "")


def _before_sign(request_signer: Any, **_: Any) -> None:
    """Register what a request is about to be signed with; it may have been renewed since the last one."""
    credentials = request_signer._credentials  # noqa: SLF001 - no event passes it on, and tests cover it
    _register(_frozen_credentials(lambda: credentials))


def _before_request(params: Any, **_: Any) -> None:
    """Register the secrets among the parameters of a call."""
    for secret in _secrets(params):
        redaction.register(secret)


def _before_parse(response_dict: Any, **_: Any) -> None:
    """Register the secrets in an answer: botocore logs it as soon as it is parsed."""
    body = response_dict.get("body") or b""
    text = body.decode(errors="replace") if isinstance(body, bytes) else ""
    for _name, secret in _XML_FIELD.findall(text):
        redaction.register(secret)
    for secret in _secrets(_json(text)):
        redaction.register(secret)


def _secrets(data: Any) -> Iterator[str]:
    """Yield the secrets in *data*, those in the JSON that one of them is included."""
    if isinstance(data, dict):
        for name, value in data.items():
            if isinstance(value, str) and str(name).lower() in _SECRET_FIELDS:
                yield value
                yield from _secrets(_json(value))
            else:
                yield from _secrets(value)
    elif isinstance(data, list):
        for value in data:
            yield from _secrets(value)


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text[:1] in ("{", "[") else None
    except ValueError:
        return None


_ATTEMPTS = 5


def client_config(attempts: int | None, service: str = "", **more: Any) -> Any:
    """Return the botocore configuration of a client of *service* that sends a call at most *attempts* times."""
    from botocore.config import Config

    if service == "s3":
        # Otherwise botocore presigns for the endpoint of all regions, which redirects, and which a gateway endpoint of the
        # bastion's VPC does not lead to; and by an older signature.
        more |= {"signature_version": "s3v4", "s3": {"addressing_style": "virtual"}}
    return Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": attempts or _ATTEMPTS},
        **more,
    )
