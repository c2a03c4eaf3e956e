"""Progress reporting: the interface, the live line that shows it on a terminal, and what the command line shows."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TextIO

from etl_manager.errors import ProvisioningError
from etl_manager.redaction import masked, one_line, redact

QUIET_SECONDS = 10.0
"""Where no cursor can be moved, a status is shown at most this often, so that logs stay short."""

_CLEAR = "\r\x1b[2K"


class Progress(Protocol):
    """Shows a user what a run does."""

    def say(self, line: str) -> None:
        """Show *line* for good."""

    def status(self, line: str) -> None:
        """Show what is going on right now; the next call replaces it."""


class NullProgress:
    """A `Progress` that shows nothing."""

    def say(self, line: str) -> None:
        """Ignore *line*."""

    def status(self, line: str) -> None:
        """Ignore *line*."""


class LiveLine:
    """A `Progress` with one status line, which on a terminal replaces the last; elsewhere one is printed now and then.

    Args:
        write: Writes a text and flushes it.
        is_terminal: Returns whether that is a terminal.
        clock: Returns seconds.
    """

    def __init__(
        self, write: Callable[[str], None], is_terminal: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._is_terminal = is_terminal
        self._clock = clock
        self._shown_at = clock()
        self._live = False

    def say(self, line: str) -> None:
        """Show *line* for good, without its secrets."""
        self._print(self._write, line)

    def status(self, line: str) -> None:
        """Show *line*, without its secrets, until the next one."""
        if self._is_terminal() and os.environ.get("TERM") != "dumb":
            self.erase()
            self._write(one_line(redact(line))[: _columns() - 1])  # a line that wraps could not be erased
            self._live = True
        elif self._clock() - self._shown_at >= QUIET_SECONDS:
            self._print(self._write, line)

    def erase(self) -> None:
        """Remove the line from the terminal."""
        if self._live:
            self._live = False
            self._write(_CLEAR)

    def _print(self, write: Callable[[str], None], line: str) -> None:
        self.erase()
        write(f"{redact(line)}\n")
        self._shown_at = self._clock()


def _columns() -> int:
    with suppress(KeyError, ValueError):
        return int(os.environ["COLUMNS"])
    for descriptor in (2, 1):
        with suppress(OSError):
            return os.get_terminal_size(descriptor).columns
    return 80


class Console(LiveLine):
    """The `Progress` of the command line: information and output on stdout, warnings, errors and status on stderr."""

    def __init__(self) -> None:
        super().__init__(_to_stderr, sys.stderr.isatty)

    def say(self, line: str) -> None:
        """Show *line* on stdout."""
        self._print(_to_stdout, line)

    def info(self, *lines: str) -> None:
        """Show *lines* on stdout, marked as information."""
        for line in lines:
            self.say(f"[INFO] {line}")

    def warn(self, line: str) -> None:
        """Show *line*, which says itself that it is a warning, on stderr."""
        self._print(_to_stderr, line)

    def error(self, error: ProvisioningError) -> None:
        """Show *error* on stderr: what, where, and what to do next."""
        text = str(error)
        self.warn(text if text.startswith("[") else f"[ERROR] {text}")

    def output(self, text: str, stream: TextIO) -> None:
        """Show what a command printed on *stream*: byte by byte, but on a terminal, which it could steer.

        Bytes that are no UTF-8 are surrogates in *text*.
        """
        self.erase()
        sys.stdout.flush()
        stream.flush()
        shown = redact(text) if stream.isatty() else masked(text)
        stream.buffer.write(shown.encode("utf-8", "surrogateescape"))
        stream.buffer.flush()


def _to_stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _to_stderr(text: str) -> None:
    sys.stdout.flush()  # the two streams may be one file: their order is kept
    sys.stderr.write(text)
    sys.stderr.flush()
