"""SSM's Run Command: the six actions, with AWS's checks, answers and errors."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from etl_manager.emulator.agent import Agent
from etl_manager.emulator.command import DOCUMENT, PLUGIN, Command, now
from etl_manager.emulator.fate import Fate
from etl_manager.emulator.schedule import Schedule
from etl_manager.emulator.wire import AwsError

Request = dict[str, Any]
Answer = dict[str, Any]
_Item = TypeVar("_Item")

_PARAMETERS = {"commands", "workingDirectory", "executionTimeout"}  # AWS: describe-document AWS-RunShellScript
_DEFAULT_SECONDS = 3600
_AGENT_SECONDS = range(5, 172_801)  # AGENT: anything else silently means the default
_DOCUMENT_BYTES = 65_536  # AWS: the documented size of a document; none is documented for its parameters


class RunCommand:
    """Answers SSM's actions for one instance.

    Args:
        agent: Who runs the commands.
        instance_id: The bastion.
        account: The account's number, for AWS's error texts.
        faults: What is to go wrong.
    """

    def __init__(self, agent: Agent, *, instance_id: str, account: str, faults: Schedule) -> None:
        self._agent = agent
        self._instance_id = instance_id
        self._account = account
        self._faults = faults
        self._commands: dict[str, Command] = {}
        self._lock = threading.Lock()
        self.actions: dict[str, Callable[[Request], Answer]] = {
            "SendCommand": self.send_command,
            "GetCommandInvocation": self.get_command_invocation,
            "ListCommands": self.list_commands,
            "ListCommandInvocations": self.list_command_invocations,
            "CancelCommand": self.cancel_command,
            "DescribeInstanceInformation": self.describe_instance_information,
        }

    def send_command(self, request: Request) -> Answer:
        """Take a command and answer at once, as AWS does; it runs later."""
        if request.get("DocumentName") != DOCUMENT:
            raise AwsError("InvalidDocument", f"the emulated SSM has one document, {DOCUMENT}")
        self._check_instances(request)
        parameters = _parameters(request.get("Parameters", {}))
        delivery = int(request.get("TimeoutSeconds", _DEFAULT_SECONDS))
        asked = int("".join(parameters.get("executionTimeout", [])) or _DEFAULT_SECONDS)
        execution = asked if asked in _AGENT_SECONDS else _DEFAULT_SECONDS
        command = Command(
            command_id=str(uuid.uuid4()),
            instance_id=self._instance_id,
            parameters=parameters,
            comment=request.get("Comment", ""),
            delivery_seconds=delivery,
            execution_seconds=asked,
            requested=now(),
            request=request,
            fate=self._faults.fate(Fate(delivery=delivery, execution=execution)),
        )
        with self._lock:
            self._commands[command.command_id] = command
        answer = command.summary()
        self._agent.take(command)
        return {"Command": answer}

    def get_command_invocation(self, request: Request) -> Answer:
        """Return how the command stands; right after SendCommand it is not known yet."""
        command = self._commands.get(request["CommandId"])
        if command is None or not command.visible or request["InstanceId"] != command.instance_id:
            raise AwsError("InvocationDoesNotExist")
        if request.get("PluginName", PLUGIN) != PLUGIN:
            raise AwsError("InvalidPluginName")
        return command.invocation()

    def list_commands(self, request: Request) -> Answer:
        """Return the commands, newest first, with their parameters in clear."""
        commands, token = _page(self._matching(request), request)
        return {"Commands": [command.summary() for command in commands], **token}

    def list_command_invocations(self, request: Request) -> Answer:
        """Return the invocations, newest first; one that is not known yet is not among them."""
        visible = [command for command in self._matching(request) if command.visible]
        commands, token = _page(visible, request)
        details = bool(request.get("Details", False))
        return {"CommandInvocations": [command.listed(details=details) for command in commands], **token}

    def cancel_command(self, request: Request) -> Answer:
        """Cancel a command, as well as that goes (AWS: best effort)."""
        command = self._commands.get(request["CommandId"])
        if command is None:
            raise AwsError("InvalidCommandId")
        if set(request.get("InstanceIds", [])) - {command.instance_id}:
            raise AwsError("InvalidInstanceId")
        command.cancel()
        return {}

    def describe_instance_information(self, request: Request) -> Answer:
        """Return the bastion, when it matches the filters."""
        wanted = {each["Key"]: each["Values"] for each in request.get("Filters", [])}
        legacy = {each["key"]: each["valueSet"] for each in request.get("InstanceInformationFilterList", [])}
        if wanted and legacy:
            raise AwsError("ValidationException", "Filters and InstanceInformationFilterList exclude each other")
        if self._instance_id not in legacy.get("InstanceIds", [self._instance_id]):
            raise AwsError("InvalidInstanceId")
        node = {
            "InstanceId": self._instance_id,
            "PingStatus": "Online" if self._agent.online else "ConnectionLost",
            "LastPingDateTime": now().timestamp(),
            "AgentVersion": "3.3.859.0",
            "IsLatestVersion": True,
            "PlatformType": "Linux",
            "PlatformName": "Amazon Linux",
            "PlatformVersion": "2023",
            "ResourceType": "EC2Instance",
            "IPAddress": "127.0.0.1",
            "ComputerName": "bastion.emulated",
        }
        have = {"InstanceIds": node["InstanceId"], "PingStatus": node["PingStatus"], "PlatformTypes": "Linux"}
        if unknown := (wanted | legacy).keys() - have.keys():
            raise AwsError("InvalidInstanceInformationFilterValue", f"the emulated SSM filters by {sorted(have)}, not {sorted(unknown)}")  # fmt: skip
        shown = all(have[key] in values for key, values in (wanted | legacy).items())
        return {"InstanceInformationList": [node] if shown else []}

    def _check_instances(self, request: Request) -> None:
        targets = request.get("Targets", [])
        ids = request.get("InstanceIds", []) + [
            v for each in targets if each["Key"] == "InstanceIds" for v in each["Values"]
        ]
        if any(each["Key"] != "InstanceIds" for each in targets):
            raise AwsError("InvalidTarget", "the emulated SSM knows targets by InstanceIds only")
        if len(ids) != len(set(ids)):
            raise AwsError("DuplicateInstanceId")
        unknown = sorted(set(ids) - {self._instance_id})
        if unknown or not ids or self._faults.offline:
            text = f"Instances [[{', '.join(unknown or ids)}]] not in a valid state for account {self._account}"
            raise AwsError("InvalidInstanceId", text)

    def _matching(self, request: Request) -> list[Command]:
        wanted = {each["key"]: each["value"] for each in request.get("Filters", [])}
        if wanted.keys() - {"Status", "DocumentName"}:
            raise AwsError("InvalidFilterKey")
        with self._lock:
            commands = list(reversed(self._commands.values()))
        return [
            command
            for command in commands
            if request.get("CommandId") in (None, command.command_id)
            and request.get("InstanceId") in (None, command.instance_id)
            and wanted.get("Status") in (None, command.status)
            and wanted.get("DocumentName") in (None, DOCUMENT)
        ]


def _parameters(given: dict[str, list[str]]) -> dict[str, list[str]]:
    """Check the document's parameters as SSM does before it takes a command."""
    if given.keys() - _PARAMETERS or not given.get("commands"):
        raise AwsError(
            "InvalidParameters", f"{DOCUMENT} takes {sorted(_PARAMETERS)}, of which commands must not be empty"
        )
    timeout = "".join(given.get("executionTimeout", []))
    if timeout and not (re.fullmatch("[0-9]{1,6}", timeout) and 1 <= int(timeout) <= 172_800):
        raise AwsError("InvalidParameters", "executionTimeout must be 1 to 172800")
    if len("".join(given.get("workingDirectory", []))) > 4096:
        raise AwsError("InvalidParameters", "workingDirectory must have at most 4096 characters")
    if sum(len(line.encode()) + 1 for line in given["commands"]) > _DOCUMENT_BYTES:
        raise AwsError("MaxDocumentSizeExceeded")
    return given


def _page(items: Sequence[_Item], request: Request) -> tuple[Sequence[_Item], Answer]:
    """Return one page of *items*, and the token of the next."""
    start = int(request.get("NextToken") or 0)
    end = start + int(request.get("MaxResults") or 50)
    return items[start:end], {"NextToken": str(end)} if end < len(items) else {}
