"""Run Command: send one script to the bastion, wait for its end, and tell a result from a command that never ran.

A non-zero exit status is a result; the caller judges it. Whatever keeps a command from running to its end is a
`CommandError` that names the command, its status, whether it may have run, and what to look at.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004

from etl_manager.bastion.agent import AgentWatch
from etl_manager.errors import CommandError

DOCUMENT = "AWS-RunShellScript"
DELIVERY_SECONDS = 120
"""How long SSM may take to hand a command to the agent (``TimeoutSeconds``; AWS: SendCommand accepts 30 and more)."""
EXECUTION_SECONDS = 3_600
"""How long a command may run (``executionTimeout``, the document's own default)."""
FIRST_PAUSE, PAUSE_GROWTH, LONGEST_PAUSE = 0.1, 1.5, 2.0
"""Pauses between two looks at a command, in seconds."""
UNFINISHED = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
BACK_OFF = frozenset({"ThrottlingException", "Throttling", "RequestLimitExceeded", "InternalServerError"})
"""Answers of AWS that ask to come again later; the call had no effect."""
REFUSALS = {
    "InvalidInstanceId": "The bastion is not a managed node in a valid state: is it running, and its SSM agent online?",
    "AccessDeniedException": "The operator's policy does not allow this call; docs/aws.md has the policy.",
    "ExpiredTokenException": "The AWS credentials have expired: log in again, then run again.",
    "ExpiredToken": "The AWS credentials have expired: log in again, then run again.",
    "UnrecognizedClientException": "AWS does not know these credentials: check the profile and the region.",
}
TAKEN = 77
"""The exit status of a command that may run once, where it was run already: see `RunCommand.twin`."""
SAFE_AGAIN = "Run again: every phase is safe to repeat."
PATIENCE_SECONDS = 60
"""How long throttling or a broken connection is borne before the run gives up on a call."""


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What a command that ran to its end left behind, as SSM tells it (outputs may be cut at SSM's limits)."""

    command_id: str
    instance_id: str
    status: str
    exit_code: int
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    seconds: float


@dataclass
class RunCommand:
    """Sends scripts to one instance. *clock* and *sleep* are arguments so that tests need not wait.

    Args:
        client: A boto3 SSM client that does not retry by itself: a resent SendCommand could run a script twice.
        instance_id: The bastion.
        on_status: Called at every look with the status and the seconds since the command was sent.
        again: What a user is told of a command that may have run in part.
    """

    client: Any
    instance_id: str
    on_status: Callable[[str, float], None] = lambda _status, _seconds: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    sent: int = 0
    again: str = SAFE_AGAIN

    def run(self, script: str, comment: str) -> Invocation:
        """Run *script* and return what it left.

        Args:
            script: The whole script; its first line is its shebang.
            comment: What the command is for; it stands in SSM's history (AWS: at most 100 characters).

        Raises:
            CommandError: When the command did not run to its end, or that cannot be known.
        """
        command_id = self._send(script, comment)
        try:
            return self._wait(command_id)
        except KeyboardInterrupt:
            self._cancel(command_id)
            raise

    def twin(self, invocation: Invocation) -> Invocation | None:
        """Return, once it ended, the command that was sent before *invocation* with the same text; None without one.

        There are two when the answer to the first was lost, and SSM did not show it when it was looked for.

        Raises:
            CommandError: When it did not run to its end.
        """
        for _ in self._attempts("ListCommands", invocation.command_id):
            try:
                commands = self.client.list_commands(InstanceId=self.instance_id, MaxResults=10)["Commands"]
            except (ConnectionError, HTTPClientError):
                continue
            except ClientError as error:
                self._bear(error, "ListCommands", invocation.command_id)
                continue
            comments = {str(item["CommandId"]): str(item.get("Comment")) for item in commands}
            mine = comments.pop(invocation.command_id, None)
            return next((self._wait(other) for other, comment in comments.items() if comment == mine), None)
        raise AssertionError

    def _send(self, script: str, comment: str) -> str:
        """Send once. When the answer is lost on the way, look whether SSM has the command before sending again."""
        token = secrets.token_hex(4)
        comment = f"{comment[:80]} [{token}]"
        self.sent += 1
        for _ in self._attempts("SendCommand"):
            try:
                answer = self.client.send_command(
                    InstanceIds=[self.instance_id],
                    DocumentName=DOCUMENT,
                    Comment=comment,
                    TimeoutSeconds=DELIVERY_SECONDS,
                    Parameters={"commands": [script], "executionTimeout": [str(EXECUTION_SECONDS)]},
                )
            except (ConnectionError, HTTPClientError):
                if command_id := self._already_sent(comment):
                    return command_id
            except ClientError as error:
                self._bear(error, "SendCommand")
            else:
                return str(answer["Command"]["CommandId"])
        raise AssertionError  # _attempts raises before it ends

    def _already_sent(self, comment: str) -> str | None:
        """Return the id of the command that carries *comment*, which holds a random token of this run."""
        for _ in self._attempts("ListCommands"):
            try:
                commands = self.client.list_commands(InstanceId=self.instance_id, MaxResults=10)["Commands"]
            except (ConnectionError, HTTPClientError):
                continue
            except ClientError as error:
                self._bear(error, "ListCommands")
                continue
            return next((str(item["CommandId"]) for item in commands if item.get("Comment") == comment), None)
        raise AssertionError

    def _wait(self, command_id: str) -> Invocation:
        started = self.clock()
        deadline = started + DELIVERY_SECONDS + EXECUTION_SECONDS + PATIENCE_SECONDS
        pause = FIRST_PAUSE
        status = "Pending"
        agent = AgentWatch(self.client, self.instance_id, self.clock)
        while self.clock() < deadline:
            self.sleep(pause)
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE)
            answer = self._look(command_id)
            if answer is not None:
                status = str(answer["Status"])
            waited = self.clock() - started
            self.on_status(status, waited)
            if answer is not None and status not in UNFINISHED:
                return self._judge(command_id, answer, waited)
            if agent.lost():
                reason = f"the agent of the bastion is lost ({agent.status}) and will not tell how it ended"
                raise self._lost(command_id, status, reason, may_have_run=True)
        raise self._lost(command_id, status, "no end after the longest time it may take", may_have_run=True)

    def _look(self, command_id: str) -> dict[str, Any] | None:
        """Return the invocation, or None while SSM does not know it yet: it is eventually consistent."""
        for _ in self._attempts("GetCommandInvocation", command_id):
            try:
                answer: dict[str, Any] = self.client.get_command_invocation(
                    CommandId=command_id, InstanceId=self.instance_id
                )
            except (ConnectionError, HTTPClientError):
                continue
            except ClientError as error:
                if error.response["Error"]["Code"] == "InvocationDoesNotExist":
                    return None
                self._bear(error, "GetCommandInvocation", command_id)
            else:
                return answer
        raise AssertionError

    def _judge(self, command_id: str, answer: dict[str, Any], waited: float) -> Invocation:
        """Return the result of a command that exited by itself; 137 as TimedOut and all else never ended."""
        status, details = str(answer["Status"]), str(answer.get("StatusDetails", "")).replace(" ", "")
        exit_code = int(answer.get("ResponseCode", -1))
        if status in {"Success", "Failed"} and exit_code >= 0 and details in {"Success", "Failed", ""}:
            return Invocation(
                command_id=command_id,
                instance_id=self.instance_id,
                status=status,
                exit_code=exit_code,
                stdout=str(answer.get("StandardOutputContent", "")),
                stderr=str(answer.get("StandardErrorContent", "")),
                seconds=waited,
            )
        reasons = {
            "DeliveryTimedOut": f"the agent did not fetch it within {DELIVERY_SECONDS} s",
            "ExecutionTimedOut": f"it ran longer than {EXECUTION_SECONDS} s, or was killed (exit status 137)",
            "Undeliverable": "SSM could not deliver it",
            "Cancelled": "it was cancelled",
            "Terminated": "its parent command was stopped",
        }
        # AWS-documented Undeliverable has been seen on commands that did run: only DeliveryTimedOut is a safe no.
        raise self._lost(
            command_id,
            f"{status}/{details}",
            reasons.get(details, "it did not run to its end"),
            may_have_run=details != "DeliveryTimedOut",
        )

    def _lost(self, command_id: str, status: str, reason: str, *, may_have_run: bool) -> CommandError:
        known = "it may have run in part" if may_have_run else "it did not run"
        return CommandError(
            f"The command on the bastion did not complete: {reason}; {known}",
            where={"SSM command": command_id, "instance": self.instance_id, "status": status},
            remedy=(
                f"Look at the agent: aws ssm describe-instance-information --filters Key=InstanceIds,"
                f"Values={self.instance_id}\n{self.again if may_have_run else 'Then run again.'}"
            ),
        )

    def _attempts(self, call: str, command_id: str = "") -> Iterator[int]:
        """Yield attempt numbers with growing pauses between them, until the patience for *call* is used up."""
        started, pause, attempt = self.clock(), FIRST_PAUSE, 0
        while True:
            yield attempt
            if self.clock() - started > PATIENCE_SECONDS:
                raise CommandError(
                    f"AWS did not answer {call} for {PATIENCE_SECONDS} s (throttled, or the connection breaks)",
                    where={"SSM command": command_id, "instance": self.instance_id},
                    remedy="Check the network and the account's request rate, then run again.",
                )
            self.sleep(pause)
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE)
            attempt += 1

    def _bear(self, error: ClientError, call: str, command_id: str = "") -> None:
        """Return when AWS asks to come again; raise with what to do when it refuses."""
        code = str(error.response["Error"]["Code"])
        if code in BACK_OFF:
            return
        detail = str(error.response["Error"].get("Message", ""))
        raise CommandError(
            f"AWS refused {call}: {code}" + (f" ({detail})" if detail else ""),
            where={"SSM command": command_id, "instance": self.instance_id},
            remedy=REFUSALS.get(code, "Look the error up in the SSM API reference."),
        ) from error

    def _cancel(self, command_id: str) -> None:
        """Ask SSM to stop the command; best effort, as CancelCommand is (AWS: CancelCommand API reference)."""
        try:
            self.client.cancel_command(CommandId=command_id, InstanceIds=[self.instance_id])
        except (BotoCoreError, ClientError):
            self.on_status("cancel failed", 0.0)


def taken(invocation: Invocation) -> CommandError:
    """Return the error of a command that another sending of it had run, where that one cannot be found."""
    return CommandError(
        "The command was given to SSM twice, since an answer was lost on the network; it runs once, the other time",
        where={"SSM command": invocation.command_id, "instance": invocation.instance_id},
        remedy=(
            "SSM does not show the other one yet; its output will be there: aws ssm list-commands "
            f"--instance-id {invocation.instance_id} --max-results 5"
        ),
    )
