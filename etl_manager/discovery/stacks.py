"""The CloudFormation stacks of the region, and which of them are meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etl_manager.asking import asking
from etl_manager.config import Config
from etl_manager.errors import DiscoveryError

USABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
ENDPOINT, SECRET, CLUSTER_ARN, INSTANCE = "DBClusterEndpoint", "DBSecretName", "DBClusterArn", "EC2InstanceId"
"""What the keys of the outputs contain (the usual CDK stacks put their own name before it)."""

NO_ENDPOINT = "[ERROR] Could not retrieve Aurora endpoint from CloudFormation"


@dataclass(frozen=True)
class Stack:
    """A stack, with its outputs by their keys."""

    name: str
    status: str
    outputs: Mapping[str, str]

    def output(self, part: str) -> str | None:
        """Return the output whose key is *part*, or else the one whose key contains it; None without one.

        Raises:
            DiscoveryError: When several keys contain it and their values differ.
        """
        if part in self.outputs:
            return self.outputs[part]
        found = {key: value for key, value in self.outputs.items() if part in key}
        if len(set(found.values())) > 1:
            raise DiscoveryError(
                f"Several outputs of the stack could be its {part}: {', '.join(sorted(found))}",
                where={"stack": self.name},
                remedy=f"Name the one that is meant exactly {part}.",
            )
        return next(iter(found.values()), None)

    def has(self, part: str) -> bool:
        """Say whether the key of an output contains *part*."""
        return any(part in key for key in self.outputs)


def read(client: Any, region: str) -> list[Stack]:
    """Return all stacks of the region.

    Raises:
        DiscoveryError: When CloudFormation refuses, or cannot be reached.
    """
    found = []
    with asking("CloudFormation", "DescribeStacks", region):
        for page in client.get_paginator("describe_stacks").paginate():
            for stack in page["Stacks"]:
                outputs = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}
                found.append(Stack(stack["StackName"], stack["StackStatus"], outputs))
    return found


def aurora_stack(config: Config, stacks: list[Stack]) -> Stack:
    """Return the stack of the cluster.

    Stacks that name the same endpoint are one cluster, as a nested stack and the one around it.

    Raises:
        DiscoveryError: When none can be used, or several name clusters of their own.
    """
    named = [stack for stack in stacks if config.aurora_stack in (None, stack.name) and stack.has(ENDPOINT)]
    usable = [stack for stack in named if stack.status in USABLE]
    if len(usable) > 1 and len({stack.output(ENDPOINT) for stack in usable}) > 1:
        raise DiscoveryError(
            f"{len(usable)} stacks have an Aurora endpoint: {', '.join(sorted(stack.name for stack in usable))}",
            where={"region": config.region},
            remedy="Name the one that is meant in config.json: aurora.stackName",
        )
    if usable:
        return min(usable, key=lambda stack: (not stack.has(SECRET), stack.name))
    others = ", ".join(f"{stack.name} is {stack.status}" for stack in named)
    wanted = f" called {config.aurora_stack} (aurora.stackName)" if config.aurora_stack else ""
    raise DiscoveryError(
        NO_ENDPOINT,
        where={"region": config.region, "stacks seen": len(stacks), "not usable": others},
        remedy=(
            f"No stack{wanted} in CREATE_COMPLETE or UPDATE_COMPLETE has an output whose key contains {ENDPOINT}.\n"
            "Phase 1 may not be complete, or the cluster not running: look with\n"
            f"aws cloudformation describe-stacks --region {config.region} --query 'Stacks[].[StackName,StackStatus]'\n"
            "Another region: --aws-region, or project.region in config.json."
        ),
    )


def endpoint(stack: Stack) -> tuple[str, int | None]:
    """Return host and port of the cluster; no port where the output is the host alone.

    Raises:
        DiscoveryError: When the output cannot be read.
    """
    text = (stack.output(ENDPOINT) or "").strip()
    host, colon, port = text.partition(":")
    if not host or (colon and not (port.isdigit() and 0 < int(port) < 65_536)):
        raise DiscoveryError(
            f"The Aurora endpoint of the stack cannot be read: {text!r}",
            where={"stack": stack.name},
            remedy="The output must be host:port, or host.",
        )
    return host, int(port) if port else None
