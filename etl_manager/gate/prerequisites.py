"""The prerequisites of Phase 3: what it demands of the database and of AWS, and how each is proven from one run's inputs.

Each rule yields what is not as it should be; `PREREQUISITES`, at the end, lists them all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from etl_manager.database.difference import Aspect, Difference
from etl_manager.database.replication import obstacles
from etl_manager.gate.inputs import Cluster, GateFinding, GateInputs
from etl_manager.wording import enumeration, number_of


def encodings(inputs: GateInputs) -> Iterator[GateFinding]:
    """Yield the databases of the cluster that are not UTF-8: one is enough, whether it is replicated or not."""
    for database, encoding in inputs.catalogue.encodings.items():
        if encoding != "UTF8":
            yield GateFinding(
                f"database {database}",
                f"expected encoding UTF8, found {encoding}",
                "zero-ETL demands UTF8 of every database of the cluster: dump it into one made with"
                " ENCODING 'UTF8' TEMPLATE template0, here or on another cluster, and drop it",
            )


def unreplicated(inputs: GateInputs, prerequisite: str) -> Iterator[GateFinding]:
    """Yield what keeps tables in the filter from being replicated, as far as it disproves *prerequisite*."""
    for name, shape in inputs.filtered.items():
        for obstacle in obstacles(".".join(name), shape):
            if obstacle.prerequisite == prerequisite:
                remedy = obstacle.remedy
                if prerequisite == "primary-keys":
                    remedy += "; a run adds the one that the template has"
                elif prerequisite == "partition-parents":
                    parts = enumeration([".".join(part) for part in inputs.catalogue.partitions.get(name, ())])
                    remedy = f"filter its partitions instead ({parts or 'it has none'}), or {remedy}"
                yield GateFinding(".".join(name), obstacle.problem, remedy)


_ELSEWHERE = {"primary-key-missing", "unlogged"}
"""Kinds of difference that are prerequisites of their own."""


def database(inputs: GateInputs) -> Iterator[GateFinding]:
    """Yield the tenants' database when it is missing."""
    if inputs.config.database not in inputs.catalogue.encodings:
        yield GateFinding(f"database {inputs.config.database}", "missing", inputs.provision_hint)


def schemas(inputs: GateInputs) -> Iterator[GateFinding]:
    """Yield the tenants' schemas that are missing or of another owner, and schemas that are not configured."""
    yield from _differences(inputs, "schema")
    for tenant in inputs.config.tenants:
        if tenant not in inputs.verification.facts.tenants:
            yield GateFinding(f"schema {tenant}", "the verification left it out", "verify all tenants in one run")


def tables(inputs: GateInputs) -> Iterator[GateFinding]:
    """Yield the tables that are missing, of another owner, or of another shape, and what from outside acts on them."""
    yield from _differences(inputs, "tables", "shape", "surroundings")
    for tenant, state in inputs.verification.facts.tenants.items():
        if not state.schema_exists:
            for table in inputs.verification.facts.template.tables:
                yield GateFinding(f"{tenant}.{table}", "missing with its schema", inputs.provision_hint)


def changes(inputs: GateInputs) -> Iterator[GateFinding]:
    """Yield the tenants that lack changes of the template, and changes that are not those that were applied."""
    yield from _differences(inputs, "changes")
    for tenant, state in inputs.verification.facts.tenants.items():
        if not state.schema_exists:
            yield GateFinding(f"schema {tenant}", f"pending {', '.join(state.pending)}", inputs.provision_hint)


def sample_data(inputs: GateInputs) -> Iterator[GateFinding]:
    """Yield the tenants whose sample rows are missing, altered or not the only ones."""
    yield from _differences(inputs, "rows")
    for tenant, state in inputs.verification.facts.tenants.items():
        different = {difference.table for difference in state.of("rows")}
        for table in inputs.verification.facts.template.data:
            if table not in state.reference_rows and table not in different:
                in_the_way = (each.hint for each in state.differences if each.table == table and not each.repairable)
                hint = next(in_the_way, inputs.provision_hint)
                yield GateFinding(f"{tenant}.{table}", "its rows cannot be compared with the sample", hint)


def _differences(inputs: GateInputs, *aspects: Aspect) -> Iterator[GateFinding]:
    for difference in inputs.verification.differences:
        if difference.aspect in aspects and difference.kind not in _ELSEWHERE:
            hint = inputs.provision_hint if difference.repairable else difference.hint
            yield GateFinding(_subject(difference), difference.problem, hint)


def _subject(difference: Difference) -> str:
    if difference.aspect == "surroundings":
        return "outside the tenants"
    if difference.tenant is None:
        return "tenant template"
    return f"{difference.tenant}.{difference.table}" if difference.table else f"schema {difference.tenant}"


FIRST_MINOR = {16: 4, 17: 4, 18: 3}
"""The first minor version of each major one that zero-ETL supports."""

PARAMETERS = {
    "rds.logical_replication": "1",
    "aurora.enhanced_logical_replication": "1",
    "aurora.logical_replication_backup": "0",
    "aurora.logical_replication_globaldb": "0",
}
"""The cluster parameters, and what each must be."""

PER_ACCOUNT, PER_TARGET, PER_CLUSTER = 100, 50, 5
"""How many integrations there may be, the new one included."""

BUSY = {"creating", "modifying", "deleting"}
BROKEN = {"failed", "needs_attention"}


def engine(cluster: Cluster) -> Iterator[GateFinding]:
    """Yield what is wrong with the engine: its kind, its version, its form."""
    subject = f"cluster {cluster.arn}"
    supported = ", ".join(f"{major}.{minor}" for major, minor in FIRST_MINOR.items())
    if cluster.engine != "aurora-postgresql":
        yield GateFinding(
            subject, f"expected engine aurora-postgresql, found {cluster.engine}", "use an Aurora cluster"
        )
    version = re.match(r"(\d+)\.(\d+)", cluster.version)
    major, minor = (int(version[1]), int(version[2])) if version else (0, 0)
    if minor < FIRST_MINOR.get(major, minor + 1):
        yield GateFinding(
            subject,
            f"version {cluster.version} is not among those known to be supported (from {supported})",
            "upgrade the cluster; of a newer major version see whether AWS's list has it by now",
        )
    if cluster.limitless:
        yield GateFinding(subject, "Aurora Limitless is not supported", "use a cluster without it")


def parameters(cluster: Cluster, in_force: Mapping[str, str]) -> Iterator[GateFinding]:
    """Yield the parameters that are not set as they must be, or are not yet *in_force* on the server."""
    subject = f"parameter group {cluster.parameter_group}"
    reboot = f"reboot the writer: aws rds reboot-db-instance --db-instance-identifier {cluster.writer or '…'}"
    wrong = False
    for name, wanted in PARAMETERS.items():
        found = cluster.parameters.get(name)
        if found is None or _switch(found) != wanted:
            wrong = True
            yield GateFinding(
                subject,
                f"{name}: expected {wanted}, found {'nothing set' if found is None else found}",
                f"set it with ApplyMethod=pending-reboot, then {reboot}",
            )
        elif name in in_force and _switch(in_force[name]) != wanted:
            yield GateFinding(subject, f"{name}: set to {wanted}, but {in_force[name]} is in force", reboot)
    if not cluster.writer:
        yield GateFinding(f"cluster {cluster.arn}", "it has no writer", "give it an instance")
    elif cluster.writer_status != "in-sync" and not wrong:
        yield GateFinding(
            f"instance {cluster.writer}", f"its parameters are {cluster.writer_status or 'unknown'}", reboot
        )


def _switch(value: str) -> str:
    return {"on": "1", "true": "1", "off": "0", "false": "0"}.get(value.lower(), value)


def quotas(cluster: Cluster) -> Iterator[GateFinding]:
    """Yield the quotas that leave no room for another integration."""
    remedy = "delete an integration that is not needed, or ask AWS for a higher quota"
    if cluster.own_integrations >= PER_CLUSTER:
        found = f"it has {cluster.own_integrations} integrations of {PER_CLUSTER}"
        yield GateFinding(f"cluster {cluster.arn}", found, remedy)
    if len(cluster.integrations) >= PER_ACCOUNT:
        yield GateFinding("account", f"it has {len(cluster.integrations)} integrations of {PER_ACCOUNT}", remedy)
    for target, count in Counter(integration.target for integration in cluster.integrations).items():
        if count >= PER_TARGET:
            yield GateFinding(f"target {target}", f"it has {count} integrations of {PER_TARGET}", remedy)


def integrations(cluster: Cluster, name: str | None) -> Iterator[GateFinding]:
    """Yield the integrations that keep one called *name* from being made, or that are not well themselves."""
    for integration in cluster.integrations:
        subject = f"integration {integration.name}"
        if name is not None and integration.name == name:
            yield GateFinding(
                subject,
                f"it exists already ({integration.status})",
                "Phase 3 may be done: look at it; or name another one in zeroEtl.integrationName",
            )
        elif integration.source == cluster.arn and integration.status in BUSY:
            yield GateFinding(subject, f"it is {integration.status}: until then AWS refuses another", "wait for it")
        elif integration.source == cluster.arn and integration.status in BROKEN:
            yield GateFinding(
                subject,
                f"it is {integration.status}",
                "mend or delete it first: aws rds describe-integrations shows its errors",
            )


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


def _integration_counts(inputs: GateInputs) -> str:
    return (
        f"{inputs.cluster.own_integrations} of {PER_CLUSTER} integrations of the cluster,"
        f" {len(inputs.cluster.integrations)} of {PER_ACCOUNT} of the account"
    )


def _replicable(prerequisite: str, title: str, evidence: str) -> Prerequisite:
    """Return the prerequisite that nothing of its kind keeps a table in the filter from being replicated."""
    return Prerequisite(
        id=prerequisite,
        title=title,
        findings=lambda inputs: unreplicated(inputs, prerequisite),
        evidence=lambda inputs: f"{_of(len(inputs.filtered), len(inputs.filtered), 'table')} in the filter {evidence}",
    )


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
        findings=database,
        evidence=lambda inputs: f"{inputs.config.database}, PostgreSQL {inputs.catalogue.server_version}",
    ),
    Prerequisite(
        id="tenant-schemas-exist",
        title="Every tenant has its schema, and nobody else has one",
        findings=schemas,
        evidence=lambda inputs: _of(len(inputs.verification.schemas), len(inputs.config.tenants), "schema"),
    ),
    Prerequisite(
        id="users-tables-exist",
        title="Every tenant has the tables of the template, made as it says",
        findings=tables,
        evidence=lambda inputs: _of(len(inputs.verification.tables), len(inputs.verification.tables), "table"),
    ),
    Prerequisite(
        id="no-pending-changes",
        title="Every change of the template is applied to every tenant",
        findings=changes,
        evidence=lambda inputs: (
            f"{number_of(len(inputs.verification.facts.template.changes), 'change')} in each of"
            f" {number_of(len(inputs.config.tenants), 'tenant')}"
        ),
    ),
    Prerequisite(
        id="sample-data-complete",
        title="Every tenant has its sample rows, unaltered",
        findings=sample_data,
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
        findings=encodings,
        evidence=lambda inputs: f"UTF8: {', '.join(inputs.catalogue.encodings)}",
    ),
    _replicable(
        "replicable-tables", "Every table in the filter is an ordinary, logged table", "are ordinary and logged"
    ),
    _replicable("primary-keys", "Every table in the filter has a primary key", "have a primary key"),
    _replicable(
        "replicable-columns",
        "Every column in the filter has a type that is replicated",
        "have columns of replicated types only",
    ),
    _replicable("partition-parents", "No partitioned table is in the filter", "are not partitioned"),
    Prerequisite(
        id="engine-version",
        title="The cluster runs an engine that zero-ETL supports",
        findings=lambda inputs: engine(inputs.cluster),
        evidence=lambda inputs: f"{inputs.cluster.engine} {inputs.cluster.version}",
        asks_aws=True,
    ),
    Prerequisite(
        id="cluster-parameters",
        title="The cluster's parameters let its changes be replicated",
        findings=lambda inputs: parameters(inputs.cluster, inputs.catalogue.settings),
        evidence=lambda inputs: f"set in {inputs.cluster.parameter_group}, and in force on {inputs.cluster.writer}",
        asks_aws=True,
    ),
    Prerequisite(
        id="quotas",
        title="There is room for another integration",
        findings=lambda inputs: quotas(inputs.cluster),
        evidence=_integration_counts,
        asks_aws=True,
    ),
    Prerequisite(
        id="existing-integrations",
        title="No integration stands in the way of the new one",
        findings=lambda inputs: integrations(inputs.cluster, inputs.config.zero_etl.integration_name),
        evidence=_integration_counts,
        asks_aws=True,
    ),
)
"""All of them, in the order of the verdict."""
