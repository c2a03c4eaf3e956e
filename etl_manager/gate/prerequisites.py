"""The prerequisites of Phase 3: each by its id, with how it is proven from the inputs of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from etl_manager.gate import rules
from etl_manager.gate.inputs import GateFinding, GateInputs
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
    findings: Callable[[GateInputs], Iterable[GateFinding]]
    evidence: Callable[[GateInputs], str]
    asks_aws: bool = False


def _of(count: int, total: int, thing: str) -> str:
    return f"{count} of {number_of(total, thing)}"


def _tables(how: str) -> Callable[[GateInputs], str]:
    return lambda inputs: f"{_of(len(inputs.filtered), len(inputs.filtered), 'table')} in the filter {how}"


def _sample_rows(inputs: GateInputs) -> str:
    states = inputs.verification.facts.tenants.values()
    wanted = sum(rows for state in states for rows in state.reference_rows.values())
    text = f"{number_of(wanted, 'sample row')} in {number_of(len(states), 'tenant')}"
    if inputs.config.sample_data.accept_other_rows:
        others = sum(state.tables[table] or 0 for state in states for table in state.reference_rows) - wanted
        text += f", and {number_of(others, 'other row')}, which sampleData.otherRows accepts"
    return text


def _filter(inputs: GateInputs) -> str:
    made, tables = inputs.data_filter, len(inputs.catalogue.tables)
    source = "the filter of config.json" if made.own else "compiled from the tenants"
    text = (
        f"{source}, patterns: {made.patterns}. Of {number_of(len(inputs.config.tenants), 'tenant')} it takes "
        f"{', '.join(inputs.tables)}: {len(made.taken)} of the {number_of(tables, 'table')} in {inputs.config.database}, "
        "and names no other database"
    )
    return "\n".join([text, *made.notes])


PREREQUISITES = (
    Prerequisite(
        id="database-exists",
        title="The tenants' database exists",
        findings=rules.database,
        evidence=lambda inputs: f"{inputs.config.database}, PostgreSQL {inputs.catalogue.server_version}",
    ),
    Prerequisite(
        id="tenant-schemas-exist",
        title="Every tenant has its schema, and nobody else has one",
        findings=rules.schemas,
        evidence=lambda inputs: _of(len(inputs.verification.schemas), len(inputs.config.tenants), "schema"),
    ),
    Prerequisite(
        id="users-tables-exist",
        title="Every tenant has the tables of the template, made as it says",
        findings=rules.tables,
        evidence=lambda inputs: _of(len(inputs.verification.tables), len(inputs.verification.tables), "table"),
    ),
    Prerequisite(
        id="no-pending-changes",
        title="Every change of the template is applied to every tenant",
        findings=rules.changes,
        evidence=lambda inputs: (
            f"{number_of(len(inputs.verification.facts.template.changes), 'change')} in each of"
            f" {number_of(len(inputs.config.tenants), 'tenant')}"
        ),
    ),
    Prerequisite(
        id="sample-data-complete",
        title="Every tenant has its sample rows, unaltered",
        findings=rules.sample_data,
        evidence=_sample_rows,
    ),
    Prerequisite(
        id="data-filter-ready",
        title="The data filter takes exactly the tenants' tables",
        findings=lambda inputs: inputs.data_filter.findings,
        evidence=_filter,
    ),
    Prerequisite(
        id="database-encoding",
        title="Every database of the cluster is UTF-8",
        findings=rules.encodings,
        evidence=lambda inputs: f"UTF8: {', '.join(inputs.catalogue.encodings)}",
    ),
    Prerequisite(
        id="replicable-tables",
        title="Every table in the filter is an ordinary, logged table",
        findings=lambda inputs: rules.unreplicated(inputs, "replicable-tables"),
        evidence=_tables("are ordinary and logged"),
    ),
    Prerequisite(
        id="primary-keys",
        title="Every table in the filter has a primary key",
        findings=lambda inputs: rules.unreplicated(inputs, "primary-keys"),
        evidence=_tables("have a primary key"),
    ),
    Prerequisite(
        id="replicable-columns",
        title="Every column in the filter has a type that is replicated",
        findings=lambda inputs: rules.unreplicated(inputs, "replicable-columns"),
        evidence=_tables("have columns of replicated types only"),
    ),
    Prerequisite(
        id="partition-parents",
        title="No partitioned table is in the filter",
        findings=lambda inputs: rules.unreplicated(inputs, "partition-parents"),
        evidence=_tables("are not partitioned"),
    ),
    Prerequisite(
        id="engine-version",
        title="The cluster runs an engine that zero-ETL supports",
        findings=lambda inputs: rules.engine(inputs.cluster),
        evidence=lambda inputs: f"{inputs.cluster.engine} {inputs.cluster.version}",
        asks_aws=True,
    ),
    Prerequisite(
        id="cluster-parameters",
        title="The cluster's parameters let its changes be replicated",
        findings=lambda inputs: rules.parameters(inputs.cluster, inputs.catalogue.settings),
        evidence=lambda inputs: f"set in {inputs.cluster.parameter_group}, and in force on {inputs.cluster.writer}",
        asks_aws=True,
    ),
    Prerequisite(
        id="quotas",
        title="There is room for another integration",
        findings=lambda inputs: rules.quotas(inputs.cluster),
        evidence=lambda inputs: rules.integration_counts(inputs.cluster),
        asks_aws=True,
    ),
    Prerequisite(
        id="existing-integrations",
        title="No integration stands in the way of the new one",
        findings=lambda inputs: rules.integrations(inputs.cluster, inputs.config.zero_etl.integration_name),
        evidence=lambda inputs: rules.integration_counts(inputs.cluster),
        asks_aws=True,
    ),
)
"""All of them, in the order of the verdict."""
