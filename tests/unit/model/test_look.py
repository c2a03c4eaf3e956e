"""The look: what the inspection printed becomes facts, and what it did not print in whole is an error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etl_manager.database.snapshot import DatabaseSnapshot, TenantState
from etl_manager.errors import VerificationError

DATABASE: dict[str, Any] = {
    "kind": "database",
    "name": "analytics",
    "exists": True,
    "encoding": "UTF8",
    "owner": "postgres",
    "server_version": "16.14",
    "user": "postgres",
}
TENANT: dict[str, Any] = {
    "kind": "tenant",
    "tenant": "tenant_a",
    "schema_exists": True,
    "schema_owner": "postgres",
    "table_exists": True,
    "table_owner": "postgres",
    "primary_key": ["user_id"],
    "columns_ok": True,
    "rows": 5,
    "sample_rows": 5,
    "other_rows": 0,
    "instead_of_table": None,
    "unlogged": False,
    "denied": [],
    "remedy": None,
}
ABSENT = TENANT | {
    "tenant": "tenant_b",
    "schema_exists": False,
    "schema_owner": None,
    "table_exists": False,
    "table_owner": None,
    "primary_key": None,
    "columns_ok": False,
    "rows": None,
    "sample_rows": None,
    "other_rows": None,
}
END: dict[str, Any] = {"kind": "end", "tenants": 2}
STRAY = {"kind": "stray_schema", "schema": "tenant_z"}


def printed(*lines: dict[str, Any]) -> str:
    """Return what psql prints of *lines*."""
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_every_line_becomes_a_fact():
    """Database, tenants in their order, and schemas nobody configured."""
    look = DatabaseSnapshot.read(printed(DATABASE, TENANT, ABSENT, STRAY, END))
    assert (look.database, look.exists, look.encoding, look.user) == ("analytics", True, "UTF8", "postgres")
    assert list(look.tenants) == ["tenant_a", "tenant_b"]
    assert look.tenants["tenant_a"].primary_key == ("user_id",)
    assert look.tenants["tenant_a"].rows == 5
    assert look.tenants["tenant_b"] == TenantState()
    assert look.strays == ("tenant_z",)


def test_empty_lines_are_no_facts():
    """Between statements psql leaves empty lines."""
    text = printed(DATABASE, TENANT, ABSENT, END).replace("\n", "\n\n")
    assert list(DatabaseSnapshot.read(text).tenants) == ["tenant_a", "tenant_b"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        printed(DATABASE, TENANT, ABSENT),
        printed(TENANT, ABSENT, END),
        printed(DATABASE, TENANT, END),
        printed(DATABASE, TENANT, ABSENT, END)[:-20],
        printed(DATABASE, DATABASE, TENANT, ABSENT, END),
        printed(DATABASE, TENANT, ABSENT, {"kind": "surprise"}, END),
        printed(DATABASE, TENANT | {"more": 1}, ABSENT, END),
        printed(DATABASE, TENANT, ABSENT, END) + "5\n",
        "psql: something else\n",
    ],
    ids=[
        "nothing",
        "no end",
        "no database",
        "a tenant less",
        "cut off",
        "two databases",
        "unknown kind",
        "unknown fact",
        "no object",
        "no JSON",
    ],
)
def test_inspection_that_is_not_whole_is_an_error(text):
    """A tenant that is not told is never taken for one that is in order."""
    with pytest.raises(VerificationError, match="The inspection"):
        DatabaseSnapshot.read(text)
