"""What no run repairs is named with what helps; what a run repairs by itself is not among it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from etl_manager.database.difference import Difference
from etl_manager.database.drift import not_repaired
from tests.unit.model.snapshots import TEMPLATE, few_rows, snapshot, state

GRANT = "GRANT eve TO chief"
LEFT = {
    "another's schema": (
        Difference("schema-owner", "a", "schema owner", "chief", "eve", GRANT),
        f"a: schema owner: expected chief, found eve; what helps: {GRANT}",
    ),
    "no table, and none may be created": (
        Difference("table-missing", "a", "table users", "ordinary table", "missing", GRANT, "users"),
        f"a: table users: expected ordinary table, found missing; what helps: {GRANT}",
    ),
    "another type": (
        Difference("column-differs", "a", "column users.name", "text", "integer", table="users"),
        "a: column users.name: expected text, found integer; correct it by hand",
    ),
    "an index too much": (
        Difference("index-extra", "a", "index users.x", "absent", "CREATE INDEX x", table="users"),
        "a: index users.x: expected absent, found CREATE INDEX x; correct it by hand",
    ),
    "other rows": (
        Difference("rows-too-many", "a", "rows of users", "5", "6", table="users"),
        "a: rows of users: expected 5, found 6; accept them by sampleData.otherRows in config.json",
    ),
    "a schema that is not configured": (
        Difference("not-configured", "z", "schema", "not configured: absent", "exists"),
        "z: schema: expected not configured: absent, found exists; name it under tenants or aurora.otherSchemas",
    ),
    "an edited change": (
        Difference("change-edited", None, "change 0001-shop.sql", "aa", "bb in 2 tenants"),
        "change 0001-shop.sql: expected aa, found bb in 2 tenants; put the file back as it was applied",
    ),
    "the database's owner": (
        Difference("database-differs", None, "owner of database x", "chief", "eve", "ALTER DATABASE x OWNER TO chief"),
        "owner of database x: expected chief, found eve; what helps: ALTER DATABASE x OWNER TO chief",
    ),
    "a setting": (
        Difference("setting-differs", None, "setting session_replication_role of the server", "origin", "replica"),
        "setting session_replication_role of the server: expected origin, found replica; correct it by hand",
    ),
}
REPAIRED = {
    "an index": Difference("index-missing", "a", "index users.x", "CREATE INDEX x", "missing", table="users"),
    "an owner": Difference("table-owner", "a", "owner of table users", "chief", "eve", table="users"),
    "rows": few_rows("a", 4),
    "a change": Difference("change-pending", "a", "changes", "all applied", "pending 0002-orders.sql"),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_is_left_is_named_with_what_helps(case):
    """One line, of that thing alone."""
    difference, line = LEFT[case]
    [left] = not_repaired(snapshot(state("a", differences=(difference,)), state("b")))
    assert left.with_hint.startswith(line)


@pytest.mark.parametrize("case", REPAIRED)
def test_what_a_run_repairs_is_not_named(case):
    """The plan predicts it as created or repaired instead."""
    assert not_repaired(snapshot(state("a", differences=(REPAIRED[case],)))) == []


def test_tenant_with_pending_changes_is_compared_once_they_are_applied():
    """Until then it differs by what the changes make; what may not be done is named at once."""
    column = Difference("column-differs", "a", "column users.name", "text", "integer", table="users")
    denied = Difference("schema-owner", "a", "schema owner", "chief", "eve", GRANT)
    waiting = state("a", pending=TEMPLATE.changes[1:], differences=(column, denied))
    assert not_repaired(snapshot(waiting)) == [denied]
    assert not_repaired(snapshot(replace(waiting, pending=()))) == [column, denied]
