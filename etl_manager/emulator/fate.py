"""What is to happen to one command: AWS's ordinary course, unless a fault changes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class Fate:
    """The course of one command; all times in seconds.

    Attributes:
        invisible: How long GetCommandInvocation does not know it (AWS: eventual consistency).
        delayed: How long it shows the status Delayed before it is delivered.
        delivery: Not started after that, it never runs (SendCommand's TimeoutSeconds).
        withheld: Whether it never reaches the instance.
        execution: Its time to run (the document's executionTimeout).
        undeliverable: Whether it is answered as Undeliverable.
        runs_anyway: Whether it runs although that was answered.
        lost_after: When the agent is lost for good, with what runs.
        reboot_after: When the machine reboots, with what runs.
    """

    delivery: float
    execution: float
    invisible: float = 0.05
    delayed: float = 0.0
    withheld: bool = False
    undeliverable: bool = False
    runs_anyway: bool = False
    lost_after: float | None = None
    reboot_after: float | None = None
