"""What SSM says of a command that is over: a result, or that it never ran to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from etl_manager.bastion.calls import Sent, Waiting
from etl_manager.errors import CommandError

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


def judge(sent: Sent, answer: Mapping[str, Any], waited: float, waiting: Waiting) -> Invocation:
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
    raise ended(
        sent,
        f"{status}/{details}",
        reasons.get(details, "it did not run to its end"),
        may_have_run=details != "DeliveryTimedOut",
        said=str(answer.get("StandardErrorContent", "")).strip(),
    )


def ended(sent: Sent, status: str, reason: str, *, may_have_run: bool, said: str = "") -> CommandError:
    """Return the error of a command that is over without a result."""
    known = "it may have run in part" if may_have_run else "it did not run"
    return CommandError(
        f"The command on the bastion did not complete: {reason}; {known}",
        where={
            "SSM command": sent.command_id,
            "comment": sent.comment,
            "instance": sent.instance_id,
            "status": status,
            "said": said[-200:],
        },
        remedy=(
            "Look at the agent: aws ssm describe-instance-information --filters Key=InstanceIds,"
            f"Values={sent.instance_id}\n{sent.again if may_have_run else 'Then run again.'}"
        ),
    )


def taken(invocation: Invocation) -> CommandError:
    """Return the error of a command whose other sending has the right to run, where that one cannot be found."""
    return CommandError(
        "The command was given to SSM twice, since an answer was lost on the network; it runs once, the other time",
        where={"SSM command": invocation.command_id, "instance": invocation.instance_id},
        remedy=(
            "SSM does not show the other one yet; its output will be there: aws ssm list-commands "
            f"--instance-id {invocation.instance_id} --query \"Commands[?Comment=='{invocation.comment}'].CommandId\""
        ),
    )
