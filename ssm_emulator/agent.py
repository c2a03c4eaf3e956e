"""The SSM agent of one instance: takes commands, delivers them in time or not at all, runs them."""

from __future__ import annotations

import threading
import time

from ssm_emulator.command import Invocation
from ssm_emulator.execution import Outcome, execute
from ssm_emulator.hosts.base import Host, HostUnavailableError

WORKERS = 5  # AGENT: CommandWorkersLimit
TAKEN = 2 * WORKERS  # AGENT: as many again wait behind them; what comes then is refused, and delivered again
_UNDELIVERABLE_AFTER = 0.2
_REBOOT_SECONDS = 1.0
_TICK = 0.05


class Agent:
    """Runs the commands of one instance on *host*, at most five at once; five more wait in it.

    Args:
        host: The machine.
        region: What the scripts find in ``AWS_SSM_REGION_NAME``.
        latency: Seconds from SendCommand to the start.

    Attributes:
        online: Whether it talks to SSM; set it to False to lose the agent, and to True to have it back.
        latency: The same as above; it may be changed at any time.
    """

    def __init__(self, host: Host, *, region: str, latency: float) -> None:
        self.host = host
        self.online = True
        self._region = region
        self.latency = latency
        self._closing = threading.Event()
        self._workers = threading.BoundedSemaphore(WORKERS)
        self._room = threading.BoundedSemaphore(TAKEN)
        self._starts = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    @property
    def idle(self) -> bool:
        """Whether no command is under way."""
        return not any(thread.is_alive() for thread in self._threads)

    def take(self, invocation: Invocation) -> None:
        """Deliver and run *invocation* in the background."""
        name = f"ssm-{invocation.command.command_id}"
        thread = threading.Thread(target=self._deliver_and_run, args=(invocation,), daemon=True, name=name)
        with self._lock:
            self._threads = [each for each in self._threads if each.is_alive()]
            self._threads.append(thread)
            thread.start()

    def restart(self) -> None:
        """Start anew: it is online, and what was cancelled while it waited behind others runs."""
        self._starts += 1
        self.online = True

    def close(self) -> None:
        """Kill what runs, also what scripts left in the background, and take nothing more."""
        self._closing.set()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(5)
        self.host.reboot()

    def _deliver_and_run(self, invocation: Invocation) -> None:
        behaviour, sent = invocation.command.behaviour, time.monotonic()
        if behaviour.delayed:
            invocation.set_status("Delayed")
            if not self._pause(invocation, behaviour.delayed):
                return
        if behaviour.undeliverable or not self.online:  # AWS: running but lost is accepted, and fails later
            if not self._pause(invocation, _UNDELIVERABLE_AFTER):
                return
            invocation.set_status("Failed", "Undeliverable")
            if not behaviour.runs_anyway:
                return
        due = sent + behaviour.delayed + self.latency
        deadline = sent + behaviour.delivery
        if not self._pause(invocation, min(due, deadline) - time.monotonic()):
            return
        if behaviour.withheld or due > deadline or not self._take(invocation, deadline):
            self._pause(invocation, deadline - time.monotonic())
            invocation.set_status("TimedOut", "DeliveryTimedOut")
            return
        try:
            invocation.set_status("InProgress")  # AGENT: as soon as the agent has it
            if not self._worker(invocation):
                return
            try:
                self._run(invocation)
            finally:
                self._workers.release()
        finally:
            self._room.release()

    def _run(self, invocation: Invocation) -> None:
        try:
            outcome = execute(invocation, self.host, region=self._region, closing=self._closing)
        except HostUnavailableError:
            self.online = False
            invocation.finish("Failed", -1, details="Undeliverable")  # AWS: as for any agent that is lost
            return
        if outcome is Outcome.AGENT_LOST:
            self.online = False
        elif outcome is Outcome.REBOOT:
            self.online = False
            self.host.reboot()
            self._closing.wait(_REBOOT_SECONDS)
            self.restart()
        if outcome in {Outcome.REBOOT, Outcome.WORKER_DEAD}:
            # AGENT: what a document worker ran fails when it is gone, without a word; after a reboot once the agent is back
            invocation.finish("Failed", 1)

    def _take(self, invocation: Invocation, deadline: float) -> bool:
        """Wait until the agent has room for one more, until *deadline*."""
        self._pause(invocation, min(invocation.command.behaviour.refused, deadline - time.monotonic()))
        while not self._unwanted(invocation) and time.monotonic() < deadline:
            if self._room.acquire(timeout=_TICK):
                return True
        return False

    def _worker(self, invocation: Invocation) -> bool:
        """Wait for a free worker, and return whether there was one before the end of all.

        AGENT: what is cancelled meanwhile is not answered, and runs when the agent starts next.
        """
        queued = invocation.command.behaviour.queued
        turn, starts = time.monotonic() + queued, self._starts
        while not self._closing.is_set():
            if time.monotonic() < turn or not self._workers.acquire(timeout=_TICK):
                self._closing.wait(_TICK)
            elif invocation.cancelled.is_set() and not queued and self._starts == starts:
                self._workers.release()
                self._closing.wait(_TICK)
            else:
                invocation.cancelled.clear()
                return True
        return False

    def _pause(self, invocation: Invocation, seconds: float) -> bool:
        """Wait, and return whether the command is still wanted."""
        end = time.monotonic() + seconds
        while not self._unwanted(invocation):
            left = end - time.monotonic()
            if left <= 0:
                return True
            invocation.cancelled.wait(min(left, _TICK))
        return False

    def _unwanted(self, invocation: Invocation) -> bool:
        return self._closing.is_set() or invocation.cancelled.is_set()
