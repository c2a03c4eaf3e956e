"""As whom to connect: the cluster's secret in Secrets Manager, or an IAM token."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etl_manager.asking import asking
from etl_manager.bastion.handover import Credentials, TokenCredentials
from etl_manager.discovery.stacks import CLUSTER_ARN, SECRET, Stack
from etl_manager.errors import DiscoveryError

DEFAULT_USER = "postgres"
HIGHEST_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class Secret:
    """What a secret tells.

    An attached secret names its cluster's host and port; one that RDS manages holds user and password only (AWS:
    Secrets Manager user guide, "JSON structure of secrets").
    """

    name: str
    credentials: Credentials
    host: str | None
    port: int | None


def name(stack: Stack, client: Callable[[str], Any]) -> str:
    """Return the name or ARN of the secret that *stack* tells of: an output, or else the one RDS manages.

    Raises:
        DiscoveryError: When there is neither.
    """
    if found := stack.output(SECRET):
        return found
    if arn := stack.output(CLUSTER_ARN):
        with asking("RDS", "DescribeDBClusters", arn):
            clusters = client("rds").describe_db_clusters(DBClusterIdentifier=arn)["DBClusters"]
        if managed := clusters and clusters[0].get("MasterUserSecret", {}).get("SecretArn"):
            return str(managed)
    raise DiscoveryError(
        "[ERROR] Could not retrieve Aurora secret name from CloudFormation",
        where={"stack": stack.name, "outputs": ", ".join(sorted(stack.outputs))},
        remedy=(
            f"The stack needs an output whose key contains {SECRET}, or one with {CLUSTER_ARN} where RDS manages the "
            "master user's secret.\nOr name it in config.json: aurora.secretName"
        ),
    )


def read(client: Any, secret: str, master_username: str | None) -> Secret:
    """Read *secret*; *master_username* is the user where it names none.

    Raises:
        DiscoveryError: When it may not be read, or is not what a cluster's secret is.
    """
    with asking("Secrets Manager", "GetSecretValue", secret):
        answer = client.get_secret_value(SecretId=secret)
    user = master_username or DEFAULT_USER
    remedy = f"Secret {secret} must hold JSON with password, username where it is not {user}, and a port from 1 to {HIGHEST_PORT} if any."
    try:
        content = json.loads(answer.get("SecretString") or "")
    except json.JSONDecodeError:
        # The decoder's message and its cause would quote the secret: neither is kept.
        raise DiscoveryError("The secret of the cluster is not JSON", where={"secret": secret}, remedy=remedy) from None
    password = content.get("password") if isinstance(content, dict) else None
    if not isinstance(password, str) or not password:
        raise DiscoveryError("The secret of the cluster holds no password", where={"secret": secret}, remedy=remedy)
    port = str(content.get("port") or "")
    if port.isdigit() and not 0 < int(port) <= HIGHEST_PORT:
        raise DiscoveryError(
            f"The secret of the cluster names the port {port}", where={"secret": secret}, remedy=remedy
        )
    return Secret(
        name=secret,
        credentials=Credentials(str(content.get("username") or user), password),
        host=str(content["host"]) if content.get("host") else None,
        port=int(port) if port.isdigit() else None,
    )


def token(client: Any, host: str, port: int, user: str, region: str) -> TokenCredentials:
    """Return credentials that make their tokens themselves: each is signed here, and AWS is not asked."""

    def make() -> str:
        with asking("RDS", "GenerateDBAuthToken", user):
            return str(client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user, Region=region))

    return TokenCredentials(user, make)
