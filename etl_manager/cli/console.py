"""What the command line shows: information and output on stdout, warnings and errors on stderr, never a secret."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from etl_manager.errors import ProvisioningError
from etl_manager.progress import LiveLine
from etl_manager.redaction import masked, redact


class Console:
    """A `etl_manager.progress.Progress` on the two streams of the process; its status is on stderr."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._line = LiveLine(lambda text: _write(sys.stderr, text), sys.stderr.isatty, clock)
        self.status = self._line.status

    def say(self, line: str) -> None:
        """Show *line* on stdout."""
        self._print(sys.stdout, line)

    def info(self, *lines: str) -> None:
        """Show *lines* on stdout, marked as information."""
        for line in lines:
            self.say(f"[INFO] {line}")

    def warn(self, line: str) -> None:
        """Show *line*, which says itself that it is a warning, on stderr."""
        self._print(sys.stderr, line)

    def error(self, error: ProvisioningError) -> None:
        """Show *error* on stderr: what, where, and what to do next."""
        text = str(error)
        self._print(sys.stderr, text if text.startswith("[") else f"[ERROR] {text}")

    def output(self, text: str, stream: TextIO) -> None:
        """Show what a command printed on *stream*: byte by byte, but on a terminal, which it could steer.

        Bytes that are no UTF-8 are surrogates in *text*.
        """
        self._line.erase()
        sys.stdout.flush()
        stream.flush()
        shown = redact(text) if stream.isatty() else masked(text)
        stream.buffer.write(shown.encode("utf-8", "surrogateescape"))
        stream.buffer.flush()

    def _print(self, stream: TextIO, line: str) -> None:
        self._line.erase()
        _write(stream, f"{redact(line)}\n")
        self._line.restart_quiet_time()


def _write(stream: TextIO, text: str) -> None:
    sys.stdout.flush()  # the two streams may be one file: their order is kept
    stream.write(text)
    stream.flush()
