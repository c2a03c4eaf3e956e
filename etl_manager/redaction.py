"""Secrets are registered once and never shown: the one list that logs, reports and messages are held against.

The rows of tenants are not shown either: PostgreSQL puts the values of a row it refuses into its message.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import shlex
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"
_LONGEST_PIECE = 120
"""A shortened repr keeps at most half of pytest's 240 characters on either side of its dots."""
_SHORTEST_PIECE = 4

_ROWS = re.compile(r"(Failing row contains |Key \((?!user_id\))[^)\n]*\)=)\((?!withheld)[^\n]*\)")
"""The values of a row in PostgreSQL's messages (ExecBuildSlotValueDescription, BuildIndexValueDescription)."""

_secrets: set[str] = set()
_spellings: tuple[str, ...] = ()
_lock = threading.Lock()


def register(secret: str) -> None:
    """Remember *secret*, so that `redact` masks it from now on; a blank one is ignored."""
    global _spellings  # noqa: PLW0603 - the one list
    if secret.strip():
        with _lock:
            if secret not in _secrets:
                _secrets.add(secret)
                _spellings = tuple(sorted({*_spellings, *_ways_to_spell(secret)}, key=len, reverse=True))


def redact(text: str) -> str:
    """Return *text* with every registered secret masked, however it is spelled, the longest first.

    Where a shortened repr left only the beginning or the end of a secret beside its dots, that is masked too.
    """
    known = _spellings
    for spelling in known:
        text = text.replace(spelling, MASK)
    text = _ROWS.sub(r"\1(withheld)", text)
    return _without_pieces(text, known) if known and "..." in text else text


def redact_all(data: Any) -> Any:
    """Return *data*, as JSON has it, with every text in it redacted."""
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, dict):
        return {key: redact_all(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [redact_all(value) for value in data]
    return data


def _ways_to_spell(secret: str) -> set[str]:
    """Return *secret* as it looks in a repr, in JSON, a URL, a shell word, SQL, libpq's conninfo and a pgpass file."""
    ways = {
        secret,
        secret.replace("'", "''"),
        secret.replace("\\", "\\\\").replace("'", "\\'"),
        secret.replace("\\", "\\\\").replace(":", "\\:"),
        shlex.quote(secret).strip("'") or secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        base64.b64encode(secret.encode()).decode(),
    }
    for _ in range(2):  # twice: a report shows the repr of a line of JSON
        ways |= {way for known in ways for way in (repr(known)[1:-1], json.dumps(known)[1:-1], _in_json(known))}
    return ways


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _without_pieces(text: str, known: Iterable[str]) -> str:
    parts = text.split("...")
    for spelling in known:
        for size in range(min(len(spelling) - 1, _LONGEST_PIECE), _SHORTEST_PIECE - 1, -1):
            head, tail = spelling[:size], spelling[-size:]
            for index, part in enumerate(parts):
                cut = part
                if index < len(parts) - 1 and cut.endswith(head):
                    cut = cut[:-size] + MASK
                if index > 0 and cut.startswith(tail):
                    cut = MASK + cut[size:]
                parts[index] = cut
    return "...".join(parts)


class RedactingFormatter(logging.Formatter):
    """A log formatter whose lines, tracebacks included, went through `redact`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the formatted *record* without secrets."""
        return redact(super().format(record))
