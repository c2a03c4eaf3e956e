"""Snapshots made by hand: what the inspection would print of tenants in a given state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from etl_manager.database.difference import Difference
from etl_manager.database.snapshot import DatabaseSnapshot, Template, TenantState

TEMPLATE = Template(
    changes=("0001-shop.sql", "0002-orders.sql"), tables=("orders", "users"), data=("users",), comparable=True
)


def state(name: str, **changes: Any) -> TenantState:
    """Return a tenant that is as the template says, but for *changes*."""
    whole: dict[str, Any] = {
        "name": name,
        "schema_exists": True,
        "tables": {"orders": 0, "users": 5},
        "reference_rows": {"users": 5},
        "pending": (),
        "differences": (),
    }
    return TenantState(**whole | changes)


def absent(name: str, **changes: Any) -> TenantState:
    """Return a tenant of which nothing is there."""
    missing = Difference("schema-missing", name, "schema", "exists", "missing")
    nothing: dict[str, Any] = {
        "schema_exists": False, "tables": {}, "reference_rows": {}, "pending": TEMPLATE.changes, "differences": (missing,),
    }  # fmt: skip
    return state(name, **nothing | changes)


def empty(name: str) -> TenantState:
    """Return a tenant after the schema phase, before the data phase."""
    return state(
        name,
        tables={"orders": 0, "users": 0},
        reference_rows={"users": 0},
        differences=(few_rows(name, 0), missing_rows(name, "1")),
    )


def few_rows(tenant: str, found: int) -> Difference:
    """Return the difference of a tenant with fewer rows than the data file has."""
    return Difference("rows-too-few", tenant, "rows of users", "5", str(found), table="users")


def missing_rows(tenant: str, keys: str) -> Difference:
    """Return the difference of a tenant without the rows *keys*."""
    return Difference(
        "sample-rows-missing", tenant, "sample rows of users", "none missing", f"missing {keys}", table="users"
    )


def snapshot(*states: TenantState, **changes: Any) -> DatabaseSnapshot:
    """Return a snapshot of *states*, of a database that is in order but for *changes*."""
    whole = DatabaseSnapshot(
        database="analytics",
        exists=True,
        encoding="UTF8",
        server_version="16.14",
        user="chief",
        template=TEMPLATE,
        tenants={each.name: each for each in states},
        strays=(),
        common=(),
    )
    return replace(whole, **changes)


def printed(found: DatabaseSnapshot, **end: int) -> str:
    """Return what ``inspect-database.sql`` prints of *found*; *end* makes its last line count otherwise."""
    differences = [each for each in found.differences if each.kind != "encoding"]
    pending: Mapping[str, list[str]] = {
        change: [name for name, each in found.tenants.items() if change in each.pending]
        for change in found.template.changes
    }
    lines: list[dict[str, Any]] = [
        {"kind": "database", "name": found.database, "exists": found.exists, "encoding": found.encoding, "owner": "chief",
         "server_version": found.server_version, "user": found.user},
        {"kind": "template", "changes": [{"change": change} for change in found.template.changes],
         "tables": [{"table": table} for table in found.template.tables],
         "data": [{"table": table} for table in found.template.data]},
        {"kind": "expectation", "possible": found.template.comparable, "problem": None, "remedy": None},
        {"kind": "ledger", "exists": True, "readable": True, "remedy": None},
        *({"kind": "tenant", "tenant": name, "schema_exists": each.schema_exists, "tables": each.tables,
           "reference_rows": each.reference_rows, "applied": 2 - len(each.pending), "pending": len(each.pending),
           "findings": len(each.differences)} for name, each in found.tenants.items()),
        *({"kind": "pending", "change": change, "tenants": tenants} for change, tenants in pending.items() if tenants),
        *({"kind": "finding", "tenant": each.tenant, "table": each.table, "object": each.object, "expected": each.expected,
           "found": each.found, "difference": each.kind, "remedy": each.remedy or None} for each in differences),
        *({"kind": "stray_schema", "schema": each.tenant} for each in found.strays),
        {"kind": "end", "tenants": len(found.tenants), "findings": len(differences)} | end,
    ]  # fmt: skip
    return "".join(json.dumps(line) + "\n" for line in lines)
