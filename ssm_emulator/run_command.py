"""SSM's Run Command: the six actions, with AWS's checks, answers and errors."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ssm_emulator.agent import Agent
from ssm_emulator.command import DOCUMENT, PLUGIN, Command, Invocation, now
from ssm_emulator.faults import CommandBehaviour, FaultInjector
from ssm_emulator.protocol import AwsError

Request = dict[str, Any]
Answer = dict[str, Any]
_Item = TypeVar("_Item")

_PARAMETERS = {"commands", "workingDirectory", "executionTimeout"}  # AWS: describe-document AWS-RunShellScript
_DEFAULT_SECONDS = 3600
_AGENT_SECONDS = range(5, 172_801)  # AGENT: anything else silently means the default
_DOCUMENT_BYTES = 65_536  # AWS: the documented size of a document; none is documented for its parameters


class RunCommandApi:
    """Answers SSM's actions for the instances of one account.

    Args:
        agents: By instance id, who runs the commands.
        account: The account's number, for AWS's error texts.
        faults: What is to go wrong.
    """

    def __init__(self, agents: Mapping[str, Agent], *, account: str, faults: FaultInjector) -> None:
        self.faults = faults
        self._agents = agents
        self._account = account
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

    @property
    def commands(self) -> list[Command]:
        """Every command that was taken, the oldest first."""
        with self._lock:
            return list(self._commands.values())

    def send_command(self, request: Request) -> Answer:
        """Take a command and answer at once, as AWS does; it runs later."""
        if request.get("DocumentName") != DOCUMENT:
            raise AwsError("InvalidDocument", f"the emulated SSM has one document, {DOCUMENT}")
        instance_ids = self._instances(request)
        parameters = _parameters(request.get("Parameters", {}))
        delivery = int(request.get("TimeoutSeconds", _DEFAULT_SECONDS))
        limit = int("".join(parameters.get("executionTimeout", [])) or _DEFAULT_SECONDS)
        execution = limit if limit in _AGENT_SECONDS else _DEFAULT_SECONDS
        command = Command(
            command_id=str(uuid.uuid4()),
            parameters=parameters,
            delivery_seconds=delivery,
            execution_seconds=limit,
            requested=now(),
            request=request,
            behaviour=self.faults.apply(CommandBehaviour(delivery=delivery, execution=execution)),
        )
        command.invocations.update({each: Invocation(command=command, instance_id=each) for each in instance_ids})
        with self._lock:
            self._commands[command.command_id] = command
        answer = command.summary()
        for invocation in command.invocations.values():
            self._agents[invocation.instance_id].take(invocation)
        return {"Command": answer}

    def get_command_invocation(self, request: Request) -> Answer:
        """Return how the command stands on an instance; right after SendCommand it is not known yet."""
        command = self._commands.get(request["CommandId"])
        if command is None or not command.visible or request["InstanceId"] not in command.invocations:
            raise AwsError("InvocationDoesNotExist")
        if request.get("PluginName", PLUGIN) != PLUGIN:
            raise AwsError("InvalidPluginName")
        return command.invocations[request["InstanceId"]].answer()

    def list_commands(self, request: Request) -> Answer:
        """Return the commands, newest first, with their parameters in clear."""
        instance, status = request.get("InstanceId"), _filters(request).get("Status")
        matching = [
            command
            for command in self._newest_first(request)
            if (instance is None or instance in command.invocations) and status in (None, command.state()[0])
        ]
        commands, token = _page(matching, request)
        return {"Commands": [command.summary() for command in commands], **token}

    def list_command_invocations(self, request: Request) -> Answer:
        """Return the invocations, newest first; one that is not known yet is not among them."""
        instance, status = request.get("InstanceId"), _filters(request).get("Status")
        matching = [
            invocation
            for command in self._newest_first(request)
            if command.visible
            for invocation in command.invocations.values()
            if instance in (None, invocation.instance_id) and status in (None, invocation.status)
        ]
        invocations, token = _page(matching, request)
        details = bool(request.get("Details", False))
        return {"CommandInvocations": [each.listed(details=details) for each in invocations], **token}

    def cancel_command(self, request: Request) -> Answer:
        """Cancel a command, as well as that goes (AWS: best effort); on some of its instances, or on all."""
        command = self._commands.get(request["CommandId"])
        if command is None:
            raise AwsError("InvalidCommandId")
        instance_ids = request.get("InstanceIds") or list(command.invocations)
        if set(instance_ids) - command.invocations.keys():
            raise AwsError("InvalidInstanceId")
        for each in instance_ids:
            command.invocations[each].cancel()
        return {}

    def describe_instance_information(self, request: Request) -> Answer:
        """Return the instances that match the filters."""
        wanted = {each["Key"]: each["Values"] for each in request.get("Filters", [])}
        legacy = {each["key"]: each["valueSet"] for each in request.get("InstanceInformationFilterList", [])}
        if wanted and legacy:
            raise AwsError("ValidationException", "Filters and InstanceInformationFilterList exclude each other")
        if set(legacy.get("InstanceIds", [])) - self._agents.keys():
            raise AwsError("InvalidInstanceId")
        filters = {"InstanceIds": "InstanceId", "PingStatus": "PingStatus", "PlatformTypes": "PlatformType"}
        if unknown := (wanted | legacy).keys() - filters.keys():
            raise AwsError("InvalidInstanceInformationFilterValue", f"the emulated SSM filters by {sorted(filters)}, not {sorted(unknown)}")  # fmt: skip
        matching = [
            node
            for node in map(self._node, self._agents)
            if all(node[filters[key]] in values for key, values in (wanted | legacy).items())
        ]
        nodes, token = _page(matching, request)
        return {"InstanceInformationList": nodes, **token}

    def _node(self, instance_id: str) -> Answer:
        return {
            "InstanceId": instance_id,
            "PingStatus": "Online" if self._agents[instance_id].online else "ConnectionLost",
            "LastPingDateTime": now().timestamp(),
            "AgentVersion": "3.3.859.0",
            "IsLatestVersion": True,
            "PlatformType": "Linux",
            "PlatformName": "Amazon Linux",
            "PlatformVersion": "2023",
            "ResourceType": "EC2Instance",
            "IPAddress": "127.0.0.1",
            "ComputerName": f"{instance_id}.emulated",
        }

    def _instances(self, request: Request) -> list[str]:
        """Return the instances a command is for, when all of them can take one."""
        targets = request.get("Targets", [])
        if any(each["Key"] != "InstanceIds" for each in targets):
            raise AwsError("InvalidTarget", "the emulated SSM knows targets by InstanceIds only")
        ids: list[str] = [*request.get("InstanceIds", []), *(value for each in targets for value in each["Values"])]
        if len(ids) != len(set(ids)):
            raise AwsError("DuplicateInstanceId")
        unknown = sorted(set(ids) - self._agents.keys())
        if unknown or not ids or self.faults.offline:
            text = f"Instances [[{', '.join(unknown or ids)}]] not in a valid state for account {self._account}"
            raise AwsError("InvalidInstanceId", text)
        return ids

    def _newest_first(self, request: Request) -> Iterator[Command]:
        """Yield the commands, or the one that is asked for."""
        if _filters(request).get("DocumentName", DOCUMENT) != DOCUMENT:
            return
        for command in reversed(self.commands):
            if request.get("CommandId") in (None, command.command_id):
                yield command


def _filters(request: Request) -> dict[str, str]:
    filters = {each["key"]: each["value"] for each in request.get("Filters", [])}
    if filters.keys() - {"Status", "DocumentName"}:
        raise AwsError("InvalidFilterKey")
    return filters


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
    token = str(request.get("NextToken") or 0)
    if not re.fullmatch("[0-9]{1,9}", token, re.A):
        raise AwsError("InvalidNextToken", "The specified token is not valid.")
    start = int(token)
    end = start + int(request.get("MaxResults") or 50)
    return items[start:end], {"NextToken": str(end)} if end < len(items) else {}
