"""What Phase 3 stands on: each prerequisite by its id, with how it is proven from the facts of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from etl_manager.gate import rules
from etl_manager.gate.inputs import Finding, GateInputs
from etl_manager.wording import number_of


@dataclass(frozen=True, kw_only=True)
class Prerequisite:
    """One thing Phase 3 needs.

    Attributes:
        id: As the verdict and the feature name it.
        title: What holds when it is met.
        findings: Gives what is not as it should be.
        evidence: Says what was found when all is well.
        asks_aws: Whether only AWS itself can answer: on an emulated target it does not apply.
    """

    id: str
    title: str
    findings: Callable[[GateInputs], Iterable[Finding]]
    evidence: Callable[[GateInputs], str]
    asks_aws: bool = False


def _of(count: int, total: int, thing: str) -> str:
    return f"{count} of {number_of(total, thing)}"


def _tables(how: str) -> Callable[[GateInputs], str]:
    return lambda facts: f"{_of(len(facts.filtered), len(facts.filtered), 'table')} in the filter {how}"


def _sample_rows(facts: GateInputs) -> str:
    wanted, counts = facts.config.sample_data.users_per_tenant, facts.verification.counts
    told = f"{number_of(wanted, 'user')} in each of {number_of(len(counts), 'tenant')}"
    if facts.config.sample_data.accept_other_rows:
        others = sum(counts.values()) - wanted * len(counts)
        told += f", and {number_of(others, 'other row')}, which sampleData.otherRows accepts"
    return told


def _filter(facts: GateInputs) -> str:
    made, tables = facts.data_filter, len(facts.catalogue.tables)
    source = "the filter of config.json" if made.own else "compiled from the tenants"
    told = (
        f"{source}, patterns: {made.patterns}. It takes the users tables of {'all ' if len(made.taken) > 1 else ''}{number_of(len(made.taken), 'tenant')}, no other of"
        f" the {number_of(tables, 'table')} in {facts.config.database}, and names no other database"
    )
    return "\n".join([told, *made.notes])


PREREQUISITES = (
    Prerequisite(
        id="database-exists",
        title="The tenants' database exists",
        findings=rules.database,
        evidence=lambda facts: f"{facts.config.database}, PostgreSQL {facts.catalogue.server_version}",
    ),
    Prerequisite(
        id="tenant-schemas-exist",
        title="Every tenant has its schema, and nobody else has one",
        findings=rules.schemas,
        evidence=lambda facts: _of(len(facts.verification.schemas), len(facts.config.tenants), "schema"),
    ),
    Prerequisite(
        id="users-tables-exist",
        title="Every tenant has its users table, made as it should be",
        findings=rules.tables,
        evidence=lambda facts: _of(len(facts.verification.tables), len(facts.config.tenants), "table"),
    ),
    Prerequisite(
        id="sample-data-complete",
        title="Every tenant has its sample rows, unaltered",
        findings=rules.sample_data,
        evidence=_sample_rows,
    ),
    Prerequisite(
        id="data-filter-ready",
        title="The data filter takes exactly the tenants' users tables",
        findings=lambda facts: facts.data_filter.findings,
        evidence=_filter,
    ),
    Prerequisite(
        id="database-encoding",
        title="Every database of the cluster is UTF-8",
        findings=rules.encodings,
        evidence=lambda facts: f"UTF8: {', '.join(facts.catalogue.encodings)}",
    ),
    Prerequisite(
        id="replicable-tables",
        title="Every table in the filter is an ordinary, logged table",
        findings=rules.replicated_tables,
        evidence=_tables("are ordinary and logged"),
    ),
    Prerequisite(
        id="primary-keys",
        title="Every table in the filter has a primary key",
        findings=rules.keys,
        evidence=_tables("have a primary key"),
    ),
    Prerequisite(
        id="replicable-columns",
        title="Every column in the filter has a type that is replicated",
        findings=rules.columns,
        evidence=_tables("have columns of replicated types only"),
    ),
    Prerequisite(
        id="partition-parents",
        title="No partitioned table is in the filter",
        findings=rules.partition_parents,
        evidence=_tables("are not partitioned"),
    ),
    Prerequisite(
        id="engine-version",
        title="The cluster runs an engine that zero-ETL supports",
        findings=lambda facts: rules.engine(facts.cluster),
        evidence=lambda facts: f"{facts.cluster.engine} {facts.cluster.version}",
        asks_aws=True,
    ),
    Prerequisite(
        id="cluster-parameters",
        title="The cluster's parameters let its changes be replicated",
        findings=lambda facts: rules.parameters(facts.cluster, facts.catalogue.settings),
        evidence=lambda facts: f"set in {facts.cluster.parameter_group}, and in force on {facts.cluster.writer}",
        asks_aws=True,
    ),
    Prerequisite(
        id="quotas",
        title="There is room for another integration",
        findings=lambda facts: rules.quotas(facts.cluster),
        evidence=lambda facts: rules.counted(facts.cluster),
        asks_aws=True,
    ),
    Prerequisite(
        id="existing-integrations",
        title="No integration stands in the way of the new one",
        findings=lambda facts: rules.integrations(facts.cluster, facts.config.zero_etl.integration_name),
        evidence=lambda facts: rules.counted(facts.cluster),
        asks_aws=True,
    ),
)
"""All of them, in the order of the verdict."""
