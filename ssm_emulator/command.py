"""A command and its invocation on each instance, as SSM keeps them, and the shapes it answers with."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from ssm_emulator.faults import CommandBehaviour

PLUGIN = "aws:runShellScript"
DOCUMENT = "AWS-RunShellScript"
FINISHED = frozenset({"Success", "Failed", "TimedOut", "Cancelled"})
_DETAILED_OUTPUT = 2500  # AWS: CommandPlugin, API reference


@dataclass(kw_only=True)
class Command:
    """What one SendCommand asked for, with an invocation for each instance.

    The limits are those of the request; what really happens is its `behaviour`.
    """

    command_id: str
    parameters: dict[str, list[str]]
    delivery_seconds: int
    execution_seconds: int
    requested: datetime
    request: dict[str, Any]
    behaviour: CommandBehaviour
    invocations: dict[str, Invocation] = field(default_factory=dict)

    @property
    def expires(self) -> datetime:
        """When SSM gives it up (AWS: monitor-commands: delivery and execution limit together)."""
        return self.requested + timedelta(seconds=self.delivery_seconds + self.execution_seconds)

    @property
    def visible(self) -> bool:
        """Whether GetCommandInvocation knows it yet (AWS: eventual consistency)."""
        return now() >= self.requested + timedelta(seconds=self.behaviour.invisible)

    def state(self) -> tuple[str, str]:
        """Return status and details over all instances; one instance's own where all agree."""
        states = {each.state for each in self.invocations.values()}
        if len(states) == 1:
            status, details = states.pop()
            # AWS: a command has no status Delayed
            return ("InProgress", "InProgress") if status == "Delayed" else (status, details)
        statuses = {status for status, _ in states}
        if not statuses <= FINISHED:
            status = "Cancelling" if "Cancelling" in statuses else "InProgress"
            return status, status
        if "Cancelled" in statuses:
            return "Cancelled", "Cancelled"
        return "Failed", "Failed" if self._errors() > self._allowed_errors() else "Incomplete"

    def summary(self) -> dict[str, Any]:
        """Return it as SendCommand and ListCommands show it; the parameters are in clear, as at AWS."""
        status, details = self.state()
        invocations = self.invocations.values()
        return {
            "CommandId": self.command_id,
            "ExpiresAfter": self.expires.timestamp(),
            "Parameters": self.parameters,
            "InstanceIds": self.request.get("InstanceIds", []),
            "Targets": self.request.get("Targets", []),
            "Status": status,
            "StatusDetails": details,
            "OutputS3BucketName": self.request.get("OutputS3BucketName", ""),
            "OutputS3KeyPrefix": self.request.get("OutputS3KeyPrefix", ""),
            "MaxConcurrency": self.request.get("MaxConcurrency", "50"),
            "MaxErrors": self.request.get("MaxErrors", "0"),
            "TargetCount": len(invocations),
            "CompletedCount": sum(each.finished for each in invocations),
            "ErrorCount": self._errors(),
            "DeliveryTimedOutCount": sum(each.details == "DeliveryTimedOut" for each in invocations),
            "TimeoutSeconds": self.delivery_seconds,
            **self.common(),
        }

    def common(self) -> dict[str, Any]:
        """Return what the command and its invocations show alike."""
        return {
            **self.described(),
            "RequestedDateTime": self.requested.timestamp(),
            "ServiceRole": "",
            "NotificationConfig": {"NotificationArn": "", "NotificationEvents": [], "NotificationType": ""},
        }

    def described(self) -> dict[str, Any]:
        """Return what every answer about it holds."""
        logs = self.request.get("CloudWatchOutputConfig", {})
        return {
            "Comment": self.request.get("Comment", ""),
            "DocumentName": DOCUMENT,
            "DocumentVersion": "$DEFAULT",
            "CloudWatchOutputConfig": {
                "CloudWatchLogGroupName": logs.get("CloudWatchLogGroupName", ""),
                "CloudWatchOutputEnabled": bool(logs.get("CloudWatchOutputEnabled", False)),
            },
        }

    def _errors(self) -> int:
        return sum(each.status in {"Failed", "TimedOut"} for each in self.invocations.values())

    def _allowed_errors(self) -> float:
        """Return MaxErrors as a number of instances."""
        most = str(self.request.get("MaxErrors", "0"))
        return int(most[:-1]) * len(self.invocations) / 100 if most.endswith("%") else int(most)


@dataclass(kw_only=True)
class Invocation:
    """A command on one instance.

    `lock` guards what the agent writes and the API reads; `cancelled` tells the agent to end it.
    """

    command: Command
    instance_id: str
    status: str = "Pending"
    details: str = "Pending"
    response_code: int = -1  # AWS: -1 until there is a reply
    stdout: str = ""
    stderr: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def finished(self) -> bool:
        """Whether its status is final."""
        return self.status in FINISHED

    @property
    def state(self) -> tuple[str, str]:
        """Status and details, of the same moment."""
        with self.lock:
            return self.status, self.details

    def set_status(self, status: str, details: str | None = None) -> None:
        """Take *status*; final ones end the clock. An invocation that is finished stays as it is."""
        with self.lock:
            if self.finished:
                return
            self.status, self.details = status, details or status
            if status == "InProgress" and self.started is None:
                self.started = now()
            if self.finished and self.started is not None:
                self.ended = now()

    def finish(
        self, status: str, response_code: int, *, details: str | None = None, stdout: str = "", stderr: str = ""
    ) -> None:
        """Take the final *status* with what the script left; an invocation that is finished stays as it is."""
        with self.lock:
            if not self.finished:
                self.response_code, self.stdout, self.stderr = response_code, stdout, stderr
                self.set_status(status, details)

    def cancel(self) -> None:
        """Have the agent end it: it never starts, or its whole process group is killed (AWS: best effort)."""
        with self.lock:
            self.set_status("Cancelling" if self.started else "Cancelled")
            self.cancelled.set()

    def answer(self) -> dict[str, Any]:
        """Return it as GetCommandInvocation shows it."""
        with self.lock:
            elapsed = f"PT{(self.ended - self.started).total_seconds():.3f}S" if self.started and self.ended else ""
            return {
                **self._identity(),
                **self.command.described(),
                "PluginName": PLUGIN,
                "ResponseCode": self.response_code,
                "ExecutionStartDateTime": _instant(self.started),
                "ExecutionElapsedTime": elapsed,
                "ExecutionEndDateTime": _instant(self.ended),
                "StandardOutputContent": self.stdout if self.finished else "",
                "StandardErrorContent": self.stderr if self.finished else "",
            }

    def listed(self, *, details: bool) -> dict[str, Any]:
        """Return it as ListCommandInvocations shows it, with the plugin's output where *details* are asked for."""
        with self.lock:
            return {
                **self._identity(),
                **self.command.common(),
                "InstanceName": "",
                "CommandPlugins": [self._plugin()] if details else [],
            }

    def _identity(self) -> dict[str, Any]:
        return {
            "CommandId": self.command.command_id,
            "InstanceId": self.instance_id,
            "Status": self.status,
            "StatusDetails": self.details,
            "StandardOutputUrl": "",
            "StandardErrorUrl": "",
        }

    def _plugin(self) -> dict[str, Any]:
        output = self.stdout + (f"\n----------ERROR-------\n{self.stderr}" if self.stderr else "")
        plugin = {
            "Name": PLUGIN,
            # AWS: the plugin knows neither Delayed nor Cancelling
            "Status": {"Delayed": "Pending", "Cancelling": "InProgress"}.get(self.status, self.status),
            "StatusDetails": self.details,
            "ResponseCode": self.response_code,
            "ResponseStartDateTime": self.started.timestamp() if self.started else None,
            "ResponseFinishDateTime": self.ended.timestamp() if self.ended else None,
            "Output": output[:_DETAILED_OUTPUT] if self.finished else "",
            "StandardOutputUrl": "",
            "StandardErrorUrl": "",
            "OutputS3Region": "",
            "OutputS3BucketName": self.command.request.get("OutputS3BucketName", ""),
            "OutputS3KeyPrefix": self.command.request.get("OutputS3KeyPrefix", ""),
        }
        return {name: value for name, value in plugin.items() if value is not None}


def now() -> datetime:
    """Return this moment."""
    return datetime.now(timezone.utc)


def _instant(moment: datetime | None) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else ""
