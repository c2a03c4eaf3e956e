"""How far a phase is: what the bastion tells of a command that runs, in words for people."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from etl_manager.ssm.script import Script, facts
from etl_manager.wording import number_of

PROGRESS = Script(("progress.sh",), ["progress"])
"""Asks for it."""
STALLED = 15
"""Seconds: three times as long as the SQL is silent between two lines (sql/shared/configuration.sql)."""

_SAID = re.compile(
    r"\[PROGRESS\] tenants=(?P<done>[0-9]{1,18}) of=(?P<total>[0-9]{1,18}) seconds=(?P<seconds>[0-9]{1,18}) step=(?P<step>[\w ]+)$"
)
_WAITS = re.compile(r"\[PROGRESS\] waits=(?P<holder>[ -~]{1,300})$")


@dataclass(frozen=True, kw_only=True)
class PhaseProgress:
    """How far the SQL file that runs was when the bastion was asked.

    Attributes:
        phase: The phase that the file is of.
        file: Its name.
        idle: Seconds since it last said how far it is, or else since it began.
        step: What it does with one tenant after another; empty where it has not said so.
        done: Tenants that are done in this step.
        total: Tenants that the step has to do.
        seconds: From the begin of the step until *done* tenants were.
        waits: Whom it waits for, another run that builds, and since when that is connected; empty where it does not wait.
    """

    phase: str
    file: str
    idle: int
    step: str = ""
    done: int = 0
    total: int = 0
    seconds: int = 0
    waits: str = ""

    @classmethod
    def read(cls, text: str) -> PhaseProgress | None:
        """Return what the bastion told, or None where no SQL file was running."""
        found = {name: values[-1] for name, values in facts(text).items()}
        file = PurePosixPath(found.get("file", ""))
        if not file.name:
            return None
        idle = re.fullmatch(r"[0-9]{1,18}", found.get("idle", ""))  # a clock that was set back gives less than none
        known = cls(phase=file.parent.name, file=file.name, idle=int(idle[0]) if idle else 0)
        if waits := _WAITS.search(found.get("said", "")):
            return replace(known, waits=waits["holder"])
        said = _SAID.search(found.get("said", ""))
        if said is None:
            return known
        done, total, seconds = (int(said[name]) for name in ("done", "total", "seconds"))
        return replace(known, step=said["step"], done=done, total=total, seconds=seconds)

    @property
    def rate(self) -> float:
        """Tenants a second; 0 where that is not known yet."""
        return self.done / self.seconds if self.seconds else 0.0

    def seconds_left(self, age: float = 0.0) -> float | None:
        """Return the seconds that the step still takes at its rate, *age* seconds after the bastion told.

        None where that is not known: before the first tenant, when it stands still, and when it should be over.
        """
        if not self.rate or self.idle >= STALLED:
            return None
        left = (self.total - self.done) / self.rate - self.idle - age
        return left if left > 0 else None

    def line(self, age: float = 0.0) -> str:
        """Return it for people, *age* seconds after the bastion told."""
        if self.waits:
            return f"{self.phase}: waits for another run, {self.waits}, for {duration(self.idle + age)}"
        if not self.step:
            return f"{self.phase}: {self.file}"
        parts = [f"{self.phase}, {self.step}: {self.done:,} of {number_of(self.total, 'tenant')}"]
        if self.idle >= STALLED:
            parts.append(f"nothing for {duration(self.idle + age)}")
        elif self.rate:
            parts.append(f"{self.rate:.0f} a second" if self.rate >= 1 else f"{self.rate * 60:.0f} a minute")
        left = self.seconds_left(age)
        if left is not None:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return *seconds* roughly: ``55 s``, ``12 min``, ``3 h 5 min``."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
