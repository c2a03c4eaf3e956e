"""Secrets are registered once and never shown: the one list that logs, reports and messages are held against."""

from __future__ import annotations

import logging
import threading

MASK = "********"
_secrets: set[str] = set()
_lock = threading.Lock()


def register(secret: str) -> None:
    """Remember *secret*, so that `redact` masks it from now on; a blank one is ignored."""
    if secret.strip():
        with _lock:
            _secrets.add(secret)


def redact(text: str) -> str:
    """Return *text* with every registered secret masked, the longest first."""
    with _lock:
        known = sorted(_secrets, key=len, reverse=True)
    for secret in known:
        text = text.replace(secret, MASK)
    return text


class RedactingFormatter(logging.Formatter):
    """A log formatter whose lines, tracebacks included, went through `redact`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the formatted *record* without secrets."""
        return redact(super().format(record))
