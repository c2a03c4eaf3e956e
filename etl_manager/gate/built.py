"""What Phase 2 was to build, held against what the verification printed."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from etl_manager.gate.facts import Facts
from etl_manager.gate.finding import Finding
from etl_manager.verification import Finding as Difference

PROVISION = "provision it: pytest features/"
BY_HAND = "correct it by hand: provisioning changes no rows or columns that are there, and drops nothing"


def database(facts: Facts) -> Iterator[Finding]:
    """Yield the tenants' database when it is missing."""
    if facts.config.database not in facts.catalogue.encodings:
        yield Finding(f"database {facts.config.database}", "missing", PROVISION)


def schemas(facts: Facts) -> Iterator[Finding]:
    """Yield the tenants' schemas that are missing or another's, and those nobody configured."""
    told = [difference for difference in facts.verification.findings if difference.object.startswith("schema")]
    yield from map(_finding, told)
    yield from _not_listed(facts, facts.verification.schemas, told, "schema")


def tables(facts: Facts) -> Iterator[Finding]:
    """Yield the users tables that are missing, another's, or made otherwise than they should be."""
    told = [difference for difference in facts.verification.findings if _of_table(difference)]
    yield from map(_finding, told)
    without_schema = [found for found in facts.verification.findings if found.object == "schema"]
    listed = [schema for schema, _ in facts.verification.tables]
    yield from _not_listed(facts, listed, [*told, *without_schema], "users table")
    for difference in without_schema:
        if difference.tenant in facts.config.tenants:
            yield Finding(f"{difference.tenant}.users", "missing with its schema", PROVISION)


def _of_table(difference: Difference) -> bool:
    """Tell what is about a table; a missing key and an unlogged table are prerequisites of their own."""
    elsewhere = difference.object.startswith("schema") or difference.object in {"rows", "sample rows"}
    missing_key = difference.object == "primary key" and difference.found == "missing"
    return not elsewhere and not missing_key and difference.expected != "logged"


def sample_data(facts: Facts) -> Iterator[Finding]:
    """Yield the tenants whose sample rows are missing, altered or not the only ones."""
    told = [difference for difference in facts.verification.findings if difference.object in {"rows", "sample rows"}]
    yield from map(_finding, told)
    named = {difference.tenant for difference in told}
    for tenant in facts.config.tenants:
        found = facts.verification.counts.get(tenant)
        if found != facts.config.users_per_tenant and tenant not in named:
            counted = "no users were counted" if found is None else f"users counted: {found}"
            yield Finding(f"{tenant}.users", f"{counted} of {facts.config.users_per_tenant}", PROVISION)


def _finding(difference: Difference) -> Finding:
    of_schema = difference.object.startswith("schema")
    return Finding(
        f"schema {difference.tenant}" if of_schema else f"{difference.tenant}.users",
        f"{difference.object}: expected {difference.expected}, found {difference.found}",
        _remedy(difference),
    )


def _remedy(difference: Difference) -> str:
    if difference.expected.startswith("not configured"):
        return "name it under tenants in config.json, or drop it"
    too_few = difference.object == "rows" and int(difference.found) < int(difference.expected)
    owner = difference.object.endswith("owner")
    lost = difference.found.startswith("missing") and not difference.object.startswith("column")
    return PROVISION if too_few or owner or lost else BY_HAND


def _not_listed(facts: Facts, listed: Collection[str], told: list[Difference], what: str) -> Iterator[Finding]:
    """Yield the tenants the verification neither lists nor finds fault with: its own defect, but no proof."""
    known = {*listed, *(difference.tenant for difference in told)}
    for tenant in facts.config.tenants:
        if tenant not in known:
            yield Finding(tenant, f"the verification lists no {what} of it", PROVISION)
