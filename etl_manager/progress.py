"""Where long work says that it lives. The default says nothing; the pytest plugin puts the terminal here."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a run tells whoever watches it."""

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
