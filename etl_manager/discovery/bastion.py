"""Which instance is the bastion, and whether its agent can be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from etl_manager.asking import asking
from etl_manager.config import Config
from etl_manager.discovery.stacks import INSTANCE, UNUSABLE, USABLE, Stack, unusable
from etl_manager.errors import DiscoveryError

NAME_TAGS = ("*bastion*", "*Bastion*", "*ClientHost*")
"""Values of the Name tag by which a bastion is known where no stack names it."""


def find(config: Config, stacks: list[Stack], client: Callable[[str], Any]) -> str:
    """Return the bastion's instance id: configured, or from a stack's output, or from the Name tag of an instance.

    Raises:
        DiscoveryError: When there is none, or several could be it.
    """
    if config.instance_id:
        return config.instance_id
    named = config.bastion_stack
    candidates = {
        instance_id: f"stack {stack.name}, {key}"
        for stack in stacks
        if stack.status in USABLE and named in (None, stack.name)
        for key, instance_id in stack.candidates(INSTANCE).items()
    }
    if not candidates and named is None:
        candidates = dict(_tagged(client("ec2")))
    if len(candidates) == 1:
        return next(iter(candidates))
    others = "" if candidates else unusable(stacks, named, INSTANCE)
    listed = ", ".join(f"{instance_id} ({origin})" for instance_id, origin in sorted(candidates.items()))
    raise DiscoveryError(
        f"{len(candidates)} instances could be the bastion: {listed}" if candidates else "No bastion was found",
        where={"region": config.region, "bastion.stackName": named, "not usable": others},
        remedy=(UNUSABLE if others else "")
        + (
            "Name it in config.json: bastion.instanceId, or bastion.stackName for the stack that has it.\n"
            f"Otherwise a stack needs an output whose key contains {INSTANCE}, "
            f"or one running instance a Name like {' or '.join(NAME_TAGS)}."
        ),
    )


def _tagged(client: Any) -> Iterator[tuple[str, str]]:
    filters = [
        {"Name": "tag:Name", "Values": list(NAME_TAGS)},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    with asking("EC2", "DescribeInstances", "bastion"):
        for page in client.get_paginator("describe_instances").paginate(Filters=filters):
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    yield instance["InstanceId"], "its Name tag"


def agent(client: Any, instance_id: str) -> str:
    """Return the version of the bastion's agent; an agent that is not online is told before anything is sent.

    Raises:
        DiscoveryError: When it is not online.
    """
    with asking("SSM", "DescribeInstanceInformation", instance_id):
        answer = client.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance_id]}])
    nodes = answer["InstanceInformationList"]
    status = nodes[0]["PingStatus"] if nodes else "not a managed node, stopped, or in another region"
    if status != "Online":
        raise DiscoveryError(
            f"The SSM agent of the bastion is not online: {status}",
            where={"instance": instance_id},
            remedy=(
                f"Is the instance running? aws ec2 describe-instance-status --instance-ids {instance_id}\n"
                "Its role needs AmazonSSMManagedInstanceCore, and it a way to the SSM endpoints: docs/aws.md has both."
            ),
        )
    return str(nodes[0].get("AgentVersion", ""))
