"""One run of one command on the machine: started, watched, ended in one of the ways AWS knows."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from etl_manager.emulator.command import Command
from etl_manager.emulator.host import MachineGoneError
from etl_manager.emulator.output import STDERR_BYTES, STDOUT_BYTES, Capture

if TYPE_CHECKING:
    from etl_manager.emulator.agent import Agent

KILLED = 137  # AGENT: CommandStoppedPreemptivelyExitCode
_SUCCESS_WITHOUT_STDERR = 168  # AGENT: command state helper
_REBOOT_AND_AGAIN = 194
_REBOOT_SECONDS = 1.0
_TICK = 0.05


def execute(command: Command, agent: Agent) -> None:
    """Run *command* on the agent's host and report it; again after exit 194, when the machine has rebooted."""
    command.become("InProgress")
    while True:
        try:
            attempt = _Attempt(command, agent)
        except MachineGoneError:
            agent.online = False
            command.finish("Failed", -1, details="Undeliverable")  # AWS: as for any agent that is lost
            return
        except OSError as error:
            command.finish("Failed", 1, stderr=f"failed to run commands: {error.strerror}: {error.filename}")
            return
        status = attempt.watch()
        if status != _REBOOT_AND_AGAIN:
            break
        agent.host.reboot()
    if status is not None:
        attempt.report(status)


class _Attempt:
    """A script that was started, with its two streams."""

    def __init__(self, command: Command, agent: Agent) -> None:
        self._command = command
        self._agent = agent
        self._stdout = Capture(STDOUT_BYTES)
        self._stderr = Capture(STDERR_BYTES)
        try:
            self._running = agent.host.start(
                "\n".join(command.parameters["commands"]) + "\n",
                "".join(command.parameters.get("workingDirectory", [])),
                {
                    "AWS_SSM_INSTANCE_ID": command.instance_id,
                    "AWS_SSM_REGION_NAME": agent.region,
                    "AWS_SSM_PLATFORM_NAME": "Amazon Linux",
                    "AWS_SSM_PLATFORM_VERSION": "2023",
                    "SSM_COMMAND_ID": command.command_id,
                },
                self._stdout.stream,
                self._stderr.stream,
            )
        finally:
            self._stdout.stream.close()  # the script has its own; ours would keep the stream from ending
            self._stderr.stream.close()

    def watch(self) -> int | None:
        """Return the exit status; None when the script was ended from outside, which then is reported already."""
        began = time.monotonic()
        try:
            while (status := self._over()) is None:
                if self._ended_from_outside(time.monotonic() - began):
                    return None
        except MachineGoneError:
            self._agent.online = False  # SSM hears no more of it: the command stays InProgress
            return None
        return status

    def _ended_from_outside(self, elapsed: float) -> bool:
        """Return whether the script was killed, for one of the reasons there are."""
        agent, command, fate = self._agent, self._command, self._command.fate
        if agent.closing.is_set():
            self._kill()
        elif command.cancelled.is_set():
            self._kill()
            command.finish("Cancelled", KILLED, stdout=self._stdout.text(), stderr=self._stderr.text())
        elif elapsed > fate.execution:
            self._kill()
            command.finish("TimedOut", KILLED, details="ExecutionTimedOut")  # AWS: with empty outputs
        elif fate.lost_after is not None and elapsed > fate.lost_after:
            agent.online = False
            self._kill()
        elif fate.reboot_after is not None and elapsed > fate.reboot_after:
            self._reboot()
        else:
            return False
        return True

    def report(self, status: int) -> None:
        """Tell SSM how the script ended by itself."""
        stdout = self._stdout.text()
        if status in (0, _SUCCESS_WITHOUT_STDERR):
            self._command.finish("Success", status, stdout=stdout, stderr="" if status else self._stderr.text())
        elif status == KILLED:  # AGENT: taken for a timeout, whoever gave it
            self._command.finish(
                "TimedOut", status, details="ExecutionTimedOut", stdout=stdout, stderr=self._stderr.text()
            )
        else:
            how = f"signal: {signal.strsignal(-status)}".lower() if status < 0 else f"exit status {status}"
            stderr = self._stderr.text(f"failed to run commands: {how}")
            self._command.finish("Failed", max(status, -1), stdout=stdout, stderr=stderr)

    def _over(self) -> int | None:
        """Wait a moment for the end of both streams and of the script."""
        if self._stdout.ended(_TICK) and self._stderr.ended(_TICK):
            return self._running.wait(_TICK)
        return None

    def _kill(self) -> None:
        self._running.kill()
        self._running.wait(5)

    def _reboot(self) -> None:
        """Kill everything; SSM hears of it when the agent is back (AGENT: a document process that is gone fails)."""
        self._agent.online = False
        self._kill()
        self._agent.host.reboot()
        self._agent.closing.wait(_REBOOT_SECONDS)
        self._agent.online = True
        self._command.finish("Failed", -1, stderr="document process failed unexpectedly")
