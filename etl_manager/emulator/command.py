"""One command and its one invocation, as SSM keeps them, and the shapes it answers with."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from etl_manager.emulator.fate import Fate

PLUGIN = "aws:runShellScript"
DOCUMENT = "AWS-RunShellScript"
FINISHED = frozenset({"Success", "Failed", "TimedOut", "Cancelled"})
_DETAILED_OUTPUT = 2500  # AWS: CommandPlugin, API reference


@dataclass(kw_only=True)
class Command:
    """A command sent to one instance.

    `lock` guards what the agent writes and the API reads; `cancelled` tells the agent to end it. The limits are
    those that were asked for; what really happens is its `fate`.
    """

    command_id: str
    instance_id: str
    parameters: dict[str, list[str]]
    comment: str
    delivery_seconds: int
    execution_seconds: int
    requested: datetime
    request: dict[str, Any]
    fate: Fate
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
    def expires(self) -> datetime:
        """When SSM gives it up (AWS: monitor-commands: delivery and execution limit together)."""
        return self.requested + timedelta(seconds=self.delivery_seconds + self.execution_seconds)

    @property
    def visible(self) -> bool:
        """Whether GetCommandInvocation knows it yet (AWS: eventual consistency)."""
        return now() >= self.requested + timedelta(seconds=self.fate.invisible)

    @property
    def finished(self) -> bool:
        """Whether its status is final."""
        return self.status in FINISHED

    def become(self, status: str, details: str | None = None) -> None:
        """Take *status*; final ones end the clock. A command that is finished stays as it is."""
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
        """Take the final *status* with what the script left; a command that is finished stays as it is."""
        with self.lock:
            if not self.finished:
                self.response_code, self.stdout, self.stderr = response_code, stdout, stderr
                self.become(status, details)

    def cancel(self) -> None:
        """Have the agent end it: it never starts, or its whole process group is killed (AWS: best effort)."""
        with self.lock:
            self.become("Cancelling" if self.started else "Cancelled")
            self.cancelled.set()

    def summary(self) -> dict[str, Any]:
        """Return it as SendCommand and ListCommands show it; the parameters are in clear, as at AWS."""
        with self.lock:
            status = "InProgress" if self.status == "Delayed" else self.status  # AWS: Command has no Delayed
            return {
                "CommandId": self.command_id,
                "DocumentName": DOCUMENT,
                "DocumentVersion": "$DEFAULT",
                "Comment": self.comment,
                "ExpiresAfter": self.expires.timestamp(),
                "Parameters": self.parameters,
                "InstanceIds": self.request.get("InstanceIds", []),
                "Targets": self.request.get("Targets", []),
                "RequestedDateTime": self.requested.timestamp(),
                "Status": status,
                "StatusDetails": "InProgress" if self.details == "Delayed" else self.details,
                "OutputS3BucketName": self.request.get("OutputS3BucketName", ""),
                "OutputS3KeyPrefix": self.request.get("OutputS3KeyPrefix", ""),
                "MaxConcurrency": self.request.get("MaxConcurrency", "50"),
                "MaxErrors": self.request.get("MaxErrors", "0"),
                "TargetCount": 1,
                "CompletedCount": int(self.finished),
                "ErrorCount": int(self.status in {"Failed", "TimedOut"}),
                "DeliveryTimedOutCount": int(self.details == "DeliveryTimedOut"),
                "ServiceRole": "",
                "NotificationConfig": {"NotificationArn": "", "NotificationEvents": [], "NotificationType": ""},
                "CloudWatchOutputConfig": self._cloud_watch(),
                "TimeoutSeconds": self.delivery_seconds,
            }

    def invocation(self) -> dict[str, Any]:
        """Return it as GetCommandInvocation shows it."""
        with self.lock:
            elapsed = f"PT{(self.ended - self.started).total_seconds():.3f}S" if self.started and self.ended else ""
            return {
                "CommandId": self.command_id,
                "InstanceId": self.instance_id,
                "Comment": self.comment,
                "DocumentName": DOCUMENT,
                "DocumentVersion": "$DEFAULT",
                "PluginName": PLUGIN,
                "ResponseCode": self.response_code,
                "ExecutionStartDateTime": _instant(self.started),
                "ExecutionElapsedTime": elapsed,
                "ExecutionEndDateTime": _instant(self.ended),
                "Status": self.status,
                "StatusDetails": self.details,
                "StandardOutputContent": self.stdout if self.finished else "",
                "StandardOutputUrl": "",
                "StandardErrorContent": self.stderr if self.finished else "",
                "StandardErrorUrl": "",
                "CloudWatchOutputConfig": self._cloud_watch(),
            }

    def listed(self, *, details: bool) -> dict[str, Any]:
        """Return it as ListCommandInvocations shows it, with the plugin's output where *details* are asked for."""
        with self.lock:
            shown: dict[str, Any] = {
                "CommandId": self.command_id,
                "InstanceId": self.instance_id,
                "InstanceName": "",
                "Comment": self.comment,
                "DocumentName": DOCUMENT,
                "DocumentVersion": "$DEFAULT",
                "RequestedDateTime": self.requested.timestamp(),
                "Status": self.status,
                "StatusDetails": self.details,
                "StandardOutputUrl": "",
                "StandardErrorUrl": "",
                "CommandPlugins": [],
                "ServiceRole": "",
                "NotificationConfig": {"NotificationArn": "", "NotificationEvents": [], "NotificationType": ""},
                "CloudWatchOutputConfig": self._cloud_watch(),
            }
            if details:
                shown["CommandPlugins"] = [self._plugin()]
            return shown

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
            "OutputS3BucketName": self.request.get("OutputS3BucketName", ""),
            "OutputS3KeyPrefix": self.request.get("OutputS3KeyPrefix", ""),
        }
        return {name: value for name, value in plugin.items() if value is not None}

    def _cloud_watch(self) -> dict[str, Any]:
        asked = self.request.get("CloudWatchOutputConfig", {})
        return {
            "CloudWatchLogGroupName": asked.get("CloudWatchLogGroupName", ""),
            "CloudWatchOutputEnabled": bool(asked.get("CloudWatchOutputEnabled", False)),
        }


def now() -> datetime:
    """Return this moment."""
    return datetime.now(timezone.utc)


def _instant(moment: datetime | None) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else ""
