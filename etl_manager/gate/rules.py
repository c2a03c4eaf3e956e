"""What Phase 3 demands of the database and of AWS: each rule yields what is not as it should be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from etl_manager.database.difference import Aspect, Difference
from etl_manager.database.replication import obstacles
from etl_manager.gate.cluster import Cluster
from etl_manager.gate.inputs import GateFinding, GateInputs
from etl_manager.wording import enumeration


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
    of_cluster = sum(integration.source == cluster.arn for integration in cluster.integrations)
    if of_cluster >= PER_CLUSTER:
        yield GateFinding(f"cluster {cluster.arn}", f"it has {of_cluster} integrations of {PER_CLUSTER}", remedy)
    if len(cluster.integrations) >= PER_ACCOUNT:
        yield GateFinding("account", f"it has {len(cluster.integrations)} integrations of {PER_ACCOUNT}", remedy)
    for target, count in Counter(integration.target for integration in cluster.integrations).items():
        if count >= PER_TARGET:
            yield GateFinding(f"target {target}", f"it has {count} integrations of {PER_TARGET}", remedy)


def integration_counts(cluster: Cluster) -> str:
    """Say how many integrations there are."""
    of_cluster = sum(integration.source == cluster.arn for integration in cluster.integrations)
    return (
        f"{of_cluster} of {PER_CLUSTER} integrations of the cluster, {len(cluster.integrations)} of {PER_ACCOUNT} of"
        " the account"
    )


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
