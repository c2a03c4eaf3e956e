"""What stands between an environment and Phase 3: the thing, what is wrong with it, and how to mend it."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that is not as Phase 3 needs it."""

    subject: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        """Return the line that a red gate shows."""
        return f"{self.subject}: {self.problem}; {self.remedy}"
