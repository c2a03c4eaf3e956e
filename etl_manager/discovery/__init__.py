"""Discovery at run time: where the cluster is, as whom to connect, and which instance is the bastion.

CloudFormation outputs name the endpoint, the secret and the bastion; Secrets Manager holds user and password; SSM
says whether the bastion's agent is online. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etl_manager import redaction
from etl_manager.asking import asking
from etl_manager.bastion.handover import Credentials, TokenCredentials
from etl_manager.bastion.host import Connection
from etl_manager.config import Config
from etl_manager.discovery import bastion, secret, stacks
from etl_manager.discovery.preflight import Preflight
from etl_manager.discovery.stacks import Stack
from etl_manager.errors import DiscoveryError

__all__ = ["Found", "Preflight", "discover"]

ClientFor = Callable[[str], Any]
"""Gives the boto3 client of a service."""

DOWN = frozenset({"stopped", "stopping", "starting", "creating", "deleting", "failed"})
"""Statuses in which a cluster takes no connection (AWS: Aurora user guide, "Viewing DB cluster status")."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Everything discovery found; what the log and the report say of the environment.

    Attributes:
        caller: The ARN of who asks.
        stack: The stack that names the cluster; empty where the configuration does.
        cluster_arn: The cluster's ARN, where the stack has it; else empty.
        secret: The name of its secret; empty where IAM tokens are used.
        instance_id: The bastion.
        agent_version: The version of the bastion's SSM agent.
        connection: Where and as whom to connect.
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
        """The AWS account of who asks; it stands in every ARN."""
        return self.caller.split(":")[4]


def discover(config: Config, client: ClientFor, preflight: Preflight, *, emulated: bool) -> Found:
    """Find cluster, credentials and bastion, and fill in the table of *preflight*.

    What does not depend on one another is all looked at, so that everything that is missing is told at once.

    Args:
        config: What to look for, and the region.
        client: Gives the clients.
        preflight: Is told what was found.
        emulated: Whether something else than AWS answers: then RDS is not asked about the engine.

    Raises:
        DiscoveryError: It says what could not be found or read, and what to do next.
    """
    preflight.rows["region"].found = config.region
    with preflight.row("caller") as row:
        row.found = caller = _caller(client("sts"))
    preflight.check()  # nobody to ask: nothing can be found
    seen: list[Stack] = []
    with preflight.row("stack") as row:
        row.found = "not asked: config.json names cluster and bastion"
        if config.endpoint is None or config.instance_id is None:
            seen = stacks.read(config, client("cloudformation"))
            row.found = "not asked: aurora.endpoint names the cluster"
    preflight.check()
    stack: Stack | None = None
    with preflight.row("stack") as row:
        stack = stacks.aurora_stack(config, seen)
        if stack is not stacks.NONE:
            row.found = f"{stack.name} ({stack.status})"
    cluster = _cluster(config, stack, client, preflight, emulated=emulated) if stack else None
    with preflight.row("bastion") as row:
        instance_id = bastion.find(config, seen, client)
        row.found = instance_id
        agent_version = bastion.agent(client("ssm"), instance_id)
        row.found = f"{instance_id} Online, agent {agent_version}"
    preflight.check()
    if stack is None or cluster is None:
        raise AssertionError
    secret_name, connection = cluster
    return Found(
        caller=caller,
        stack=stack.name,
        cluster_arn=stack.output(stacks.CLUSTER_ARN) or "",
        secret=secret_name,
        instance_id=instance_id,
        agent_version=agent_version,
        connection=connection,
    )


def _caller(client: Any) -> str:
    with asking("STS", "GetCallerIdentity", "these credentials"):
        return str(client.get_caller_identity()["Arn"])


def _cluster(
    config: Config, stack: Stack, client: ClientFor, preflight: Preflight, *, emulated: bool
) -> tuple[str, Connection] | None:
    """Return the name of the cluster's secret and how to connect; None where *preflight* was told of trouble.

    What *config* does not name is what *stack* tells.
    """
    with preflight.row("PostgreSQL") as row:
        row.found = "known after the first connection" if emulated else _engine(client, stack)
    credentials: Credentials | TokenCredentials | None = None
    host, port, secret_name = "", None, ""
    with preflight.row("endpoint") as row:
        host, port = stacks.endpoint(config, stack)
        row.found = host
    with preflight.row("secret") as row:
        if config.credentials == "iam":
            user = config.master_username or secret.DEFAULT_USER
            credentials = secret.token(client("rds"), host, port or config.port, user, config.region)
            row.found = f"none: an IAM token of {user}"
        else:
            secret_name = config.secret_name or secret.name(stack, client)
            row.found = secret_name
            read = secret.read(client("secretsmanager"), secret_name, config.master_username)
            credentials, port = read.credentials, port or read.port
            row.found = f"{secret_name} (user {credentials.user}{_elsewhere(read.host, host)})"
    if credentials is None or not host:
        return None
    port = port or config.port
    preflight.rows["endpoint"].found = f"{host}:{port}"
    return secret_name, Connection(
        host=host, port=port, credentials=credentials, sslmode=config.sslmode, ca_bundle=config.ca_bundle
    )


def _elsewhere(host: str | None, endpoint: str) -> str:
    """Return a remark where an attached secret names another host than the stack does."""
    return f"; the secret itself is for {host}" if host not in (None, endpoint) else ""


def _engine(client: ClientFor, stack: Stack) -> str:
    """Return engine, version and status of the cluster, as RDS has them; what may not be asked is no trouble here.

    Raises:
        DiscoveryError: When the cluster takes no connections.
    """
    arn = stack.output(stacks.CLUSTER_ARN)
    if not arn:
        return f"known after the first connection (no stack tells its {stacks.CLUSTER_ARN})"
    try:
        with asking("RDS", "DescribeDBClusters", arn):
            [cluster, *_] = client("rds").describe_db_clusters(DBClusterIdentifier=arn)["DBClusters"]
    except DiscoveryError as error:
        return f"known after the first connection ({error.what})"
    status, name = str(cluster["Status"]), str(cluster["DBClusterIdentifier"])
    if status in DOWN:
        raise DiscoveryError(
            f"The cluster {name} takes no connections: it is {status}",
            remedy=f"Start it, or wait for it: aws rds start-db-cluster --db-cluster-identifier {name}",
        )
    return f"{cluster['EngineVersion']} ({cluster['Engine']}, {status})"
