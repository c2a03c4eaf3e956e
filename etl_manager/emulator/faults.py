"""AWS's bad days, each by itself: what commands and calls may meet.

A function changes the `Fate` of a command. A class decides about the calls to the API. The first line of its
docstring is what users are shown. How they are asked for stands in `etl_manager.emulator.schedule`.
"""

from __future__ import annotations

import random

from etl_manager.emulator.fate import Fate
from etl_manager.emulator.wire import AwsError


class ConnectionCutError(Exception):
    """The client is to see its connection reset instead of an answer."""


def invisible(fate: Fate, seconds: float = 3) -> None:
    """GetCommandInvocation answers InvocationDoesNotExist for SECONDS."""
    fate.invisible = seconds


def delayed(fate: Fate, seconds: float = 1) -> None:
    """The command shows Delayed for SECONDS before it is delivered."""
    fate.delayed = seconds


def delivery_timeout(fate: Fate, seconds: float = 1) -> None:
    """The command never reaches the instance, and after SECONDS ends as TimedOut / DeliveryTimedOut / -1."""
    fate.withheld, fate.delivery = True, seconds


def execution_timeout(fate: Fate, seconds: float = 1) -> None:
    """The command is killed after SECONDS, whatever was asked for: TimedOut / ExecutionTimedOut / 137."""
    fate.execution = seconds


def undeliverable(fate: Fate) -> None:
    """The command ends as Failed / Undeliverable / -1, and was not run."""
    fate.undeliverable = True


def undeliverable_ran(fate: Fate) -> None:
    """The command ends as Failed / Undeliverable / -1, but runs all the same, even after that answer."""
    fate.undeliverable = fate.runs_anyway = True


def agent_lost(fate: Fate, seconds: float = 1) -> None:
    """SECONDS after the command began the agent is lost for good: killed, InProgress for ever, ConnectionLost."""
    fate.lost_after = seconds


def reboot(fate: Fate, seconds: float = 1) -> None:
    """SECONDS after the command began the machine reboots: all processes die; once it is back the command is Failed."""
    fate.reboot_after = seconds


class CallFault:
    """Decides about every call to the API; `before` and `after` raise what the client is to meet."""

    def before(self, action: str) -> None:
        """Look at a call of *action* before it has any effect."""

    def after(self, action: str) -> None:
        """Look at a call of *action* after it had its effect."""


class Throttle(CallFault):
    """Every Nth call (``throttle=N``), or each with a chance (``throttle=0.3/SEED``), answers ThrottlingException.

    With ``:ACTION`` at its end it is about the calls of one action.
    """

    def __init__(self, value: str = "", only: int = 0) -> None:
        value, _, self._action = value.partition(":")
        share, _, seed = (value or "2").partition("/")
        self._rate = float(share)
        self._only = only
        self._dice = random.Random(seed)  # noqa: S311  # a schedule that can be repeated, not a secret
        self._calls = 0
        if self._rate <= 0:
            raise ValueError("a rate is above 0")

    def before(self, action: str) -> None:
        """Refuse the call when it is its turn."""
        if self._action not in {"", action}:
            return
        self._calls += 1
        if self._only:
            hit = self._calls == self._only
        elif self._rate < 1:
            hit = self._dice.random() < self._rate
        else:
            hit = self._calls % int(self._rate) == 0
        if hit:
            raise AwsError("ThrottlingException", "Rate exceeded")


class ExpiredCredentials(CallFault):
    """From the Nth call on (``expired-credentials=N``), or from the Nth of an action (``N:ACTION``), all are refused.

    They answer ExpiredTokenException.
    """

    def __init__(self, value: str = "", only: int = 0) -> None:
        number, _, self._action = value.partition(":")
        self._first = only or int(number or 1)
        self._calls = 0

    def before(self, action: str) -> None:
        """Refuse the call once the time has come."""
        if self._action in {"", action}:
            self._calls += 1
        if self._calls >= self._first:
            raise AwsError("ExpiredTokenException", "The security token included in the request is expired")


class Reset(CallFault):
    """The connection is reset ``before`` or ``after`` a call took effect (``reset=WHEN[:ACTION][@N]``)."""

    def __init__(self, value: str = "", only: int = 0) -> None:
        self._when, _, self._action = (value or "before").partition(":")
        self._only = only
        self._calls = 0
        if self._when not in {"before", "after"}:
            raise ValueError("WHEN is before or after")

    def before(self, action: str) -> None:
        """Count the calls it is about, and cut before they take effect."""
        if self._action in {"", action}:
            self._calls += 1
            self._cut("before")

    def after(self, action: str) -> None:
        """Cut after a call it is about took effect."""
        if self._action in {"", action}:
            self._cut("after")

    def _cut(self, when: str) -> None:
        if when == self._when and self._only in {0, self._calls}:
            raise ConnectionCutError
