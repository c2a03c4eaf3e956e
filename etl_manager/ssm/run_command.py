"""Run scripts on one instance over SSM Run Command: each at most once, and with its whole output."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from etl_manager.errors import CommandError
from etl_manager.ssm.phase_progress import PROGRESS, PhaseProgress
from etl_manager.ssm.retry import LONGEST_EXECUTION, Attempt, PendingCommand, Retry, Timeouts
from etl_manager.ssm.script import (
    LIMIT,
    MARK,
    RUNTIME_PREFIX,
    CommandResult,
    EndMarker,
    Script,
    has_xz,
    read_end_marker,
)

LOG = logging.getLogger("etl_manager")
DOCUMENT = "AWS-RunShellScript"
UNFINISHED = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
REFUSED = 77
"""The exit status of a script that SSM was given twice and that runs the other time, or whose run is over."""
OUTPUT_LOST = 78
"""The exit status of a script that could not write its whole output."""
RETRY_HINT = "Run again: every phase is safe to repeat."
TOKEN_BYTES = 4
MAX_PURPOSE = 100 - 2 * TOKEN_BYTES - len(" []")
"""What SSM keeps of a comment (AWS: SendCommand, 100 characters), less the token."""
MAX_LISTED = 20
"""Commands listed to find one whose response was lost: an agent runs 5 at once, so that it is among the newest."""
ONLINE = "Online"
SHORTEST_TIMEOUT = 30
"""Seconds (AWS: SendCommand, TimeoutSeconds)."""
PROGRESS_POLLS = 10
"""How often the command that asks for progress is polled before it is left alone."""
AGENT_POLLS = 10
"""How often the status of the agent is requested before it is given up."""


@dataclass
class RunCommand:
    """Runs the scripts of one run on one instance.

    Args:
        client: A boto3 SSM client that does not retry by itself.
        instance_id: The bastion.
        workspace: The folder on the bastion that the scripts work in.
        max_command_bytes: The longest script that is sent.
        retry: How calls are retried.
        on_status: Called at every poll with the command's purpose, status and seconds since it was sent, as one line.
        retry_hint: What a user should know of a command that may have run in part.
        commands_sent: How many SendCommands there were so far.
    """

    client: Any
    instance_id: str
    workspace: str
    max_command_bytes: int
    retry: Retry = field(default_factory=Retry)
    on_status: Callable[[str], None] = lambda _line: None
    retry_hint: str = RETRY_HINT
    run_id: str = field(default_factory=lambda: secrets.token_hex(6))
    commands_sent: int = 0

    @property
    def runtime(self) -> str:
        """The folder of the run on the bastion."""
        return f"/tmp/{RUNTIME_PREFIX}{self.run_id}"  # noqa: S108 - private, and checked to be ours

    def text(self, script: Script, token: str) -> str:
        """Return the whole text of *script*; unless it is repeatable, it runs once by *token*, and while the run lasts."""
        return script.text(
            {
                "WORKSPACE": self.workspace,
                "RUNTIME_PREFIX": RUNTIME_PREFIX,
                "RUNTIME": self.runtime,
                "LIMIT": str(LIMIT),
                "MARK": MARK,
                "TOKEN": token,
                "ONCE": "" if script.repeatable else "yes",
                "XZ": "yes" if has_xz() else "",
            }
        )

    def room(self, script: Script) -> int:
        """Return how many bytes one command has left beside *script*; less than zero where it does not fit."""
        text = self.text(replace(script, closing=True), "0" * 2 * TOKEN_BYTES)
        return self.max_command_bytes - len(text.encode())

    def run(self, script: Script, purpose: str) -> CommandResult:
        """Run *script* and return its result, whatever its exit status.

        Where a response of AWS's is lost, SSM's list is searched for the command before it is sent again; should SSM
        have both, the script itself sees to it that it runs once.

        Args:
            script: What to run.
            purpose: What it is for, as the terminal and SSM's history show it.

        Raises:
            CommandError: When it did not run to its end, that cannot be known, or its output cannot be had whole.
        """
        token = secrets.token_hex(TOKEN_BYTES)
        comment = f"{f'etl-manager {purpose}'[:MAX_PURPOSE]} [{token}]"
        seconds = min(self.retry.timeouts.execution_timeout * script.phases, LONGEST_EXECUTION)
        command = PendingCommand(purpose, token, comment, self.instance_id, self.retry_hint, execution_timeout=seconds)
        self.on_status(f"{purpose} · sending")
        try:
            for attempt in self.retry.attempts("SendCommand", command):
                with attempt:
                    delivery = self.retry.timeouts.delivery_timeout
                    answer = self.client.send_command(**self.request(script, token, comment, delivery, seconds))
                    self.commands_sent += 1
                    command.command_id = str(answer["Command"]["CommandId"])
                    break
                if attempt.response_lost:
                    self.commands_sent += 1
                    command.response_lost = True
                    if self._find(command):
                        break
            result, marker = self._result(command, tells_progress=script.tells_progress)
        except KeyboardInterrupt:
            self._cancel(command)
            raise
        carried = marker.content
        while marker.remainder_file and len(carried) < marker.size:
            carried += self._fetch(marker.remainder_file, len(carried))
        return replace(result, stdout=marker.decode(carried), paged=bool(marker.remainder_file))

    def request(self, script: Script, token: str, comment: str, delivery: int, execution: int) -> dict[str, Any]:
        """Return what SendCommand is given for *script*, with *delivery* and *execution* seconds of time."""
        return {
            "InstanceIds": [self.instance_id],
            "DocumentName": DOCUMENT,
            "Comment": comment,
            "TimeoutSeconds": delivery,
            "Parameters": {"commands": [self.text(script, token)], "executionTimeout": [str(execution)]},
        }

    def _result(self, command: PendingCommand, *, tells_progress: bool) -> tuple[CommandResult, EndMarker]:
        """Wait for the end of *command*, or of the one that ran in its place; return it with its end marker."""
        result, marker = self._wait(command, tells_progress=tells_progress)
        if marker is not None and marker.status == REFUSED:
            if not command.response_lost and marker.content == "why=over":
                raise CommandError(
                    f"The run's folder {self.runtime} on the bastion is gone, and nothing was run",
                    context={"SSM command": result.command_id, "instance": result.instance_id},
                    hint=f"The instance was rebooted, or /tmp cleared, in the middle of the run. {self.retry_hint}",
                )
            if not self._find(command):
                raise CommandError(
                    "The command was given to SSM twice, since an answer was lost on the network; it runs once, the other time",
                    context={"SSM command": command.command_id, "instance": command.instance_id},
                    hint=(
                        "SSM does not show the other one yet; its output will be there: aws ssm list-commands "
                        f"--instance-id {command.instance_id} --query \"Commands[?Comment=='{command.comment}'].CommandId\""
                    ),
                )
            command.status = ""
            result, marker = self._wait(command, tells_progress=tells_progress)
        if marker is None:
            raise CommandError(
                f"The command ended without its end marker (exit status {result.exit_status}): "
                f"{result.stderr.strip()[:400] or 'it printed nothing on stderr'}",
                context={"SSM command": result.command_id, "instance": result.instance_id},
                hint=f"It was cut off on the bastion. {self.retry_hint}",
            )
        if marker.token != command.token:
            raise CommandError(
                "SSM returned the output of another command, and it is not used",
                context={"SSM command": result.command_id, "instance": result.instance_id, "token": command.token},
                hint=f"Look at the command in the SSM console; its output ends in its own token. {self.retry_hint}",
            )
        if (result.status == "Success", result.exit_status) != (marker.status == 0, marker.status):
            raise CommandError(
                f"SSM says {result.status} with exit status {result.exit_status}, and the command itself {marker.status}",
                context={"SSM command": result.command_id, "instance": result.instance_id},
                hint=f"Look at the command in the SSM console; its output ends in its own status. {self.retry_hint}",
            )
        if marker.status == OUTPUT_LOST:
            raise CommandError(
                "The output of the command could not be written whole on the bastion",
                context={"SSM command": result.command_id, "instance": result.instance_id},
                hint=f"Is /tmp full there, or out of inodes? df -h /tmp; df -i /tmp\n{self.retry_hint}",
            )
        return result, marker

    def _fetch(self, remainder_file: str, offset: int) -> str:
        script = Script(("fetch.sh",), ["fetch"], {"REMAINDER": remainder_file, "OFFSET": str(offset)})
        page = self.run(script, "fetch the rest")
        if page.exit_status != 0 or not page.stdout:
            raise CommandError(
                "The rest of a long output is gone from the bastion",
                context={"SSM command": page.command_id, "offset": offset},
                hint=self.retry_hint,
            )
        return page.stdout.decode()

    def _find(self, command: PendingCommand) -> bool:
        """List commands several times until another one than *command* has its comment; make *command* that one."""
        for pause in self.retry.timeouts.lookup_delays:
            self.retry.sleep(pause)
            for attempt in self.retry.attempts("ListCommands", command):
                with attempt:
                    answer = self.client.list_commands(InstanceId=self.instance_id, MaxResults=MAX_LISTED)
                    break
            found = (str(item["CommandId"]) for item in answer["Commands"] if item.get("Comment") == command.comment)
            if other := next((command_id for command_id in found if command_id != command.command_id), None):
                command.command_id = other
                return True
        return False

    def _wait(self, command: PendingCommand, *, tells_progress: bool) -> tuple[CommandResult, EndMarker | None]:
        clock, timeouts = self.retry.clock, self.retry.timeouts
        started, agent = clock(), AgentMonitor(self.client, self.retry, command)
        progress = ProgressMonitor(self, command.purpose)
        for pause in self.retry.pauses():
            self.retry.sleep(pause)
            polled = clock() - started
            invocation = self._poll(command)
            waited = clock() - started
            ended = invocation is not None and command.status not in UNFINISHED
            note = "" if ended else agent.poll_status(waited)
            told = progress.poll() if tells_progress and command.status == "InProgress" else ""
            doing = told or f"{command.purpose} · {command.status or 'Pending'}"
            self.on_status(f"{doing}{note} · {waited:.0f} s")
            if ended:
                result = parse_invocation(command, invocation or {}, waited, timeouts)
                return result, read_end_marker(result.stdout.decode())
            if invocation is None and not command.status and polled > timeouts.retry_timeout:
                self.retry.reachable = False
                raise command.error(f"SSM took the command and did not show it for {timeouts.retry_timeout:.0f} s", "")
            if waited > timeouts.delivery_timeout + command.execution_timeout + timeouts.retry_timeout:
                raise incomplete_error(
                    command, command.status, "no end after the longest time it may take", may_have_run=True
                )
        raise AssertionError  # pauses never end

    def _poll(self, command: PendingCommand) -> dict[str, Any] | None:
        """Return the invocation, or None while SSM does not know it yet: it is eventually consistent."""
        for attempt in self.retry.attempts("GetCommandInvocation", command):
            with attempt:
                answer: dict[str, Any] = self.client.get_command_invocation(
                    CommandId=command.command_id, InstanceId=self.instance_id
                )
                command.status = str(answer.get("Status", ""))
                return answer
            if attempt.code == "InvocationDoesNotExist":
                return None
        raise AssertionError  # attempts never end

    def _cancel(self, command: PendingCommand) -> None:
        """Have SSM stop the command, and wait a little for its end (AWS: CancelCommand is best effort).

        Errors are not shown: the user who interrupted the run does not want to wait for them.
        """
        with suppress(BotoCoreError, ClientError, CommandError):
            if not (command.command_id or self._find(command)):
                return
            self.client.cancel_command(CommandId=command.command_id, InstanceIds=[self.instance_id])
            started = self.retry.clock()
            for pause in self.retry.pauses():
                ended = self._poll(command) is not None and command.status not in UNFINISHED
                waited = self.retry.clock() - started
                self.on_status(f"{command.purpose} · {command.status or 'Cancelling'} · {waited:.0f} s")
                if ended or waited > self.retry.timeouts.cancel_timeout:
                    return
                self.retry.sleep(pause)


class AgentMonitor:
    """Polls whether the agent that runs *command* is online."""

    def __init__(self, client: Any, retry: Retry, command: PendingCommand) -> None:
        self._client = client
        self._retry = retry
        self._command = command
        self._polled_at = self._online_at = 0.0
        self._status = ONLINE

    def poll_status(self, waited: float) -> str:
        """Poll now and then, *waited* seconds after the command was sent, and return what to add to its status.

        Raises:
            CommandError: When the agent was offline for too long; the command is cancelled, as far as that is possible.
        """
        timeout = self._retry.timeouts.agent_timeout
        if waited - self._polled_at >= timeout / AGENT_POLLS:
            self._polled_at, self._status = waited, self._ping()
            if self._status == ONLINE:
                self._online_at = waited
            elif waited - self._online_at >= timeout:
                self._give_up()
        return "" if self._status == ONLINE else f" · agent {self._status}"

    def _ping(self) -> str:
        filters = [{"Key": "InstanceIds", "Values": [self._command.instance_id]}]
        try:
            nodes = self._client.describe_instance_information(Filters=filters)["InstanceInformationList"]
        except (BotoCoreError, ClientError):
            return self._status  # no response says nothing of the agent
        return str(nodes[0]["PingStatus"]) if nodes else "not a managed node"

    def _give_up(self) -> None:
        with suppress(BotoCoreError, ClientError):
            self._client.cancel_command(CommandId=self._command.command_id, InstanceIds=[self._command.instance_id])
        self._retry.reachable = False
        raise incomplete_error(
            self._command,
            self._command.status,
            f"the agent of the bastion is lost ({self._status}) and will not tell how it ended; it was cancelled, and may "
            "still run when the agent is back, unless this project's next run is there first",
            may_have_run=True,
        )


class ProgressMonitor:
    """Asks the bastion how far a long command is, by small commands of their own, fewer the longer it takes.

    An hour takes eight. They are not waited for, and nothing that goes wrong with one matters.
    """

    def __init__(self, run_command: RunCommand, purpose: str) -> None:
        self._run = run_command
        self._purpose = purpose
        self._delay = run_command.retry.timeouts.progress_delay
        self._started = self._read_at = run_command.retry.clock()
        self._command_id = self._token = ""
        self._polls = 0
        self._last: PhaseProgress | None = None

    def poll(self) -> str:
        """Ask where that is due, and return how far the command was when it was last known; empty where it is not."""
        now = self._run.retry.clock()
        with suppress(CommandError, KeyError), Attempt():  # this is no part of the run: nothing is tried again
            if self._command_id:
                self._poll_command(now)
            elif now - self._started >= self._delay:
                self._delay *= 2
                self._send()
        return self._last.line(now - self._read_at) if self._last else ""

    def _send(self) -> None:
        token = secrets.token_hex(TOKEN_BYTES)
        comment = f"etl-manager progress [{token}]"
        request = self._run.request(PROGRESS, token, comment, SHORTEST_TIMEOUT, SHORTEST_TIMEOUT)
        answer = self._run.client.send_command(**request)
        self._run.commands_sent += 1
        self._command_id, self._token, self._polls = str(answer["Command"]["CommandId"]), token, 0

    def _poll_command(self, now: float) -> None:
        command_id, self._polls = self._command_id, self._polls + 1
        if self._polls == PROGRESS_POLLS:
            self._command_id = ""
        answer = self._run.client.get_command_invocation(CommandId=command_id, InstanceId=self._run.instance_id)
        if answer["Status"] in UNFINISHED:
            return
        self._command_id = ""
        marker = read_end_marker(str(answer["StandardOutputContent"]))
        if marker and marker.token == self._token and not marker.status:
            said = marker.decode(marker.content).decode("utf-8", "replace")
            self._last, self._read_at = PhaseProgress.read(said), now
            if self._last:
                LOG.info("%s: %s", self._purpose, self._last.line())


def parse_invocation(
    command: PendingCommand, answer: Mapping[str, Any], seconds: float, timeouts: Timeouts
) -> CommandResult:
    """Return the result of a command that exited by itself, with as much of its output as SSM keeps.

    Raises:
        CommandError: When it did not exit: it never ran, was killed, or that cannot be known.
    """
    status, details = command.status, str(answer.get("StatusDetails", "")).replace(" ", "")
    code = answer.get("ResponseCode", -1)
    exit_status = code if isinstance(code, int) else -1
    stderr = str(answer.get("StandardErrorContent", ""))
    stdout = str(answer.get("StandardOutputContent", ""))
    # Failed without a word is the agent's own answer where its document worker died: our scripts always print.
    silent = status == "Failed" and not stdout and not stderr
    if status in {"Success", "Failed"} and exit_status >= 0 and details in {"Success", "Failed", ""} and not silent:
        return CommandResult(
            command_id=command.command_id,
            instance_id=command.instance_id,
            status=status,
            exit_status=exit_status,
            stdout=stdout.encode(errors="replace"),  # of half a surrogate pair; its digest tells
            stderr=stderr,
            seconds=seconds,
        )
    reasons = {
        "DeliveryTimedOut": f"the agent did not fetch it within {timeouts.delivery_timeout} s",
        "ExecutionTimedOut": f"it ran longer than {command.execution_timeout} s, or was killed (exit status 137)",
        "Undeliverable": "SSM says that it could not deliver it",
        "Cancelled": "it was cancelled",
        "Terminated": "its parent command was stopped",
        "Failed": "it was cut off on the bastion: the instance was rebooted, or its agent's worker died",
    }
    # Undeliverable has been seen on commands that did run: only DeliveryTimedOut is a safe no.
    raise incomplete_error(
        command,
        f"{status}/{details}",
        reasons.get(details, "it did not run to its end"),
        may_have_run=details != "DeliveryTimedOut",
        stderr=stderr.strip(),
    )


def incomplete_error(
    command: PendingCommand, status: str, reason: str, *, may_have_run: bool, stderr: str = ""
) -> CommandError:
    """Return the error of a command that is over without a result."""
    known = "it may have run in part" if may_have_run else "it did not run"
    here = f"--instance-id {command.instance_id}"
    busy = f"What it is at, ten commands at most: aws ssm list-commands {here} --filters key=Status,value=InProgress"
    then = command.retry_hint if may_have_run else f"{busy}\nThen run again."
    return CommandError(
        f"The command on the bastion did not complete: {reason}; {known}",
        context={
            "SSM command": command.command_id,
            "comment": command.comment,
            "instance": command.instance_id,
            "status": status,
            "said": stderr[-200:],
        },
        hint=(
            "Look at the agent: aws ssm describe-instance-information --filters Key=InstanceIds,"
            f"Values={command.instance_id}\n{then}"
        ),
    )
