"""Secrets are registered once and never shown: the one list that logs, reports and messages are held against.

The rows of tenants are not shown either: PostgreSQL puts the values of a row it refuses into its message.
"""

from __future__ import annotations

import re
import threading
from typing import Any

from etl_manager.spelling import Spelling, is_ordinary, named_as_password

__all__ = ["MASK", "gives_away", "is_ordinary", "redact", "redact_all", "register"]

MASK = "********"

_ROWS = re.compile(r"(Failing row contains |Key \((?!user_id\))[^)\n]*\)=)\((?!withheld)[^\n]*\)")
"""The values of a row in PostgreSQL's messages (ExecBuildSlotValueDescription, BuildIndexValueDescription)."""
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_SIGNATURE = re.compile(r"(Signature(?:=|%3D|:\s*))[0-9a-f]{64}\b")
"""What turns the rest of a presigned URL, or of an IAM token, into a credential; botocore logs it by itself."""

_spellings: dict[str, Spelling] = {}
"""Secret → how it is recognised, the longest first."""
_lock = threading.Lock()


def register(secret: str) -> None:
    """Remember *secret*, so that `redact` masks it from now on; a blank one is ignored."""
    global _spellings  # noqa: PLW0603 - the one list; replaced as a whole, since other threads read it meanwhile
    if secret.strip() and secret not in _spellings:
        with _lock:
            known = {**_spellings, secret: Spelling(secret)}
            _spellings = dict(sorted(known.items(), key=lambda item: len(item[0]), reverse=True))


def redact(text: str) -> str:
    """Return *text* with every registered secret masked, however it is spelled, the longest first.

    An ordinary word (see `is_ordinary`) is masked only where the text calls it a password. Where a shortened repr left
    only the beginning or the end of a secret beside its dots, that is masked too.
    """
    known = _spellings.values()
    for spelling in known:
        text = spelling.masked(text, MASK)
    text = _ROWS.sub(r"\1(withheld)", text)
    if "PRIVATE KEY-----" in text:
        text = _PRIVATE_KEY.sub(MASK, text)
    if "Signature" in text:
        text = _SIGNATURE.sub(rf"\1{MASK}", text)
    if "..." in text:
        for spelling in known:
            text = spelling.without_pieces(text, MASK)
    return text


def redact_all(data: Any) -> Any:
    """Return *data*, as JSON has it, with every text in it redacted; keys are ours and stay."""
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, dict):
        return {
            key: MASK
            if isinstance(value, str) and value in _spellings and named_as_password(str(key))
            else redact_all(value)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [redact_all(value) for value in data]
    return data


def gives_away(text: str, secret: str) -> bool:
    """Return whether *text* holds *secret* in any spelling; an ordinary word only where it is called a password."""
    return bool(secret.strip()) and Spelling(secret).masked(text, MASK) != text
