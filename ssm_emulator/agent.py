"""The SSM agent of one instance: takes commands, delivers them in time or not at all, runs them."""

from __future__ import annotations

import enum
import json
import os
import signal
import threading
import time
from typing import IO

from ssm_emulator.command import Invocation
from ssm_emulator.hosts import Host, HostUnavailableError

WORKERS = 5  # AGENT: CommandWorkersLimit
TAKEN = 2 * WORKERS  # AGENT: as many again wait behind them; what comes then is refused, and delivered again
_UNDELIVERABLE_AFTER = 0.2
_REBOOT_SECONDS = 1.0
_TICK = 0.05
STDOUT_BYTES = 24_000  # AWS: GetCommandInvocation, API reference; the agent counts bytes
STDERR_BYTES = 8_000
MARKER = b"--output truncated--"
KILLED = 137  # AGENT: CommandStoppedPreemptivelyExitCode
REPLY_BYTES = 120_000  # AGENT: a reply whose JSON is not shorter is never sent
_ENVELOPE_BYTES = 2_000
_SUMMARY_BYTES = 2_500  # AGENT: a reply has this much of both outputs once more
_SUCCESS_WITHOUT_STDERR = 168  # AGENT: command state helper
_REBOOT_AND_AGAIN = 194


class Outcome(enum.Enum):
    """What a run means for the agent."""

    REPORTED = "SSM knows how the script ended, or the emulator is closing"
    AGENT_LOST = "nothing was reported, and nothing will be"
    WORKER_DEAD = "the script's document worker is gone, and the script with it; the agent is still to say so"
    REBOOT = "the script was killed by a reboot, which is still to come"


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
        """Run it and report its end; again after exit 194, when the host has rebooted."""
        invocation.set_status("InProgress")
        ended: int | Outcome = _REBOOT_AND_AGAIN
        while ended == _REBOOT_AND_AGAIN:
            try:
                run = _Run(invocation, self.host, self._region)
            except HostUnavailableError:
                self.online = False
                invocation.finish("Failed", -1, details="Undeliverable")  # AWS: as for any agent that is lost
                return
            except OSError as error:
                invocation.finish("Failed", 1, stderr=f"failed to run commands: {error.strerror}: {error.filename}")
                return
            try:
                ended = run.watch(self._closing)
            except HostUnavailableError:
                ended = Outcome.AGENT_LOST  # SSM hears no more of it: the command stays InProgress
            if ended == _REBOOT_AND_AGAIN:
                self.host.reboot()
        if isinstance(ended, int):
            run.report(ended)
        elif ended is Outcome.AGENT_LOST:
            self.online = False
        elif ended is Outcome.REBOOT:
            self.online = False
            self.host.reboot()
            self._closing.wait(_REBOOT_SECONDS)
            self.restart()
        if ended in {Outcome.REBOOT, Outcome.WORKER_DEAD}:
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


class _Run:
    """A script that was started, with its two streams."""

    def __init__(self, invocation: Invocation, host: Host, region: str) -> None:
        self._invocation = invocation
        self._stdout = _Capture(STDOUT_BYTES)
        self._stderr = _Capture(STDERR_BYTES)
        parameters = invocation.command.parameters
        try:
            self._process = host.start(
                "\n".join(parameters["commands"]) + "\n",
                "".join(parameters.get("workingDirectory", [])),
                {
                    "AWS_SSM_INSTANCE_ID": invocation.instance_id,
                    "AWS_SSM_REGION_NAME": region,
                    "AWS_SSM_PLATFORM_NAME": "Amazon Linux",
                    "AWS_SSM_PLATFORM_VERSION": "2023",
                    "SSM_COMMAND_ID": invocation.command.command_id,
                },
                self._stdout.stream,
                self._stderr.stream,
            )
        finally:
            self._stdout.stream.close()  # the script has its own; ours would keep the stream from ending
            self._stderr.stream.close()

    def watch(self, closing: threading.Event) -> int | Outcome:
        """Return the exit status, or what became of a script that was ended from outside."""
        began = time.monotonic()
        while (status := self._exit_status()) is None:
            if outcome := self._ended_from_outside(time.monotonic() - began, closing):
                self._process.kill()
                self._process.wait(5)
                if outcome is Outcome.REPORTED and not closing.is_set():
                    self._report_kill()
                return outcome
        return status

    def report(self, status: int) -> None:
        """Tell SSM how the script ended by itself."""
        stdout, stderr = self._stdout.text(), self._stderr.text()
        if status in (0, _SUCCESS_WITHOUT_STDERR):
            self._reply("Success", status, stdout=stdout, stderr="" if status else stderr)
        elif status == KILLED:  # AGENT: taken for a timeout, whoever gave it
            self._reply("TimedOut", status, details="ExecutionTimedOut", stdout=stdout, stderr=stderr)
        else:
            how = f"signal: {signal.strsignal(-status)}".lower() if status < 0 else f"exit status {status}"
            stderr = self._stderr.text(f"failed to run commands: {how}")
            self._reply("Failed", max(status, -1), stdout=stdout, stderr=stderr)

    def _reply(self, status: str, code: int, *, stdout: str, stderr: str, details: str | None = None) -> None:
        """Tell SSM; a reply that is too long is never sent, and the command stays InProgress."""
        parts = (stdout, stderr, (stdout + stderr)[:_SUMMARY_BYTES])
        if sum(map(_json_bytes, parts)) + _ENVELOPE_BYTES < REPLY_BYTES:
            self._invocation.finish(status, code, details=details, stdout=stdout, stderr=stderr)

    def _ended_from_outside(self, elapsed: float, closing: threading.Event) -> Outcome | None:
        """Return what the script is to be killed for, if anything."""
        behaviour = self._invocation.command.behaviour
        if closing.is_set() or self._invocation.cancelled.is_set() or elapsed > behaviour.execution:
            return Outcome.REPORTED
        if behaviour.lost_after is not None and elapsed > behaviour.lost_after:
            return Outcome.AGENT_LOST
        if behaviour.worker_dead_after is not None and elapsed > behaviour.worker_dead_after:
            return Outcome.WORKER_DEAD
        if behaviour.reboot_after is not None and elapsed > behaviour.reboot_after:
            return Outcome.REBOOT
        return None

    def _report_kill(self) -> None:
        if self._invocation.cancelled.is_set():
            self._reply("Cancelled", KILLED, stdout=self._stdout.text(), stderr=self._stderr.text())
        else:
            self._invocation.finish("TimedOut", KILLED, details="ExecutionTimedOut")  # AWS: with empty outputs

    def _exit_status(self) -> int | None:
        """Wait a moment for the end of both streams and of the script."""
        if self._stdout.ended(_TICK) and self._stderr.ended(_TICK):
            return self._process.wait(_TICK)
        return None


def _json_bytes(text: str) -> int:
    """Return the size of *text* in the agent's JSON, which writes ``<``, ``>``, ``&`` and control characters as six bytes."""
    six = sum(map(text.count, "<>&"))
    return len(json.dumps(text, ensure_ascii=False).encode()) + 5 * six + 4 * sum(map(text.count, "\b\f"))


class _Capture:
    """Reads one stream of a script to its end, and keeps what SSM keeps.

    The stream ends when its last holder closes it: a background process that keeps stdout open keeps the
    command in progress, as with the real agent.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._reader, writer = os.pipe()
        self.stream: IO[bytes] = os.fdopen(writer, "wb", buffering=0)
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def ended(self, timeout: float) -> bool:
        """Wait *timeout* seconds for the end of the stream, and return whether it was reached."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def text(self, more: str = "") -> str:
        """Return what SSM shows, with *more* appended by the agent.

        Exactly the limit is cut as well: the agent lets pass what is shorter (AGENT: pluginutil.go). The cut may
        fall inside a character, which then is unreadable.
        """
        content = bytes(self._kept) + more.encode()
        if len(content) >= self._limit:
            content = content[: self._limit - len(MARKER)] + MARKER
        return content.decode(errors="replace")

    def _drain(self) -> None:
        with os.fdopen(self._reader, "rb", buffering=0) as stream:
            while block := stream.read(65536):
                self._kept += block[: self._limit - len(self._kept)]
