"""What zero-ETL demands of the cluster itself, held against what RDS says of it.

Sources, all Aurora User Guide: supported versions (Concepts.Aurora_Fea_Regions_DB-eng.Feature.Zero-ETL), parameters
(zero-etl.setting-up), quotas and limitations (zero-etl).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from etl_manager.gate.cluster import Cluster
from etl_manager.gate.finding import Finding

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


def engine(cluster: Cluster) -> Iterator[Finding]:
    """Yield what is wrong with the engine: its kind, its version, its form."""
    subject = f"cluster {cluster.arn}"
    supported = ", ".join(f"{major}.{minor}" for major, minor in FIRST_MINOR.items())
    if cluster.engine != "aurora-postgresql":
        yield Finding(subject, f"expected engine aurora-postgresql, found {cluster.engine}", "use an Aurora cluster")
    version = re.match(r"(\d+)\.(\d+)", cluster.version)
    major, minor = (int(version[1]), int(version[2])) if version else (0, 0)
    if minor < FIRST_MINOR.get(major, minor + 1):
        yield Finding(
            subject,
            f"version {cluster.version} is not among those known to be supported (from {supported})",
            "upgrade the cluster; of a newer major version see whether AWS's list has it by now",
        )
    if cluster.limitless:
        yield Finding(subject, "Aurora Limitless is not supported", "use a cluster without it")


def parameters(cluster: Cluster, in_force: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the parameters that are not set as they must be, or are not yet *in_force* on the server."""
    subject = f"parameter group {cluster.parameter_group}"
    reboot = f"reboot the writer: aws rds reboot-db-instance --db-instance-identifier {cluster.writer or '…'}"
    wrong = False
    for name, wanted in PARAMETERS.items():
        found = cluster.parameters.get(name)
        if found is None or _switch(found) != wanted:
            wrong = True
            yield Finding(
                subject,
                f"{name}: expected {wanted}, found {'nothing set' if found is None else found}",
                f"set it with ApplyMethod=pending-reboot, then {reboot}",
            )
        elif name in in_force and _switch(in_force[name]) != wanted:
            yield Finding(subject, f"{name}: set to {wanted}, but {in_force[name]} is in force", reboot)
    if not cluster.writer:
        yield Finding(f"cluster {cluster.arn}", "it has no writer", "give it an instance")
    elif cluster.writer_status != "in-sync" and not wrong:
        yield Finding(f"instance {cluster.writer}", f"its parameters are {cluster.writer_status or 'unknown'}", reboot)


def _switch(value: str) -> str:
    return {"on": "1", "true": "1", "off": "0", "false": "0"}.get(value.lower(), value)


def quotas(cluster: Cluster) -> Iterator[Finding]:
    """Yield the quotas that leave no room for another integration."""
    remedy = "delete an integration that is not needed, or ask AWS for a higher quota"
    of_cluster = sum(integration.source == cluster.arn for integration in cluster.integrations)
    if of_cluster >= PER_CLUSTER:
        yield Finding(f"cluster {cluster.arn}", f"it has {of_cluster} integrations of {PER_CLUSTER}", remedy)
    if len(cluster.integrations) >= PER_ACCOUNT:
        yield Finding("account", f"it has {len(cluster.integrations)} integrations of {PER_ACCOUNT}", remedy)
    for target, count in Counter(integration.target for integration in cluster.integrations).items():
        if count >= PER_TARGET:
            yield Finding(f"target {target}", f"it has {count} integrations of {PER_TARGET}", remedy)


def counted(cluster: Cluster) -> str:
    """Say how many integrations there are."""
    of_cluster = sum(integration.source == cluster.arn for integration in cluster.integrations)
    return (
        f"{of_cluster} of {PER_CLUSTER} integrations of the cluster, {len(cluster.integrations)} of {PER_ACCOUNT} of"
        " the account"
    )


def integrations(cluster: Cluster, name: str | None) -> Iterator[Finding]:
    """Yield the integrations that keep one called *name* from being made, or that are not well themselves."""
    for integration in cluster.integrations:
        subject = f"integration {integration.name}"
        if name is not None and integration.name == name:
            yield Finding(
                subject,
                f"it exists already ({integration.status})",
                "Phase 3 may be done: look at it; or name another one in zeroEtl.integrationName",
            )
        elif integration.source == cluster.arn and integration.status in BUSY:
            yield Finding(subject, f"it is {integration.status}: until then AWS refuses another", "wait for it")
        elif integration.source == cluster.arn and integration.status in BROKEN:
            yield Finding(
                subject,
                f"it is {integration.status}",
                "mend or delete it first: aws rds describe-integrations shows its errors",
            )
