"""Discovery at run time: where the cluster is, as whom to connect, and which instance is the bastion.

CloudFormation outputs name the endpoint, the secret and the bastion; Secrets Manager holds user and password; SSM
says whether the bastion's agent is online. Nothing here changes anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from etl_manager.asking import asking
from etl_manager.bastion.handover import Credentials, TokenCredentials
from etl_manager.bastion.host import Connection
from etl_manager.config import Config
from etl_manager.errors import DiscoveryError

ClientFor = Callable[[str], Any]
"""Gives the boto3 client of a service."""

USABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
ENDPOINT, SECRET, INSTANCE = "DBClusterEndpoint", "DBSecretName", "EC2InstanceId"
"""What the keys of the outputs contain (the usual CDK stacks put their own name before it)."""
BASTION_TAGS = ("*bastion*", "*Bastion*", "*ClientHost*")
"""Values of the Name tag by which a bastion is known where no stack names it."""

NO_ENDPOINT = "[ERROR] Could not retrieve Aurora endpoint from CloudFormation"


@dataclass(frozen=True, kw_only=True)
class Found:
    """Everything discovery found; what the log and the report say of the environment."""

    stack: str
    cluster_arn: str
    secret: str
    instance_id: str
    agent_version: str
    connection: Connection


@dataclass(frozen=True)
class _Stack:
    name: str
    status: str
    outputs: Mapping[str, str]

    def output(self, part: str) -> str | None:
        """Return the output whose key is *part*, or else the one whose key contains it."""
        keys = [key for key in self.outputs if part in key]
        best = part if part in keys else min(keys, key=len, default=None)
        return self.outputs[best] if best else None


def discover(config: Config, client: ClientFor) -> Found:
    """Find cluster, credentials and bastion.

    Raises:
        DiscoveryError: It says what could not be found or read, and what to do next.
    """
    stacks = _stacks(client("cloudformation"), config.region)
    stack = _aurora_stack(config, stacks)
    host, port = _host_and_port(stack.output(ENDPOINT) or "", config.port, stack.name)
    secret, credentials = _credentials(config, stack, f"{host}:{port}", client)
    instance_id = config.instance_id or _bastion(config, stacks, client)
    return Found(
        stack=stack.name,
        cluster_arn=stack.output("DBClusterArn") or "",
        secret=secret,
        instance_id=instance_id,
        agent_version=_agent(client("ssm"), instance_id),
        connection=Connection(
            host=host,
            port=port,
            credentials=credentials,
            sslmode=config.sslmode,
            ca_bundle=config.ca_bundle,
        ),
    )


def _stacks(client: Any, region: str) -> list[_Stack]:
    found = []
    with asking("CloudFormation", "DescribeStacks", region):
        for page in client.get_paginator("describe_stacks").paginate():
            for stack in page["Stacks"]:
                outputs = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}
                found.append(_Stack(stack["StackName"], stack["StackStatus"], outputs))
    return found


def _aurora_stack(config: Config, stacks: list[_Stack]) -> _Stack:
    named = [stack for stack in stacks if config.aurora_stack in (None, stack.name) and stack.output(ENDPOINT)]
    usable = [stack for stack in named if stack.status in USABLE]
    if len(usable) == 1:
        return usable[0]
    if usable:
        raise DiscoveryError(
            f"{len(usable)} stacks have an Aurora endpoint: {', '.join(sorted(stack.name for stack in usable))}",
            where={"region": config.region},
            remedy="Name the one that is meant in config.json: aurora.stackName",
        )
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


def _host_and_port(endpoint: str, default_port: int, stack: str) -> tuple[str, int]:
    host, colon, port = endpoint.strip().partition(":")
    if not host or (colon and not port.isdigit()):
        raise DiscoveryError(
            f"The Aurora endpoint of the stack cannot be read: {endpoint!r}",
            where={"stack": stack},
            remedy="The output must be host:port, or host.",
        )
    return host, int(port) if port else default_port


def _credentials(
    config: Config, stack: _Stack, endpoint: str, client: ClientFor
) -> tuple[str, Credentials | TokenCredentials]:
    """Return the name of the secret, if one is used, and as whom to connect."""
    if config.credentials == "iam":
        return "", _token_credentials(client("rds"), endpoint, config.master_username or "postgres", config.region)
    secret = stack.output(SECRET)
    if not secret:
        raise DiscoveryError(
            "[ERROR] Could not retrieve Aurora secret name from CloudFormation",
            where={"stack": stack.name, "outputs": ", ".join(sorted(stack.outputs))},
            remedy=f"The stack needs an output whose key contains {SECRET}.",
        )
    return secret, _secret_credentials(client("secretsmanager"), secret, config.master_username)


def _token_credentials(client: Any, endpoint: str, user: str, region: str) -> TokenCredentials:
    """Return credentials that make their tokens themselves: each is signed here, and AWS is not asked."""
    host, _, port = endpoint.rpartition(":")

    def make() -> str:
        with asking("RDS", "GenerateDBAuthToken", user):
            return str(client.generate_db_auth_token(DBHostname=host, Port=int(port), DBUsername=user, Region=region))

    return TokenCredentials(user, make)


def _secret_credentials(client: Any, secret: str, master_username: str | None) -> Credentials:
    with asking("Secrets Manager", "GetSecretValue", secret):
        answer = client.get_secret_value(SecretId=secret)
    remedy = (
        f"Secret {secret} must hold JSON with password, and username where it is not {master_username or 'postgres'}."
    )
    try:
        content = json.loads(answer.get("SecretString") or "")
    except json.JSONDecodeError:
        # The decoder's message and its cause would quote the secret: neither is kept.
        raise DiscoveryError("The secret of the cluster is not JSON", where={"secret": secret}, remedy=remedy) from None
    password = content.get("password") if isinstance(content, dict) else None
    if not isinstance(password, str) or not password:
        raise DiscoveryError("The secret of the cluster holds no password", where={"secret": secret}, remedy=remedy)
    return Credentials(str(content.get("username") or master_username or "postgres"), password)


def _bastion(config: Config, stacks: list[_Stack], client: ClientFor) -> str:
    """Return the bastion's instance id from a stack's output, or else from the Name tag of a running instance."""
    candidates = {
        instance_id: f"stack {stack.name}"
        for stack in stacks
        if stack.status in USABLE and config.bastion_stack in (None, stack.name)
        if (instance_id := stack.output(INSTANCE))
    } or dict(_tagged(client("ec2")))
    if len(candidates) == 1:
        return next(iter(candidates))
    listed = ", ".join(f"{instance_id} ({origin})" for instance_id, origin in sorted(candidates.items()))
    raise DiscoveryError(
        f"{len(candidates)} instances could be the bastion: {listed}" if candidates else "No bastion was found",
        where={"region": config.region},
        remedy=(
            "Name it in config.json: bastion.instanceId, or bastion.stackName for the stack that has it.\n"
            f"Otherwise a stack needs an output whose key contains {INSTANCE}, "
            f"or one running instance a Name like {' or '.join(BASTION_TAGS)}."
        ),
    )


def _tagged(client: Any) -> Iterator[tuple[str, str]]:
    filters = [
        {"Name": "tag:Name", "Values": list(BASTION_TAGS)},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    with asking("EC2", "DescribeInstances", "bastion"):
        for page in client.get_paginator("describe_instances").paginate(Filters=filters):
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    yield instance["InstanceId"], "its Name tag"


def _agent(client: Any, instance_id: str) -> str:
    """Return the version of the bastion's agent; an agent that is not online is told before anything is sent."""
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
                "Its role needs AmazonSSMManagedInstanceCore, and it a way to the SSM endpoints."
            ),
        )
    return str(nodes[0].get("AgentVersion", ""))
