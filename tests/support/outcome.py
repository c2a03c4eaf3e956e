"""How a run of ``pytest features/`` ended."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


def counts(terminal: str) -> dict[str, int]:
    """Return the counts of the last line of *terminal*, as in ``2 passed, 1 failed``."""
    last = terminal.rstrip().splitlines()[-1]
    return {word: int(count) for count, word in re.findall(r"(\d+) (not applicable|\w+)", last.partition(" in ")[0])}


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its exit status, what the terminal showed, run.log, and all that Allure was given."""

    status: int
    terminal: str
    log: str
    evidence: str

    @classmethod
    def read(cls, status: int, terminal: str, reports: Path) -> Outcome:
        """Read what a run left in *reports*; what it did not leave is empty."""
        log = reports / "run.log"
        evidence = [path.read_text(errors="replace") for path in sorted(reports.glob("allure-results/*"))]
        return cls(status, terminal, log.read_text() if log.exists() else "", "\n".join(evidence))

    @property
    def counts(self) -> dict[str, int]:
        """The counts of the terminal's last line."""
        return counts(self.terminal)

    def failures(self) -> dict[str, str]:
        """Return what the terminal shows of each scenario that failed, by its title."""
        parts = re.split(r"^_{3,} (.+?) _{3,}$", self.terminal.partition("= FAILURES =")[2], flags=re.M)
        return dict(zip(parts[1::2], parts[2::2], strict=True))
