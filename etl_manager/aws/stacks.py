"""The CloudFormation stacks of the region, and which of them describe cluster and bastion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from etl_manager.aws.errors import aws_errors
from etl_manager.config import Config
from etl_manager.config.model import host_and_port
from etl_manager.errors import DiscoveryError
from etl_manager.wording import enumeration

USABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
ENDPOINT, SECRET, CLUSTER_ARN, INSTANCE = "DBClusterEndpoint", "DBSecretName", "DBClusterArn", "EC2InstanceId"
"""What the keys of the outputs contain (the usual CDK stacks put their own name before it)."""
CONFIG_KEYS = {
    ENDPOINT: "aurora.endpoint, with aurora.secretName",
    SECRET: "aurora.secretName",
    INSTANCE: "bastion.instanceId",
}
"""The key of config.json that replaces an output."""
UNUSABLE_REMEDY = "A stack in another state is not used: wait until what is under way has ended, or repair the stack.\n"

NO_ENDPOINT = "[ERROR] Could not retrieve Aurora endpoint from CloudFormation"

_OTHER_KEY = re.compile(r"(?:Doc|Document|Memory|Neptune|Dynamo|Influx)$", re.IGNORECASE)
"""What precedes ``DBCluster…`` in the outputs of other products: DocDB, MemoryDB, Neptune …"""
_OTHER_HOST = re.compile(r"\.(?:docdb|neptune|memorydb|cache|redshift)\.(?:[a-z0-9-]+\.)*amazonaws\.", re.IGNORECASE)
"""An endpoint of another product of AWS's, whatever its output is called; Aurora's are under ``rds``."""


@dataclass(frozen=True)
class Stack:
    """A stack, with its outputs by their keys."""

    name: str
    status: str
    outputs: Mapping[str, str]

    def candidates(self, part: str) -> dict[str, str]:
        """Return the output whose key is *part*, or else those whose key contains it and that may be Aurora's."""
        found = {
            key: value
            for key, value in self.outputs.items()
            if part in key
            and not (part.startswith("DB") and _OTHER_KEY.search(key.partition(part)[0]))
            and not (part == ENDPOINT and _OTHER_HOST.search(value))
        }
        return {part: found[part]} if part in found else found

    def output(self, part: str) -> str | None:
        """Return the one output that fits *part*; None without one.

        Raises:
            DiscoveryError: When several could be it and their values differ.
        """
        found = self.candidates(part)
        if len(set(found.values())) > 1:
            decides = f"Name it in config.json: {CONFIG_KEYS[part]}.\n" if part in CONFIG_KEYS else ""
            raise DiscoveryError(
                f"Several outputs of the stack could be its {part}: {', '.join(sorted(found))}",
                context={"stack": self.name},
                hint=f"{decides}Or call the output that is meant exactly {part}.",
            )
        return next(iter(found.values()), None)


NO_STACK = Stack("", "", {})
"""In place of the cluster's stack where the configuration itself names the cluster."""


def read_stacks(config: Config, client: Any) -> list[Stack]:
    """Return the stacks that cluster and bastion may be in: those *config* names where it names both, else all.

    Raises:
        DiscoveryError: When CloudFormation refuses, or cannot be reached.
    """
    names = {config.aurora.stack_name} if config.aurora.endpoint is None else set()
    names |= {config.bastion.stack_name} if config.bastion.instance_id is None else set()
    if None not in names:
        return [stack for name in sorted(filter(None, names)) for stack in _find_stack(client, name)]
    with aws_errors("CloudFormation", "DescribeStacks", f"all stacks of {config.region}"):
        pages = client.get_paginator("describe_stacks").paginate()
        return [_stack(found) for page in pages for found in page["Stacks"]]


def _find_stack(client: Any, name: str) -> list[Stack]:
    """Return the stack called *name*; none where there is no such stack."""
    try:
        with aws_errors("CloudFormation", "DescribeStacks", name):
            return [_stack(found) for found in client.describe_stacks(StackName=name)["Stacks"]]
    except DiscoveryError as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and cause.response["Error"]["Code"] == "ValidationError":
            return []  # AWS: DescribeStacks, of a name that does not exist
        raise


def _stack(found: Mapping[str, Any]) -> Stack:
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
    return Stack(found["StackName"], found["StackStatus"], outputs)


def aurora_stack(config: Config, stacks: list[Stack]) -> Stack:
    """Return the stack of the cluster; `NO_STACK` where the configuration names its endpoint.

    Stacks that name the same endpoint are one cluster, as a nested stack and the one around it.

    Raises:
        DiscoveryError: When none can be used, or several name clusters of their own.
    """
    if config.aurora.endpoint is not None:
        return NO_STACK
    usable = {
        stack.name: (stack, set(endpoints.values()))
        for stack in stacks
        if config.aurora.stack_name in (None, stack.name) and stack.status in USABLE
        if (endpoints := stack.candidates(ENDPOINT))
    }
    if len(usable) > 1 and len(set.union(*(endpoints for _, endpoints in usable.values()))) > 1:
        raise DiscoveryError(
            f"{len(usable)} stacks have an Aurora endpoint: {', '.join(sorted(usable))}",
            context={"region": config.region},
            hint="Name the one that is meant in config.json: aurora.stackName",
        )
    if usable:
        return min(
            (stack for stack, _ in usable.values()), key=lambda stack: (not stack.candidates(SECRET), stack.name)
        )
    others = describe_unusable(stacks, config.aurora.stack_name, ENDPOINT)
    wanted = f" called {config.aurora.stack_name} (aurora.stackName)" if config.aurora.stack_name else ""
    raise DiscoveryError(
        NO_ENDPOINT,
        context={
            "region": config.region,
            "stacks seen": len(stacks),
            "not usable": others,
            "not Aurora": ", ".join(
                f"{stack.name} ({key})"
                for stack in stacks
                if stack.status in USABLE
                for key in sorted(stack.outputs)
                if ENDPOINT in key and key not in stack.candidates(ENDPOINT)
            ),
        },
        hint=(UNUSABLE_REMEDY if others else "")
        + (
            f"No stack{wanted} in CREATE_COMPLETE or UPDATE_COMPLETE has an output whose key contains {ENDPOINT}.\n"
            "Phase 1 may not be complete, or the cluster not running: look with\n"
            f"aws cloudformation describe-stacks --region {config.region} --query 'Stacks[].[StackName,StackStatus]'\n"
            "A cluster without a stack: aurora.endpoint and aurora.secretName in config.json.\n"
            "Another region: --aws-region, or project.region in config.json."
        ),
    )


def describe_unusable(stacks: list[Stack], name: str | None, part: str) -> str:
    """Return which stacks are in a state that is not used, in words: the one called *name*, or all without one.

    Those with an output like *part* come first; one that is being created, or failed to be, has no outputs.
    """
    others = [stack for stack in stacks if stack.status not in USABLE and name in (None, stack.name)]
    others.sort(key=lambda stack: (not stack.candidates(part), stack.name))
    found = [f"{stack.name} is {stack.status}" for stack in others]
    return enumeration(found)


def endpoint(config: Config, stack: Stack) -> tuple[str, int | None]:
    """Return host and port of the cluster, configured or an output; no port where that is the host alone.

    Raises:
        DiscoveryError: When the output cannot be read.
    """
    if config.aurora.endpoint is not None:
        return host_and_port(config.aurora.endpoint)
    text = (stack.output(ENDPOINT) or "").strip()
    try:
        return host_and_port(text)
    except ValueError:
        raise DiscoveryError(
            f"The Aurora endpoint of the stack cannot be read: {text!r}",
            context={"stack": stack.name},
            hint="The output must be host:port, or host.",
        ) from None
