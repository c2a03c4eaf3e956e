"""What only AWS can say of the cluster: its engine, its parameters, and the integrations that are there already.

Three calls, none of which changes anything: ``rds:DescribeDBClusters``, ``rds:DescribeDBClusterParameters`` and
``rds:DescribeIntegrations``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etl_manager.aws.errors import aws_errors
from etl_manager.errors import DiscoveryError
from etl_manager.provisioning.context import RunContext


@dataclass(frozen=True, kw_only=True)
class Integration:
    """A zero-ETL integration of this account and region."""

    name: str
    source: str
    target: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The cluster as RDS describes it.

    Attributes:
        engine: Such as ``aurora-postgresql``.
        version: Such as ``16.6``.
        parameters: What its cluster parameter group sets.
        writer_status: How far the writer is with that group: ``in-sync``, ``pending-reboot`` …
        integrations: All of the account and region.
    """

    arn: str
    engine: str
    version: str
    limitless: bool
    parameter_group: str
    parameters: Mapping[str, str]
    writer: str
    writer_status: str
    integrations: tuple[Integration, ...]


def read(environment: RunContext) -> Cluster:
    """Ask RDS for the cluster that discovery found.

    Raises:
        DiscoveryError: When a call is refused, or no cluster has that endpoint.
    """
    client = environment.client("rds")
    found = _cluster(client, environment)
    group = str(found.get("DBClusterParameterGroup", ""))
    writers = [member for member in found.get("DBClusterMembers", []) if member.get("IsClusterWriter")]
    writer: Mapping[str, Any] = writers[0] if writers else {}
    return Cluster(
        arn=str(found["DBClusterArn"]),
        engine=str(found.get("Engine", "")),
        version=str(found.get("EngineVersion", "")),
        limitless=found.get("ClusterScalabilityType") == "limitless",
        parameter_group=group,
        parameters=_parameters(client, group),
        writer=str(writer.get("DBInstanceIdentifier", "")),
        writer_status=str(writer.get("DBClusterParameterGroupStatus", "")),
        integrations=_integrations(client, environment.region),
    )


def _cluster(client: Any, environment: RunContext) -> Mapping[str, Any]:
    with aws_errors("RDS", "DescribeDBClusters", environment.host):
        for page in client.get_paginator("describe_db_clusters").paginate():
            for cluster in page["DBClusters"]:
                endpoints = {str(cluster.get(name, "")).lower() for name in ("Endpoint", "DBClusterArn")}
                if endpoints & {environment.host.lower(), environment.cluster_arn.lower()} - {""}:
                    return dict(cluster)
    raise DiscoveryError(
        "RDS knows no cluster with this endpoint",
        context={"endpoint": environment.host, "stack": environment.stack, "region": environment.region},
        hint=f"Compare: aws rds describe-db-clusters --region {environment.region} --query 'DBClusters[].Endpoint'",
    )


def _parameters(client: Any, group: str) -> dict[str, str]:
    with aws_errors("RDS", "DescribeDBClusterParameters", group):
        pages = client.get_paginator("describe_db_cluster_parameters").paginate(DBClusterParameterGroupName=group)
        return {
            parameter["ParameterName"]: str(parameter["ParameterValue"])
            for page in pages
            for parameter in page["Parameters"]
            if "ParameterValue" in parameter
        }


def _integrations(client: Any, region: str) -> tuple[Integration, ...]:
    with aws_errors("RDS", "DescribeIntegrations", region):
        pages = client.get_paginator("describe_integrations").paginate()
        return tuple(
            Integration(
                name=str(item.get("IntegrationName", "")),
                source=str(item.get("SourceArn", "")),
                target=str(item.get("TargetArn", "")),
                status=str(item.get("Status", "")),
            )
            for page in pages
            for item in page["Integrations"]
        )
