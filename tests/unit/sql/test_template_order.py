"""One order of changes: that of the suite, which shows and checks them, and that of the SQL, which applies them."""

from __future__ import annotations

import json

from etl_manager.config import phases
from tests.unit.sql.test_sql_template import CHANGES, LEDGER, add, facts, look

INSPECT = "sql/aurora/inspection/inspect-template.sql"
NAMES = (
    "2-b.sql", "10-a.sql", "010-a.sql", "1-a.sql", "1.sql", "1a.sql", "1_a.sql", "a.sql", "A.sql", "a1.sql", "a-1.sql", "a01.sql",
    "a1b2.sql", "a1b10.sql", "a1b.sql", "V1__x.sql", "V1.1__x.sql", "V2__x.sql", "V10__x.sql", "20240101120000_x.sql", "a.b.sql",
)  # fmt: skip


def test_both_read_the_same_order(bastion):
    """Numbers count as numbers, for both: shown by names of every kind that may be used."""
    for path in (bastion.workspace / CHANGES).iterdir():
        path.unlink()
    for name in NAMES:
        add(bastion, name, "SELECT 1;\n")
    [template] = facts(bastion.succeed(INSPECT), "template")
    assert [each["change"] for each in template["changes"]] == [path.name for path in phases.changes(bastion.workspace)]


def test_tenth_change_comes_after_the_ninth(built):
    """It is pending and not out of order, is adopted in that order, and a tenth before an eleventh is out of order."""
    add(built, "9-a.sql", "CREATE TABLE a (a integer PRIMARY KEY);\n")
    built.succeed(built.SCHEMA)
    add(built, "10-b.sql", "ALTER TABLE a ADD b integer;\n")
    assert look(built, "ledger_problem") == []
    built.succeed(built.SCHEMA)
    assert built.findings() == []
    built.break_things("DELETE FROM etl_manager.applied WHERE tenant = 'tenant_a'")
    adopted = facts(built.succeed(built.SCHEMA), "adopted")
    assert [(each["change"], each["differences"]) for each in adopted] == [("10-b.sql", 0)]
    assert [row[1] for row in built.rows(LEDGER) if row[0] == "tenant_a"] == ["0001-users.sql", "10-b.sql", "9-a.sql"]
    add(built, "9-c.sql", "SELECT 1;\n")
    assert json.dumps(look(built, "ledger_problem")).count('"later": "10-b.sql"') == 1
