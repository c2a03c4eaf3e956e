"""Run Command: send one script to the bastion, wait for its end, and tell a result from a command that never ran.

A non-zero exit status is a result; the caller judges it. Whatever keeps a command from running to its end is a
`CommandError` that names the command, its status, whether it may have run, and what to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from etl_manager.bastion.agent import Agent
from etl_manager.bastion.calls import Calls, Sent
from etl_manager.bastion.verdict import UNFINISHED, Invocation, ended, judge
from etl_manager.errors import CommandError

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
    calls: Calls = field(default_factory=Calls)
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
        sent = Sent(comment, self.instance_id, self.again)
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
        sent = Sent(invocation.comment, self.instance_id, self.again)
        if not self._find(sent, but=invocation.command_id):
            return None
        return self._wait(sent)

    def _send(self, sent: Sent, script: str) -> None:
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

    def _find(self, sent: Sent, but: str = "") -> str | None:
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

    def _wait(self, sent: Sent) -> Invocation:
        clock, waiting = self.calls.clock, self.calls.waiting
        started, agent = clock(), Agent(self.client, self.calls, sent)
        for pause in self.calls.pauses():
            self.calls.sleep(pause)
            asked = clock() - started
            answer = self._look(sent)
            waited = clock() - started
            if answer is not None and sent.status not in UNFINISHED:
                self.on_status(sent.status, waited)
                return judge(sent, answer, waited, waiting)
            self.on_status(f"{sent.status or 'Pending'}{agent.remark(waited)}", waited)
            if answer is None and not sent.status and asked > waiting.patience:
                self.calls.reachable = False
                raise sent.error(f"SSM took the command and did not show it for {waiting.patience:.0f} s", "")
            if waited > waiting.delivery + waiting.execution + waiting.patience:
                raise ended(sent, sent.status, "no end after the longest time it may take", may_have_run=True)
        raise AssertionError  # pauses never end

    def _look(self, sent: Sent) -> dict[str, Any] | None:
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

    def _cancel(self, sent: Sent) -> None:
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
