"""What the command line shows: information and output on stdout, warnings and errors on stderr, never a secret."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TextIO

from etl_manager.errors import ProvisioningError
from etl_manager.redaction import redact

QUIET_SECONDS = 10.0
"""Where no cursor can be moved, a status is shown at most this often."""

_CLEAR = "\r\x1b[2K"


class Console:
    """A `etl_manager.progress.Progress` on the two streams of the process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown_at = clock()
        self._live = False

    def say(self, line: str) -> None:
        """Show *line* on stdout."""
        self._write(sys.stdout, f"{line}\n")

    def info(self, *lines: str) -> None:
        """Show *lines* on stdout, marked as information."""
        for line in lines:
            self.say(f"[INFO] {line}")

    def warn(self, line: str) -> None:
        """Show *line*, which says itself that it is a warning, on stderr."""
        self._write(sys.stderr, f"{line}\n")

    def error(self, error: ProvisioningError) -> None:
        """Show *error* on stderr: what, where, and what to do next."""
        text = str(error)
        self._write(sys.stderr, f"{text if text.startswith('[') else f'[ERROR] {text}'}\n")

    def output(self, text: str, stream: TextIO) -> None:
        """Show what a command printed, byte by byte, on *stream*; bytes that are no UTF-8 are surrogates in *text*."""
        self._erase()
        sys.stdout.flush()
        stream.flush()
        stream.buffer.write(redact(text).encode("utf-8", "surrogateescape"))
        stream.buffer.flush()

    def status(self, line: str) -> None:
        """Show what is going on right now, on stderr: the next call replaces it, where a person looks on."""
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._erase()
            sys.stderr.write(redact(line)[: _width()])
            sys.stderr.flush()
            self._live = True
        elif self._clock() - self._shown_at >= QUIET_SECONDS:
            self.warn(line)

    def _write(self, stream: TextIO, text: str) -> None:
        self._erase()
        sys.stdout.flush()  # the two streams may be one file: their order is kept
        stream.write(redact(text))
        stream.flush()
        self._shown_at = self._clock()

    def _erase(self) -> None:
        if self._live:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
            self._live = False


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns - 1
    except OSError:
        return 79
