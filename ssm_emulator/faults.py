"""Faults to order, each written ``NAME[=VALUE][@N]``: what they do, and when.

``@N`` hits only the Nth SendCommand; of a fault of calls, only the Nth call it is about. VALUE is a time in
seconds for faults that take one. For the others ``NAME=N`` is the same as ``NAME@N``.

A function changes the `CommandBehaviour` of a command, a `CallFault` decides about the calls to the API. The first
line of its docstring is what users are shown.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ssm_emulator.protocol import AwsError

OFFLINE = "offline"


class FaultError(ValueError):
    """There is no such fault, or its value cannot be used.

    Args:
        problem: What is wrong, in a sentence without a full stop.
        hint: What can be used instead.
    """

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(f"{problem}. {hint}")
        self.problem = problem
        self.hint = hint


class ConnectionCutError(Exception):
    """The client is to see its connection reset instead of an answer."""


@dataclass(kw_only=True)
class CommandBehaviour:
    """How the emulator treats one command; all times in seconds.

    Attributes:
        invisible: How long GetCommandInvocation does not know it (AWS: eventual consistency).
        delayed: How long it shows the status Delayed before it is delivered.
        delivery: Not started after that, it never runs (SendCommand's TimeoutSeconds).
        refused: How long the agent, which has ten others, does not take it.
        queued: How long it waits behind five others; it then runs even where it was cancelled.
        withheld: Whether it never reaches the instance.
        execution: Its time to run (the document's executionTimeout).
        undeliverable: Whether it is answered as Undeliverable.
        runs_anyway: Whether it runs although that was answered.
        lost_after: When the agent is lost for good, with what runs.
        reboot_after: When the machine reboots, with what runs.
        worker_dead_after: When the agent's document worker dies, with what it runs.
    """

    delivery: float
    execution: float
    invisible: float = 0.05
    delayed: float = 0.0
    refused: float = 0.0
    queued: float = 0.0
    withheld: bool = False
    undeliverable: bool = False
    runs_anyway: bool = False
    lost_after: float | None = None
    reboot_after: float | None = None
    worker_dead_after: float | None = None


def invisible(behaviour: CommandBehaviour, seconds: float = 3) -> None:
    """GetCommandInvocation answers InvocationDoesNotExist for SECONDS."""
    behaviour.invisible = seconds


def delayed(behaviour: CommandBehaviour, seconds: float = 1) -> None:
    """The command shows Delayed for SECONDS before it is delivered."""
    behaviour.delayed = seconds


def refused(behaviour: CommandBehaviour, seconds: float = 1) -> None:
    """For SECONDS the agent has ten other commands and refuses this one: it is Pending, and delivered again until taken."""
    behaviour.refused = seconds


def queued(behaviour: CommandBehaviour, seconds: float = 1) -> None:
    """For SECONDS the command waits behind five others, InProgress; where it is cancelled meanwhile it runs all the same."""
    behaviour.queued = seconds


def delivery_timeout(behaviour: CommandBehaviour, seconds: float = 1) -> None:
    """The command never reaches the instance, and after SECONDS ends as TimedOut / DeliveryTimedOut / -1."""
    behaviour.withheld, behaviour.delivery = True, seconds


def execution_timeout(behaviour: CommandBehaviour, seconds: float = 1) -> None:
    """The command is killed after SECONDS, whatever was asked for: TimedOut / ExecutionTimedOut / 137."""
    behaviour.execution = seconds


def undeliverable(behaviour: CommandBehaviour) -> None:
    """The command ends as Failed / Undeliverable / -1, and was not run."""
    behaviour.undeliverable = True


def undeliverable_ran(behaviour: CommandBehaviour) -> None:
    """The command ends as Failed / Undeliverable / -1, but runs all the same, even after that answer."""
    behaviour.undeliverable = behaviour.runs_anyway = True


def agent_lost(behaviour: CommandBehaviour, seconds: float = 1) -> None:
    """SECONDS after the command began the agent is lost for good: killed, InProgress for ever, ConnectionLost."""
    behaviour.lost_after = seconds


def reboot(behaviour: CommandBehaviour, seconds: float = 1) -> None:
    """SECONDS after the command began the machine reboots: all processes die; once it is back the command is Failed."""
    behaviour.reboot_after = seconds


def worker_dead(behaviour: CommandBehaviour, seconds: float = 1) -> None:
    """SECONDS after the command began its document worker dies: killed, Failed / Failed / 1, and no output."""
    behaviour.worker_dead_after = seconds


class CallFault:
    """Decides about every call to the API; `before` and `after` raise what the client is to meet.

    Derive from it for faults of your own, raising `AwsError`; one call is asked about at a time.
    """

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
        self._random = random.Random(seed)  # noqa: S311  # a schedule that can be repeated, not a secret
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
            hit = self._random.random() < self._rate
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


TIMED: dict[str, Callable[..., None]] = {
    "invisible": invisible,
    "delayed": delayed,
    "refused": refused,
    "queued": queued,
    "delivery-timeout": delivery_timeout,
    "execution-timeout": execution_timeout,
    "agent-lost": agent_lost,
    "reboot": reboot,
    "worker-dead": worker_dead,
}
COUNTED: dict[str, Callable[[CommandBehaviour], None]] = {
    "undeliverable": undeliverable,
    "undeliverable-ran": undeliverable_ran,
}
CALLS: dict[str, Callable[[str, int], CallFault]] = {
    "throttle": Throttle,
    "expired-credentials": ExpiredCredentials,
    "reset": Reset,
}
_OFFLINE_HELP = "The agent is not connected: PingStatus ConnectionLost, SendCommand answers InvalidInstanceId."


def fault_descriptions() -> dict[str, str]:
    """Return every fault's name and what it does, in a line."""
    kinds: dict[str, object] = {**TIMED, **COUNTED, **CALLS}
    described = {name: (kind.__doc__ or "").splitlines()[0] for name, kind in sorted(kinds.items())}
    return {**described, OFFLINE: _OFFLINE_HELP}


class FaultInjector:
    """The faults of one emulator, and the counts they go by.

    Args:
        faults: As users write them, or call faults of your own.

    Attributes:
        offline: Whether the agents are not connected.

    Raises:
        FaultError: When there is no such fault, or its value cannot be used.
    """

    def __init__(self, faults: Iterable[str | CallFault] = ()) -> None:
        self.offline = False
        self._commands: list[tuple[int, Callable[[CommandBehaviour], None]]] = []
        self._calls: list[CallFault] = []
        self._sent = 0
        self._lock = threading.Lock()
        for fault in faults:
            if isinstance(fault, CallFault):
                self._calls.append(fault)
            else:
                self._add(fault)

    def apply(self, behaviour: CommandBehaviour) -> CommandBehaviour:
        """Count a command, and return its *behaviour* as the faults change it."""
        with self._lock:
            self._sent += 1
            for only, change in self._commands:
                if only in {0, self._sent}:
                    change(behaviour)
        return behaviour

    def before(self, action: str) -> None:
        """Let a call of *action* pass, or raise what it is to meet before it takes effect.

        Raises:
            AwsError: What it is answered with.
            ConnectionCutError: When it gets no answer.
        """
        with self._lock:
            for fault in self._calls:
                fault.before(action)

    def after(self, action: str) -> None:
        """Let the answer to a call of *action* pass, or not.

        Raises:
            ConnectionCutError: When it gets no answer, though it took effect.
        """
        with self._lock:
            for fault in self._calls:
                fault.after(action)

    def _add(self, text: str) -> None:
        head, _, at = text.partition("@")
        name, _, value = head.partition("=")
        descriptions = fault_descriptions()
        if name not in descriptions:
            raise FaultError(
                f"there is no fault {name!r}", "Known are, each NAME[=VALUE][@N]: " + ", ".join(descriptions)
            )
        try:
            only = _count(at)
            if name == OFFLINE:
                self.offline = _nothing(value + at)
            elif name in CALLS:
                self._calls.append(CALLS[name](value, only))
            elif name in COUNTED:
                self._commands.append((_count(value) or only, COUNTED[name]))
            else:
                self._commands.append((only, _timed(TIMED[name], value)))
        except ValueError as error:
            raise FaultError(f"the fault {text!r} cannot be used: {error}", f"{name}: {descriptions[name]}") from error


def _nothing(text: str) -> bool:
    """Refuse a value where none is taken."""
    if text:
        raise ValueError("it takes no value")
    return True


def _count(text: str) -> int:
    """Return *text* as the number of one event; 0, for all of them, when there is none."""
    if not text:
        return 0
    number = int(text)
    if number < 1:
        raise ValueError("events are counted from 1")
    return number


def _timed(change: Callable[..., None], value: str) -> Callable[[CommandBehaviour], None]:
    if not value:
        return change
    seconds = float(value)
    if not 0 <= seconds < math.inf:
        raise ValueError("a time is 0 seconds or more")
    return lambda behaviour: change(behaviour, seconds)
