"""Find the cluster, its credentials and the bastion: from the stacks' outputs, tags and the configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from etl_manager import redaction
from etl_manager.aws import stacks
from etl_manager.aws.connection import Connection, Credentials, TokenCredentials
from etl_manager.aws.errors import aws_errors
from etl_manager.aws.preflight import Preflight
from etl_manager.aws.stacks import CLUSTER_ARN, INSTANCE, SECRET, UNUSABLE_REMEDY, USABLE, Stack, describe_unusable
from etl_manager.config import Config
from etl_manager.errors import DiscoveryError

MAX_PORT = 65535

ClientFor = Callable[[str], Any]
"""Returns the boto3 client of a service."""


@dataclass(frozen=True, kw_only=True)
class Secret:
    """The content of a secret.

    An attached secret names its cluster's host and port; one that RDS manages holds user and password only (AWS:
    Secrets Manager user guide, "JSON structure of secrets").
    """

    name: str
    credentials: Credentials
    host: str | None
    port: int | None


def find_secret_name(stack: Stack, client: ClientFor) -> str:
    """Return the name or ARN of the secret of the cluster of *stack*: an output, or else the one RDS manages.

    Raises:
        DiscoveryError: When there is neither.
    """
    if found := stack.output(SECRET):
        return found
    if arn := stack.output(CLUSTER_ARN):
        with aws_errors("RDS", "DescribeDBClusters", arn):
            clusters = client("rds").describe_db_clusters(DBClusterIdentifier=arn)["DBClusters"]
        if managed := clusters and clusters[0].get("MasterUserSecret", {}).get("SecretArn"):
            return str(managed)
    raise DiscoveryError(
        "[ERROR] Could not retrieve Aurora secret name from CloudFormation",
        context={"stack": stack.name, "outputs": ", ".join(sorted(stack.outputs))},
        hint=(
            f"The stack needs an output whose key contains {SECRET}, or one with {CLUSTER_ARN} where RDS manages the "
            "master user's secret.\nOr name it in config.json: aurora.secretName"
        ),
    )


def read_secret(client: Any, secret: str, master_username: str) -> Secret:
    """Read *secret*; *master_username* is the user where it names none.

    Raises:
        DiscoveryError: When it may not be read, or is not the secret of a cluster.
    """
    with aws_errors("Secrets Manager", "GetSecretValue", secret):
        answer = client.get_secret_value(SecretId=secret)
    remedy = f"Secret {secret} must hold JSON with password, username where it is not {master_username}, and a port from 1 to {MAX_PORT} if any."
    try:
        content = json.loads(answer.get("SecretString") or "")
    except json.JSONDecodeError:
        # The decoder's message and its cause would quote the secret: both are dropped.
        raise DiscoveryError("The secret of the cluster is not JSON", context={"secret": secret}, hint=remedy) from None
    password = content.get("password") if isinstance(content, dict) else None
    if not isinstance(password, str) or not password:
        raise DiscoveryError("The secret of the cluster holds no password", context={"secret": secret}, hint=remedy)
    port = str(content.get("port") or "")
    if port.isdigit() and not 0 < int(port) <= MAX_PORT:
        raise DiscoveryError(
            f"The secret of the cluster names the port {port}", context={"secret": secret}, hint=remedy
        )
    return Secret(
        name=secret,
        credentials=Credentials(str(content.get("username") or master_username), password),
        host=str(content["host"]) if content.get("host") else None,
        port=int(port) if port.isdigit() else None,
    )


def iam_credentials(client: Any, host: str, port: int, user: str, region: str) -> TokenCredentials:
    """Return credentials that sign their own IAM tokens; that takes no call to AWS."""

    def make() -> str:
        with aws_errors("RDS", "GenerateDBAuthToken", user):
            return str(client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user, Region=region))

    return TokenCredentials(user, make)


NAME_TAGS = ("*bastion*", "*Bastion*", "*ClientHost*")
"""Values of the Name tag that identify a bastion where no stack names it."""


def find_bastion(config: Config, stacks: list[Stack], client: ClientFor) -> str:
    """Return the bastion's instance id: configured, or from a stack's output, or from the Name tag of an instance.

    Raises:
        DiscoveryError: When there is none, or several may be it.
    """
    if config.bastion.instance_id:
        return config.bastion.instance_id
    named = config.bastion.stack_name
    candidates = {
        instance_id: f"stack {stack.name}, {key}"
        for stack in stacks
        if stack.status in USABLE and named in (None, stack.name)
        for key, instance_id in stack.candidates(INSTANCE).items()
    }
    if not candidates and named is None:
        candidates = dict(_tagged_instances(client("ec2")))
    if len(candidates) == 1:
        return next(iter(candidates))
    others = "" if candidates else describe_unusable(stacks, named, INSTANCE)
    listed = ", ".join(f"{instance_id} ({origin})" for instance_id, origin in sorted(candidates.items()))
    raise DiscoveryError(
        f"{len(candidates)} instances could be the bastion: {listed}" if candidates else "No bastion was found",
        context={"region": config.region, "bastion.stackName": named, "not usable": others},
        hint=(UNUSABLE_REMEDY if others else "")
        + (
            "Name it in config.json: bastion.instanceId, or bastion.stackName for the stack that has it.\n"
            f"Otherwise a stack needs an output whose key contains {INSTANCE}, "
            f"or one running instance a Name like {' or '.join(NAME_TAGS)}."
        ),
    )


def _tagged_instances(client: Any) -> Iterator[tuple[str, str]]:
    filters = [
        {"Name": "tag:Name", "Values": list(NAME_TAGS)},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    with aws_errors("EC2", "DescribeInstances", "bastion"):
        for page in client.get_paginator("describe_instances").paginate(Filters=filters):
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    yield instance["InstanceId"], "its Name tag"


def check_agent(client: Any, instance_id: str) -> str:
    """Return the version of the bastion's agent, before anything is sent to it.

    Raises:
        DiscoveryError: When it is not online.
    """
    with aws_errors("SSM", "DescribeInstanceInformation", instance_id):
        answer = client.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance_id]}])
    nodes = answer["InstanceInformationList"]
    status = nodes[0]["PingStatus"] if nodes else "not a managed node, stopped, or in another region"
    if status != "Online":
        raise DiscoveryError(
            f"The SSM agent of the bastion is not online: {status}",
            context={"instance": instance_id},
            hint=(
                f"Is the instance running? aws ec2 describe-instance-status --instance-ids {instance_id}\n"
                "Its role needs AmazonSSMManagedInstanceCore, and it a way to the SSM endpoints: docs/aws.md has both."
            ),
        )
    return str(nodes[0].get("AgentVersion", ""))


UNAVAILABLE = frozenset({"stopped", "stopping", "starting", "creating", "deleting", "failed"})
"""Statuses in which a cluster takes no connection (AWS: Aurora user guide, "Viewing DB cluster status")."""


@dataclass(frozen=True, kw_only=True)
class DiscoveredCluster:
    """What discovery found.

    Attributes:
        caller: The ARN of the credentials in use.
        stack: The stack that names the cluster; empty where the configuration does.
        cluster_arn: Empty where the stack does not have it.
        secret: The name of the cluster's secret; empty where IAM tokens are used.
        instance_id: The bastion.
    """

    caller: str
    stack: str
    cluster_arn: str
    secret: str
    instance_id: str
    agent_version: str
    connection: Connection

    @property
    def password_is_ordinary(self) -> bool:
        """Whether the password cannot be masked without harm; a token always can."""
        credentials = self.connection.credentials
        return isinstance(credentials, Credentials) and redaction.is_ordinary(credentials.password)

    @property
    def account(self) -> str:
        """The AWS account of the credentials in use."""
        return self.caller.split(":")[4]


def discover(config: Config, client: ClientFor, preflight: Preflight, *, emulated: bool) -> DiscoveredCluster:
    """Find cluster, credentials and bastion, and fill in the table of *preflight*.

    Independent parts are all checked, so that one error names everything that is missing.

    Args:
        config: Names of cluster and bastion where they are configured, and the region.
        client: Returns the boto3 client of a service.
        preflight: Its table is filled in.
        emulated: Whether something else than AWS answers: then RDS is not called for the engine.

    Raises:
        DiscoveryError: When something cannot be found or read.
    """
    preflight.rows["region"].found = config.region
    with preflight.row("caller") as row, aws_errors("STS", "GetCallerIdentity", "these credentials"):
        row.found = caller = str(client("sts").get_caller_identity()["Arn"])
    preflight.check()  # without credentials nothing can be found
    all_stacks: list[Stack] = []
    with preflight.row("stack") as row:
        row.found = "not needed: config.json names cluster and bastion"
        if config.aurora.endpoint is None or config.bastion.instance_id is None:
            all_stacks = stacks.read_stacks(config, client("cloudformation"))
            row.found = "not needed: aurora.endpoint names the cluster"
    preflight.check()
    stack: Stack | None = None
    with preflight.row("stack") as row:
        stack = stacks.aurora_stack(config, all_stacks)
        if stack is not stacks.NO_STACK:
            row.found = f"{stack.name} ({stack.status})"
    cluster = _cluster(config, stack, client, preflight, emulated=emulated) if stack else None
    with preflight.row("bastion") as row:
        instance_id = find_bastion(config, all_stacks, client)
        row.found = instance_id
        agent_version = check_agent(client("ssm"), instance_id)
        row.found = f"{instance_id} Online, agent {agent_version}"
    preflight.check()
    if stack is None or cluster is None:
        raise AssertionError
    secret_name, connection = cluster
    return DiscoveredCluster(
        caller=caller,
        stack=stack.name,
        cluster_arn=stack.output(stacks.CLUSTER_ARN) or "",
        secret=secret_name,
        instance_id=instance_id,
        agent_version=agent_version,
        connection=connection,
    )


def _cluster(
    config: Config, stack: Stack, client: ClientFor, preflight: Preflight, *, emulated: bool
) -> tuple[str, Connection] | None:
    """Return the name of the cluster's secret and how to connect; None where *preflight* has an error.

    What *config* does not name comes from *stack*.
    """
    with preflight.row("PostgreSQL") as row:
        row.found = "known after the first connection" if emulated else _engine(client, stack)
    credentials: Credentials | TokenCredentials | None = None
    host, port, secret_name = "", None, ""
    with preflight.row("endpoint") as row:
        host, port = stacks.endpoint(config, stack)
        row.found = host
    with preflight.row("secret") as row:
        if config.aurora.credentials == "iam":
            user = config.aurora.master_username
            credentials = iam_credentials(
                client("rds"), host, port or config.aurora.connection.port, user, config.region
            )
            row.found = f"none: an IAM token of {user}"
        else:
            secret_name = config.aurora.secret_name or find_secret_name(stack, client)
            row.found = secret_name
            read = read_secret(client("secretsmanager"), secret_name, config.aurora.master_username)
            credentials, port = read.credentials, port or read.port
            other = f"; the secret itself is for {read.host}" if read.host not in (None, host) else ""
            row.found = f"{secret_name} (user {credentials.user}{other})"
    if credentials is None or not host:
        return None
    port = port or config.aurora.connection.port
    preflight.rows["endpoint"].found = f"{host}:{port}"
    return secret_name, Connection(
        host=host, port=port, credentials=credentials, sslmode=config.aurora.sslmode, ca_bundle=config.aurora.ca_bundle
    )


def _engine(client: ClientFor, stack: Stack) -> str:
    """Return engine, version and status of the cluster, as RDS has them; a refused call is no error here."""
    arn = stack.output(stacks.CLUSTER_ARN)
    if not arn:
        return f"known after the first connection (no stack has its {stacks.CLUSTER_ARN})"
    try:
        with aws_errors("RDS", "DescribeDBClusters", arn):
            [cluster, *_] = client("rds").describe_db_clusters(DBClusterIdentifier=arn)["DBClusters"]
    except DiscoveryError as error:
        return f"known after the first connection ({error.message})"
    status, name = str(cluster["Status"]), str(cluster["DBClusterIdentifier"])
    if status in UNAVAILABLE:
        raise DiscoveryError(
            f"The cluster {name} takes no connections: it is {status}",
            hint=f"Start it, or wait for it: aws rds start-db-cluster --db-cluster-identifier {name}",
        )
    return f"{cluster['EngineVersion']} ({cluster['Engine']}, {status})"
