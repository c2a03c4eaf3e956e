"""What of a script's output reaches SSM: the first bytes of it, with a marker when there was more."""

from __future__ import annotations

import os
import threading
from typing import IO

STDOUT_BYTES = 24_000  # AWS: GetCommandInvocation, API reference; the agent counts bytes
STDERR_BYTES = 8_000
MARKER = b"--output truncated--"


class Capture:
    """Reads one stream of a script to its end, and keeps what SSM keeps.

    The stream ends when its last holder closes it: a background process that keeps stdout open keeps the
    command in progress, as with the real agent.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._reader, writer = os.pipe()
        self.stream: IO[bytes] = os.fdopen(writer, "wb", buffering=0)
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def ended(self, timeout: float) -> bool:
        """Wait *timeout* seconds for the end of the stream, and return whether it was reached."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def text(self, more: str = "") -> str:
        """Return what SSM shows, with *more* appended by the agent.

        The cut may fall inside a character, which then is unreadable.
        """
        return capped(bytes(self._kept) + more.encode(), self._limit).decode(errors="replace")

    def _drain(self) -> None:
        with os.fdopen(self._reader, "rb", buffering=0) as stream:
            while block := stream.read(65536):
                self._kept += block[: self._limit - len(self._kept)]


def capped(content: bytes, limit: int) -> bytes:
    """Return *content* cut to *limit* bytes, marker included.

    Exactly *limit* bytes are cut as well: the agent lets pass what is shorter (AGENT: pluginutil.go).
    """
    return content if len(content) < limit else content[: limit - len(MARKER)] + MARKER
