"""What SSM says of a command that is over: a result, or that it never ran to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from etl_manager.errors import CommandError
from etl_manager.ssm.retry import PendingCommand, RetryingClient, Timeouts

UNFINISHED = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
TAKEN = 77
"""The exit status of a command that SSM was given twice, where the other one has the right to run."""


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What a command that ran to its end left behind, as SSM tells it (outputs may be cut at SSM's limits).

    `doubtful` says that an answer to its sending was lost, so that SSM may have it twice.
    """

    command_id: str
    instance_id: str
    status: str
    exit_code: int
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    seconds: float
    comment: str = ""
    doubtful: bool = False


def parse_invocation(sent: PendingCommand, answer: Mapping[str, Any], waited: float, waiting: Timeouts) -> Invocation:
    """Return the result of a command that exited by itself.

    Raises:
        CommandError: When it did not: it never ran, was killed, or that cannot be known.
    """
    status, details = str(answer["Status"]), str(answer.get("StatusDetails", "")).replace(" ", "")
    exit_code = int(answer.get("ResponseCode", -1))
    if status in {"Success", "Failed"} and exit_code >= 0 and details in {"Success", "Failed", ""}:
        return Invocation(
            command_id=sent.command_id,
            instance_id=sent.instance_id,
            status=status,
            exit_code=exit_code,
            stdout=str(answer.get("StandardOutputContent", "")),
            stderr=str(answer.get("StandardErrorContent", "")),
            seconds=waited,
            comment=sent.comment,
            doubtful=sent.doubtful,
        )
    reasons = {
        "DeliveryTimedOut": f"the agent did not fetch it within {waiting.delivery} s",
        "ExecutionTimedOut": f"it ran longer than {waiting.execution} s, or was killed (exit status 137)",
        "Undeliverable": "SSM says that it could not deliver it",
        "Cancelled": "it was cancelled",
        "Terminated": "its parent command was stopped",
        "Failed": "it was cut off on the bastion: the instance was rebooted, or its agent stopped",
    }
    # Undeliverable has been seen on commands that did run: only DeliveryTimedOut is a safe no.
    raise incomplete_error(
        sent,
        f"{status}/{details}",
        reasons.get(details, "it did not run to its end"),
        may_have_run=details != "DeliveryTimedOut",
        said=str(answer.get("StandardErrorContent", "")).strip(),
    )


def incomplete_error(
    sent: PendingCommand, status: str, reason: str, *, may_have_run: bool, said: str = ""
) -> CommandError:
    """Return the error of a command that is over without a result."""
    known = "it may have run in part" if may_have_run else "it did not run"
    return CommandError(
        f"The command on the bastion did not complete: {reason}; {known}",
        context={
            "SSM command": sent.command_id,
            "comment": sent.comment,
            "instance": sent.instance_id,
            "status": status,
            "said": said[-200:],
        },
        hint=(
            "Look at the agent: aws ssm describe-instance-information --filters Key=InstanceIds,"
            f"Values={sent.instance_id}\n{sent.again if may_have_run else 'Then run again.'}"
        ),
    )


def duplicate_error(invocation: Invocation) -> CommandError:
    """Return the error of a command whose other sending has the right to run, where that one cannot be found."""
    return CommandError(
        "The command was given to SSM twice, since an answer was lost on the network; it runs once, the other time",
        context={"SSM command": invocation.command_id, "instance": invocation.instance_id},
        hint=(
            "SSM does not show the other one yet; its output will be there: aws ssm list-commands "
            f"--instance-id {invocation.instance_id} --query \"Commands[?Comment=='{invocation.comment}'].CommandId\""
        ),
    )


ONLINE = "Online"
LOOKS = 10
"""How often the agent is asked for before it is given up."""


class AgentMonitor:
    """Watches over the command *sent*."""

    def __init__(self, client: Any, calls: RetryingClient, sent: PendingCommand) -> None:
        self._client = client
        self._calls = calls
        self._sent = sent
        self._asked = self._online = 0.0
        self._status = ONLINE

    def remark(self, waited: float) -> str:
        """Ask now and then, *waited* seconds after the command was sent, and return what to add to its status.

        Raises:
            CommandError: When the agent was not online for too long; the command is cancelled, as well as that goes.
        """
        patience = self._calls.waiting.agent
        if waited - self._asked >= patience / LOOKS:
            self._asked, self._status = waited, self._ping()
            if self._status == ONLINE:
                self._online = waited
            elif waited - self._online >= patience:
                self._give_up()
        return "" if self._status == ONLINE else f" · agent {self._status}"

    def _ping(self) -> str:
        wanted = [{"Key": "InstanceIds", "Values": [self._sent.instance_id]}]
        try:
            nodes = self._client.describe_instance_information(Filters=wanted)["InstanceInformationList"]
        except (BotoCoreError, ClientError):
            return self._status  # no answer is no proof of anything
        return str(nodes[0]["PingStatus"]) if nodes else "not a managed node"

    def _give_up(self) -> None:
        with suppress(BotoCoreError, ClientError):
            self._client.cancel_command(CommandId=self._sent.command_id, InstanceIds=[self._sent.instance_id])
        self._calls.reachable = False
        raise incomplete_error(
            self._sent,
            self._sent.status,
            f"the agent of the bastion is lost ({self._status}) and will not tell how it ended; it was cancelled for "
            "when the agent is back",
            may_have_run=True,
        )


DOCUMENT = "AWS-RunShellScript"
SAFE_AGAIN = "Run again: every phase is safe to repeat."
MOST_LISTED = 20
"""Commands looked at for one whose answer was lost: an agent runs 5 at once, so that it is among the newest."""


@dataclass
class RunCommand:
    """Sends scripts to one instance.

    Args:
        client: A boto3 SSM client that does not retry by itself.
        instance_id: The bastion.
        calls: How calls are made.
        on_status: Called at every look with the status and the seconds since the command was sent.
        again: What a user is told of a command that may have run in part.
    """

    client: Any
    instance_id: str
    calls: RetryingClient = field(default_factory=RetryingClient)
    on_status: Callable[[str, float], None] = lambda _status, _seconds: None
    again: str = SAFE_AGAIN
    sent: int = 0

    def run(self, script: str, comment: str) -> Invocation:
        """Run *script* and return what it left.

        Where an answer of AWS's is lost, SSM is looked through for *comment* before the script is sent again; should
        both arrive, the script itself has to see to it that it runs once.

        Args:
            script: The whole script; its first line is its shebang.
            comment: What the command is for, unlike any other; it stands in SSM's history (AWS: at most 100 characters).

        Raises:
            CommandError: When the command did not run to its end, or that cannot be known.
        """
        sent = PendingCommand(comment, self.instance_id, self.again)
        try:
            self._send(sent, script)
            return self._wait(sent)
        except KeyboardInterrupt:
            self._cancel(sent)
            raise

    def twin(self, invocation: Invocation) -> Invocation | None:
        """Return, once it ended, the other command that was sent with the comment of *invocation*; None without one.

        Raises:
            CommandError: When it did not run to its end.
        """
        sent = PendingCommand(invocation.comment, self.instance_id, self.again)
        if not self._find(sent, but=invocation.command_id):
            return None
        return self._wait(sent)

    def _send(self, sent: PendingCommand, script: str) -> None:
        waiting = self.calls.waiting

        def send_command(**words: Any) -> str:
            answer = self.client.send_command(**words)
            self.sent += 1
            return str(answer["Command"]["CommandId"])

        def look_for_it() -> str | None:
            self.sent += 1
            sent.doubtful = True
            return self._find(sent)

        sent.command_id = self.calls.ask(
            send_command,
            sent,
            lost=look_for_it,
            InstanceIds=[self.instance_id],
            DocumentName=DOCUMENT,
            Comment=sent.comment,
            TimeoutSeconds=waiting.delivery,
            Parameters={"commands": [script], "executionTimeout": [str(waiting.execution)]},
        )

    def _find(self, sent: PendingCommand, but: str = "") -> str | None:
        """Look several times for a command with the comment of *sent*, other than *but*; note its id there."""
        for pause in self.calls.waiting.settling:
            self.calls.sleep(pause)
            answer = self.calls.ask(
                self.client.list_commands, sent, InstanceId=self.instance_id, MaxResults=MOST_LISTED
            )
            found = (item["CommandId"] for item in answer["Commands"] if item.get("Comment") == sent.comment)
            if other := next((str(command_id) for command_id in found if command_id != but), None):
                sent.command_id = other
                return other
        return None

    def _wait(self, sent: PendingCommand) -> Invocation:
        clock, waiting = self.calls.clock, self.calls.waiting
        started, agent = clock(), AgentMonitor(self.client, self.calls, sent)
        for pause in self.calls.pauses():
            self.calls.sleep(pause)
            asked = clock() - started
            answer = self._look(sent)
            waited = clock() - started
            if answer is not None and sent.status not in UNFINISHED:
                self.on_status(sent.status, waited)
                return parse_invocation(sent, answer, waited, waiting)
            self.on_status(f"{sent.status or 'Pending'}{agent.remark(waited)}", waited)
            if answer is None and not sent.status and asked > waiting.patience:
                self.calls.reachable = False
                raise sent.error(f"SSM took the command and did not show it for {waiting.patience:.0f} s", "")
            if waited > waiting.delivery + waiting.execution + waiting.patience:
                raise incomplete_error(
                    sent, sent.status, "no end after the longest time it may take", may_have_run=True
                )
        raise AssertionError  # pauses never end

    def _look(self, sent: PendingCommand) -> dict[str, Any] | None:
        """Return the invocation, or None while SSM does not know it yet: it is eventually consistent."""
        answer: dict[str, Any] | None = self.calls.ask(
            self.client.get_command_invocation,
            sent,
            absent="InvocationDoesNotExist",
            CommandId=sent.command_id,
            InstanceId=self.instance_id,
        )
        if answer is not None:
            sent.status = str(answer["Status"])
        return answer

    def _cancel(self, sent: PendingCommand) -> None:
        """Have SSM stop the command, and wait a little for its end (AWS: CancelCommand is best effort).

        What cannot be had is not told: whoever interrupted us wants to be gone.
        """
        with suppress(BotoCoreError, ClientError, CommandError):
            if not (sent.command_id or self._find(sent)):
                return
            self.client.cancel_command(CommandId=sent.command_id, InstanceIds=[self.instance_id])
            started = self.calls.clock()
            for pause in self.calls.pauses():
                over = self._look(sent) is not None and sent.status not in UNFINISHED
                waited = self.calls.clock() - started
                self.on_status(sent.status or "Cancelling", waited)
                if over or waited > self.calls.waiting.cancelling:
                    return
                self.calls.sleep(pause)
