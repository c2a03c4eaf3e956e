"""The SSM agent of the emulated bastion: takes commands, runs them, reports how they went."""

from __future__ import annotations

import threading
import time

from etl_manager.emulator.command import Command
from etl_manager.emulator.execution import execute
from etl_manager.emulator.host import BastionHost

WORKERS = 5  # AGENT: CommandWorkersLimit
_UNDELIVERABLE_AFTER = 0.2
_TICK = 0.05


class Agent:
    """Runs the commands of one instance on *host*, at most five at once.

    Args:
        host: The machine.
        region: What the scripts find in ``AWS_SSM_REGION_NAME``.
        latency: Seconds from SendCommand to the start.

    `online` says whether it talks to SSM.
    """

    def __init__(self, host: BastionHost, *, region: str, latency: float) -> None:
        self.host = host
        self.region = region
        self.closing = threading.Event()
        self.online = True
        self._latency = latency
        self._slots = threading.BoundedSemaphore(WORKERS)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def take(self, command: Command) -> None:
        """Run *command* in the background."""
        thread = threading.Thread(target=self._attend, args=(command,), daemon=True, name=f"ssm-{command.command_id}")
        with self._lock:
            self._threads = [each for each in self._threads if each.is_alive()]
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Kill what runs, also what scripts left in the background, and take nothing more."""
        self.closing.set()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(5)
        self.host.reboot()

    def _attend(self, command: Command) -> None:
        """Deliver *command*, in time or not at all, and run it."""
        fate, sent = command.fate, time.monotonic()
        if fate.delayed:
            command.become("Delayed")
            if not self._pause(command, fate.delayed):
                return
        if fate.undeliverable or not self.online:  # AWS: running but lost is accepted, and fails later
            if not self._pause(command, _UNDELIVERABLE_AFTER):
                return
            command.become("Failed", "Undeliverable")
            if not fate.runs_anyway:
                return
        due = sent + fate.delayed + self._latency
        deadline = sent + fate.delivery
        if not self._pause(command, min(due, deadline) - time.monotonic()):
            return
        if fate.withheld or due > deadline or not self._slot(command, deadline):
            self._pause(command, deadline - time.monotonic())
            command.become("TimedOut", "DeliveryTimedOut")
            return
        try:
            execute(command, self)
        finally:
            self._slots.release()

    def _slot(self, command: Command, deadline: float) -> bool:
        """Wait for a free worker until *deadline*."""
        while not self._slots.acquire(timeout=_TICK):
            if self._unwanted(command) or time.monotonic() > deadline:
                return False
        if self._unwanted(command):
            self._slots.release()
            return False
        return True

    def _pause(self, command: Command, seconds: float) -> bool:
        """Wait, and return whether the command is still wanted."""
        end = time.monotonic() + seconds
        while not self._unwanted(command):
            left = end - time.monotonic()
            if left <= 0:
                return True
            command.cancelled.wait(min(left, _TICK))
        return False

    def _unwanted(self, command: Command) -> bool:
        return self.closing.is_set() or command.cancelled.is_set()
