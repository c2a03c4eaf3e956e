"""Progress reporting: the interface, and the live line that shows it on a terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from etl_manager.redaction import one_line, redact

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
    """One status line: on a terminal each replaces the one before, elsewhere one is printed now and then.

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

    def status(self, line: str) -> None:
        """Show *line*, without its secrets."""
        if self._is_terminal() and os.environ.get("TERM") != "dumb":
            self.erase()
            self._write(one_line(redact(line))[: _columns() - 1])  # a line that wraps could not be erased
            self._live = True
        elif self._clock() - self._shown_at >= QUIET_SECONDS:
            self._write(f"{redact(line)}\n")
            self.restart_quiet_time()

    def erase(self) -> None:
        """Remove the line from the terminal."""
        if self._live:
            self._live = False
            self._write(_CLEAR)

    def restart_quiet_time(self) -> None:
        """Note that something was printed just now."""
        self._shown_at = self._clock()


def _columns() -> int:
    with suppress(KeyError, ValueError):
        return int(os.environ["COLUMNS"])
    for descriptor in (2, 1):
        with suppress(OSError):
            return os.get_terminal_size(descriptor).columns
    return 80
