"""The inputs of the gate's rules, the data filter and RDS's word on the cluster among them, and the findings that they yield."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from etl_manager.aws.errors import aws_errors
from etl_manager.config import Config
from etl_manager.database.snapshot import Catalogue, Name, Shape
from etl_manager.database.verification import Verification
from etl_manager.errors import DiscoveryError
from etl_manager.provisioning.record import RunContext
from etl_manager.redaction import one_line
from etl_manager.wording import enumeration
from etl_manager.zero_etl import FilterComparison, FilterError, compare_filter, compile_filter, parse


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class GateFinding:
    """One thing that keeps a prerequisite from being met."""

    subject: Annotated[str, Field(description="The database, schema, table, pattern, cluster or integration.")]
    problem: str
    remedy: Annotated[str, Field(description="How to mend it.")]

    def __str__(self) -> str:
        """Return the line that a red gate shows."""
        return one_line(f"{self.subject}: {self.problem}; {self.remedy}")


SOURCE = "zeroEtl.dataFilter"
LATER = (
    "it is written by patterns: it also takes schemas that are made later and that the patterns match, so that it is "
    "exact only for what is there now; gate again before the integration is made or modified"
)
_NARROW = f"correct {SOURCE} in config.json, or leave it out: it is then compiled from the tenants"


@plain_dataclass(frozen=True, kw_only=True)
class DataFilter:
    """A data filter and what it takes.

    Attributes:
        text: As ``--data-filter`` takes it; None where there is none to give.
        patterns: How many patterns it has.
        own: Whether it is the user's own.
        taken: The tables of the tenants' database it takes, of those that exist; without a text, those it is to take.
        findings: What keeps it from being exact.
        notes: What is true of an exact filter and should be known.
    """

    text: str | None
    patterns: int
    own: bool
    taken: tuple[Name, ...]
    findings: tuple[GateFinding, ...]
    notes: tuple[str, ...] = ()


def examine(config: Config, wanted: Sequence[Name], catalogue: Catalogue, hint: str) -> DataFilter:
    """Compile the filter of the *wanted* tables, or take the user's own, and prove it against *catalogue*.

    *hint* is what to do about a table that is missing.
    """
    tables = catalogue.replicated(config.database)
    text = config.zero_etl.data_filter
    own = text is not None
    there = {(schema, table) for _, schema, table in tables}
    notes: list[str] = []
    try:
        if text is None:
            compiled = compile_filter(config.database, wanted, tables)
            text = compiled.text
            if compiled.open_schemas:
                named = enumeration(compiled.open_schemas, 5)
                notes = [f"it would take tables of the same names in these schemas too, were any made there: {named}"]
        comparison = compare_filter(text, config.database, wanted, tables)
        if matches_future_tables(text):
            notes.append(LATER)
    except FilterError as error:
        remedy = error.hint or _NARROW
        finding = GateFinding(SOURCE if own else "data filter", error.message, remedy)
        taken = tuple(sorted(there.intersection(wanted)))
        return DataFilter(text=None, patterns=0, own=own, taken=taken, findings=(finding,))
    ambiguous = _ambiguous(comparison)
    if comparison.exact:  # both semantics take the same tables: it can only matter to tables that are yet to come
        notes += [f"{finding.subject}: {finding.problem}" for finding in ambiguous]
        ambiguous = []
    missed = {(table.schema, table.table) for table in comparison.missing}
    excess = {(table.schema, table.table) for table in comparison.excess}
    of_others = [each for each in comparison.patterns if each.include and each.database != config.database]
    return DataFilter(
        text=text,
        patterns=len(comparison.patterns),
        own=own,
        taken=tuple(sorted((there & set(wanted) - missed) | (there & excess))),
        findings=(
            *(
                GateFinding(
                    f"{config.database}.{schema}.{table}", "the filter is to take it, and there is no such table", hint
                )
                for schema, table in wanted
                if (schema, table) not in there
            ),
            *(GateFinding(str(table), "the filter does not take it", _NARROW) for table in comparison.missing),
            *(
                GateFinding(str(table), "the filter takes it, and it is no tenant's", _NARROW)
                for table in comparison.excess
            ),
            *ambiguous,
            # The catalogue does not show what these take.
            *(
                GateFinding(str(pattern), f"it includes tables of another database than {config.database}", _NARROW)
                for pattern in of_others
            ),
        ),
        notes=tuple(notes),
    )


def matches_future_tables(text: str) -> bool:
    """Return whether the filter *text* can take tables that do not exist yet, beside those it names.

    Raises:
        FilterError: When it is none.
    """
    return any(
        part == "*" or part.startswith("/")
        for pattern in parse(text)
        if pattern.include
        for part in (pattern.schema, pattern.table)
    )


def _ambiguous(comparison: FilterComparison) -> list[GateFinding]:
    return [
        GateFinding(
            f"pattern {found.number} ({found.pattern})",
            f"found in, but not the whole of: {', '.join(found.names[:10])}; AWS does not say which of the two counts",
            "write the expression so that both readings agree, for instance with .* at its ends",
        )
        for found in comparison.ambiguous
    ]


@plain_dataclass(frozen=True, kw_only=True)
class Integration:
    """A zero-ETL integration of this account and region."""

    name: str
    source: str
    target: str
    status: str


@plain_dataclass(frozen=True, kw_only=True)
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

    @property
    def own_integrations(self) -> int:
        """How many of the integrations have this cluster as their source."""
        return sum(integration.source == self.arn for integration in self.integrations)


def read_cluster(environment: RunContext) -> Cluster:
    """Ask RDS for the cluster that discovery found: what only AWS can say of it.

    Three calls, none of which changes anything: ``rds:DescribeDBClusters``, ``rds:DescribeDBClusterParameters`` and
    ``rds:DescribeIntegrations``.

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


@plain_dataclass(frozen=True)
class GateInputs:
    """What the rules are applied to: the verification's output, the catalogue, and AWS; *at* is when that was read."""

    config: Config
    environment: RunContext
    verification: Verification
    catalogue: Catalogue
    at: datetime

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """The tables of each tenant that are to be replicated: all of the template, unless the configuration names some."""
        return self.config.zero_etl.tables or self.verification.facts.template.tables

    @cached_property
    def wanted(self) -> tuple[Name, ...]:
        """Schema and name of each table that is to be replicated."""
        return tuple((tenant, table) for tenant in self.config.tenants for table in self.tables)

    @cached_property
    def data_filter(self) -> DataFilter:
        """The data filter, and what is wrong with it."""
        return examine(self.config, self.wanted, self.catalogue, self.provision_hint)

    @cached_property
    def cluster(self) -> Cluster:
        """What RDS says of the cluster.

        Raises:
            DiscoveryError: When it cannot be called.
        """
        return read_cluster(self.environment)

    @property
    def provision_hint(self) -> str:
        """The remedy for what a run builds."""
        return f"provision it: pytest features/ --target {self.environment.target}"

    @property
    def cluster_arn(self) -> str:
        """The cluster's ARN: as RDS gave it, where it was called, else as the stack has it."""
        known = self.__dict__.get("cluster")
        return known.arn if isinstance(known, Cluster) else self.environment.cluster_arn

    @cached_property
    def filtered(self) -> dict[Name, Shape]:
        """The tables that are to be replicated, and those the filter takes beside them, as far as they exist."""
        names = [*self.wanted, *sorted(set(self.data_filter.taken) - set(self.wanted))]
        return {name: self.catalogue.tables[name] for name in names if name in self.catalogue.tables}
