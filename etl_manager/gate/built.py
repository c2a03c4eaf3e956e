"""What Phase 2 was to build, held against what the verification printed."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from etl_manager.gate.facts import Facts
from etl_manager.gate.finding import Finding
from etl_manager.verification import Finding as Difference

_SCHEMA = {"schema-missing", "schema-owner", "not-configured"}
_ROWS = {
    "rows-too-few", "rows-too-many", "sample-rows-missing", "sample-rows-altered", "not-readable", "row-level-security",
}  # fmt: skip
_ELSEWHERE = {"primary-key-missing", "unlogged"}
"""Kinds of difference that are prerequisites of their own."""
_MENDED = {"schema-missing", "schema-owner", "table-missing", "table-owner", "rows-too-few", "sample-rows-missing"}
"""Kinds that a run mends, where it is permitted to."""

PROVISION = "provision it: pytest features/"
BY_HAND = "correct it by hand: provisioning changes no rows or columns that are there, and drops nothing"


def database(facts: Facts) -> Iterator[Finding]:
    """Yield the tenants' database when it is missing."""
    if facts.config.database not in facts.catalogue.encodings:
        yield Finding(f"database {facts.config.database}", "missing", PROVISION)


def schemas(facts: Facts) -> Iterator[Finding]:
    """Yield the tenants' schemas that are missing or another's, and those nobody configured."""
    told = [difference for difference in facts.verification.findings if difference.kind in _SCHEMA]
    yield from map(_finding, told)
    yield from _not_listed(facts, facts.verification.schemas, told, "schema")


def tables(facts: Facts) -> Iterator[Finding]:
    """Yield the users tables that are missing, another's, or made otherwise than they should be."""
    told = [
        difference for difference in facts.verification.findings if difference.kind not in _SCHEMA | _ROWS | _ELSEWHERE
    ]
    yield from map(_finding, told)
    without_schema = [found for found in facts.verification.findings if found.kind == "schema-missing"]
    listed = [schema for schema, _ in facts.verification.tables]
    yield from _not_listed(facts, listed, [*told, *without_schema], "users table")
    for difference in without_schema:
        yield Finding(f"{difference.tenant}.users", "missing with its schema", PROVISION)


def sample_data(facts: Facts) -> Iterator[Finding]:
    """Yield the tenants whose sample rows are missing, altered or not the only ones."""
    told = [difference for difference in facts.verification.findings if difference.kind in _ROWS]
    yield from map(_finding, told)
    named = {difference.tenant for difference in told}
    for tenant in facts.config.tenants:
        found, wanted = facts.verification.counts.get(tenant), facts.config.users_per_tenant
        enough = found is not None and (found >= wanted if facts.config.accept_other_rows else found == wanted)
        if not enough and tenant not in named:
            counted = "no users were counted" if found is None else f"users counted: {found}"
            yield Finding(f"{tenant}.users", f"{counted} of {wanted}", PROVISION)


def _finding(difference: Difference) -> Finding:
    of_schema = difference.kind in _SCHEMA
    subject = f"schema {difference.tenant}" if of_schema else f"{difference.tenant}.users"
    return Finding(subject, difference.problem, _remedy(difference))


def _remedy(difference: Difference) -> str:
    if difference.remedy:
        return f"what helps: {difference.remedy}"
    if difference.kind == "not-configured":
        return "name it under tenants or aurora.otherSchemas in config.json, or drop it"
    return PROVISION if difference.kind in _MENDED else BY_HAND


def _not_listed(facts: Facts, listed: Collection[str], told: list[Difference], what: str) -> Iterator[Finding]:
    """Yield the tenants the verification neither lists nor finds fault with: its own defect, but no proof."""
    known = {*listed, *(difference.tenant for difference in told)}
    for tenant in facts.config.tenants:
        if tenant not in known:
            yield Finding(tenant, f"the verification lists no {what} of it", PROVISION)
