"""Which faults are to happen, and when: ``NAME[=VALUE][@N]``, repeatable.

``@N`` hits only the Nth SendCommand; of a fault of calls, only the Nth call it is about. VALUE is a time in
seconds for faults that take one. For the others ``NAME=N`` is the same as ``NAME@N``.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from etl_manager.emulator import faults
from etl_manager.emulator.fate import Fate
from etl_manager.errors import ConfigError

OFFLINE = "offline"
TIMED: dict[str, Callable[..., None]] = {
    "invisible": faults.invisible,
    "delayed": faults.delayed,
    "delivery-timeout": faults.delivery_timeout,
    "execution-timeout": faults.execution_timeout,
    "agent-lost": faults.agent_lost,
    "reboot": faults.reboot,
}
COUNTED: dict[str, Callable[[Fate], None]] = {
    "undeliverable": faults.undeliverable,
    "undeliverable-ran": faults.undeliverable_ran,
}
CALLS: dict[str, Callable[[str, int], faults.CallFault]] = {
    "throttle": faults.Throttle,
    "expired-credentials": faults.ExpiredCredentials,
    "reset": faults.Reset,
}
_HELP = {OFFLINE: "The agent is not connected: PingStatus ConnectionLost, SendCommand answers InvalidInstanceId."}


def known() -> dict[str, str]:
    """Return every fault's name and what it does, in a line."""
    kinds: dict[str, object] = {**TIMED, **COUNTED, **CALLS}
    return {name: (kind.__doc__ or "").splitlines()[0] for name, kind in sorted(kinds.items())} | _HELP


@dataclass(frozen=True)
class _CommandFault:
    shape: Callable[[Fate], None]
    only: int


class Schedule:
    """The faults of one emulated AWS, and the counts they go by.

    Args:
        texts: The faults as users write them.

    Raises:
        ConfigError: When there is no such fault, or its value cannot be used.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.offline = False
        self._commands: list[_CommandFault] = []
        self._calls: list[faults.CallFault] = []
        self._sent = 0
        self._lock = threading.Lock()
        for text in texts:
            self._add(text)

    def fate(self, fate: Fate) -> Fate:
        """Count a command, and return its course: *fate*, as the faults change it."""
        with self._lock:
            self._sent += 1
            for fault in self._commands:
                if fault.only in {0, self._sent}:
                    fault.shape(fate)
        return fate

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
        if name not in known():
            raise ConfigError(
                f"there is no fault {name!r}", remedy="Known are, each NAME[=VALUE][@N]: " + ", ".join(known())
            )
        try:
            only = _count(at)
            if name == OFFLINE:
                self.offline = _nothing(value + at)
            elif name in CALLS:
                self._calls.append(CALLS[name](value, only))
            elif name in COUNTED:
                self._commands.append(_CommandFault(COUNTED[name], _count(value) or only))
            else:
                self._commands.append(_CommandFault(_timed(TIMED[name], value), only))
        except ValueError as error:
            raise ConfigError(
                f"the fault {text!r} cannot be used: {error}", remedy=f"{name}: {known()[name]}"
            ) from error


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


def _timed(fault: Callable[..., None], value: str) -> Callable[[Fate], None]:
    if not value:
        return fault
    seconds = float(value)
    if not 0 <= seconds < math.inf:
        raise ValueError("a time is 0 seconds or more")
    return lambda fate: fault(fate, seconds)
