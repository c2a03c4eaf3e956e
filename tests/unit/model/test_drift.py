"""Drift: what a phase created is told from what it repaired, by what its SQL says and by what was there before."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from etl_manager.database.difference import Difference
from etl_manager.database.drift import NOTHING, PhaseDiff, PhaseOutput, compare, predict
from etl_manager.errors import VerificationError
from tests.unit.model.snapshots import absent, empty, few_rows, missing_rows, snapshot, state

KEY = Difference("primary-key-missing", "b", "primary key of users", "PRIMARY KEY (user_id)", "missing", table="users")


def output(*lines: dict[str, Any]) -> PhaseOutput:
    """Return what a phase says, between what it prints for people."""
    return PhaseOutput.read(" tenants\n---\n 3\n(1 row)\n\n" + "".join(json.dumps(line) + "\n" for line in lines))


def applied(*tenants: str, changes: tuple[str, ...] = ("0001-shop.sql", "0002-orders.sql")) -> dict[str, Any]:
    """Return the line of applied changes."""
    return {"kind": "applied", "changes": list(changes), "tenants": list(tenants)}


def repaired(tenant: str, difference: Difference, *, with_table: bool = False) -> dict[str, Any]:
    """Return the line of a repair."""
    return {
        "kind": "repaired", "tenant": tenant, "object": difference.object, "found": difference.found,
        "statement": "ALTER …", "with_table": with_table,
    }  # fmt: skip


def inserted(tenant: str, rows: int) -> dict[str, Any]:
    """Return the line of inserted rows."""
    return {"kind": "inserted", "tenant": tenant, "table": "users", "rows": rows}


def shown(report: PhaseDiff) -> list[str]:
    """Return the changes as they are shown."""
    return [str(change) for change in report.changes]


def test_new_database_is_created():
    """A database that was missing is created; its tenants are the next phase's affair."""
    before, after = snapshot(absent("a"), exists=False), snapshot(absent("a"))
    assert shown(compare("database", before, after, before, NOTHING)) == [
        "created database analytics: missing → exists"
    ]


def test_new_tenant_is_created_by_its_changes():
    """Schema and changes are named; the tables that the changes make are not."""
    before, after = snapshot(absent("a")), snapshot(empty("a"))
    assert shown(compare("schema", before, after, before, output(applied("a")))) == [
        "created a: schema: missing → exists",
        "created a: change 0001-shop.sql: pending → applied",
        "created a: change 0002-orders.sql: pending → applied",
    ]


def test_adoption_is_named():
    """What was made by hand is recorded in the ledger."""
    here = snapshot(state("a"))
    line = {"kind": "adopted", "change": "0002-orders.sql", "differences": 0, "tenants": ["a"]}
    assert shown(compare("schema", here, here, here, output(line))) == [
        "created a: ledger: missing → adopted at 0002-orders.sql"
    ]


def test_what_sql_of_ones_own_adds_is_named():
    """What the template has not, and was not there before, was made by this phase; of other differences nobody knows."""
    column = Difference("column-extra", "a", "column users.note", "absent", "text null", table="users")
    known = Difference("table-extra", "a", "table old", "absent", "ordinary table", table="old")
    added = Difference("rows-too-many", "a", "rows of users", "5", "6", table="users")
    before = snapshot(state("a", differences=(known,)))
    after = snapshot(state("a", tables={"orders": 0, "users": 6}, differences=(known, column, added)))
    assert shown(compare("schema", before, after, before, NOTHING)) == [
        "created a: column users.note: absent → text null"
    ]
    assert shown(compare("data", before, after, before, NOTHING)) == ["created a: rows of users: 5 → 6"]
    assert shown(compare("data", after, after, before, NOTHING)) == []
    more = replace(added, found="7")
    again = snapshot(state("a", tables={"orders": 0, "users": 7}, differences=(known, column, more)))
    assert shown(compare("data", after, again, before, NOTHING)) == ["created a: rows of users: 6 → 7"]


def test_repairs_are_named_with_what_was_found_and_what_the_template_says():
    """Parts of a table that was itself missing are not; the rest was left alone."""
    table = Difference("table-missing", "b", "table orders", "ordinary table", "missing", table="orders")
    before = snapshot(state("a"), state("b", tables={"users": 5}, differences=(KEY, table)))
    lines = (
        repaired("b", KEY),
        repaired("b", table),
        repaired("b", replace(table, object="primary key of orders"), with_table=True),
    )
    report = compare("schema", before, snapshot(state("a"), state("b")), before, output(*lines))
    assert shown(report) == [
        "repaired b: primary key of users: missing → PRIMARY KEY (user_id)",
        "repaired b: table orders: missing → ordinary table",
    ]
    assert report.unchanged == 4  # the three of a, and the schema of b


LOST_ROW = state("b", tables={"orders": 0, "users": 4}, differences=(few_rows("b", 4), missing_rows("b", "3")))
ROWS = {
    "lost rows": (snapshot(state("a"), LOST_ROW), 1, "repaired b: sample rows of users: missing 3 → none missing"),
    "all rows of one tenant": (snapshot(state("a"), empty("b")), 5, "repaired b: rows of users: 0 → 5"),
    "nobody had any": (snapshot(empty("a"), empty("b")), 5, "created b: rows of users: 0 → 5"),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_inserted_rows_are_repaired_where_the_tenant_had_lost_them(case):
    """Where no tenant had any yet, none lost any: a build was interrupted."""
    before, rows, line = ROWS[case]
    assert shown(compare("data", before, snapshot(state("a"), state("b")), before, output(inserted("b", rows)))) == [
        line
    ]


@pytest.mark.parametrize(
    ("initial", "kind"),
    [
        (absent("b"), "created"),
        (state("b", tables={"orders": 0}, pending=("0002-orders.sql",)), "created"),
        (state("b", tables={"orders": 0}), "repaired"),
    ],
    ids=["new tenant", "table of a new change", "table that somebody dropped"],
)
def test_rows_of_a_table_that_was_not_there(initial, kind):
    """They are created with a table that is new, and repaired in one that somebody dropped."""
    before, after = snapshot(state("a"), empty("b")), snapshot(state("a"), state("b"))
    report = compare("data", before, after, snapshot(state("a"), initial), output(inserted("b", 5)))
    assert shown(report) == [f"{kind} b: rows of users: 0 → 5"]


@pytest.mark.parametrize(("phase", "objects"), [("database", 1), ("schema", 6), ("data", 2)])
def test_nothing_changed_is_said_with_what_was_left_alone(phase, objects):
    """A second run reports no change in any phase."""
    here = snapshot(state("a"), state("b"))
    report = compare(phase, here, here, here, NOTHING)
    assert report == PhaseDiff(phase, (), objects)
    assert report.lines() == [f"{phase}: nothing was changed ({objects} left alone)"]


def test_phase_of_ones_own_does_not_claim_that_it_changed_nothing():
    """What it changes is not looked at, and that is what is said."""
    here = snapshot(state("a"))
    assert compare("grants", here, here, here, NOTHING).lines() == ["grants: was run; what it changes is not looked at"]


def test_every_repair_is_shown_and_creations_are_counted():
    """A thousand new tenants make a short report; a thousand repairs are all named."""
    names = [f"t{number:04}" for number in range(1_000)]
    fresh, whole = snapshot(*map(absent, names)), snapshot(*map(state, names))
    lines = compare("schema", fresh, whole, fresh, output(applied(*names))).lines()
    assert lines[0] == "schema: 3000 created, 0 repaired, 0 left alone"
    assert len(lines) == 22
    assert lines[-1] == "  … and 2980 more created"
    broken = snapshot(*(state(name, differences=(replace(KEY, tenant=name),)) for name in names))
    lines = compare("schema", broken, whole, broken, output(*(repaired(name, KEY) for name in names))).lines()
    assert lines[0] == "schema: 0 created, 1000 repaired, 2000 left alone"
    assert len(lines) == 1_001


def test_plan_predicts_what_a_run_reports():
    """In the same words: an owner, a key, lost rows; of what is new it cannot know the number of rows."""
    owner = Difference("schema-owner", "a", "schema owner", "chief", "eve")
    before = snapshot(
        state("a", differences=(owner,)), replace(LOST_ROW, differences=(KEY, *LOST_ROW.differences)), absent("c")
    )
    lines = repaired("a", owner), repaired("b", KEY)
    after = snapshot(state("a"), state("b"), state("c"))
    schema = compare("schema", before, after, before, output(*lines, applied("c")))
    assert [line for line in shown(schema) if "change" not in line] != []
    assert {line for line in shown(schema) if "change" not in line} == set(shown(predict("schema", before)))
    assert shown(predict("data", before)) == [
        "repaired b: sample rows of users: missing 3 → none missing",
        "created c: rows of users: 0 → those of data/users.sql",
    ]


def test_plan_does_not_predict_what_the_master_user_may_not_do():
    """Another role's schema and table stay as they are, and so do rows that may not be inserted."""
    owner = Difference("schema-owner", "a", "schema owner", "chief", "eve", "GRANT …")
    table = Difference("table-missing", "a", "table users", "ordinary table", "missing", "GRANT …", "users")
    rows = replace(few_rows("b", 4), remedy="GRANT …"), replace(missing_rows("b", "3"), remedy="GRANT …")
    here = snapshot(
        state("a", tables={"orders": 0}, differences=(owner, table)), state("b", tables={"users": 4}, differences=rows)
    )
    assert [shown(predict(phase, here)) for phase in ("database", "schema", "data")] == [[], [], []]


@pytest.mark.parametrize("text", ['{"kind":"applied"}', '{"kind":"surprise"}', '{"kind":"inserted",'])
def test_output_that_cannot_be_read_is_an_error(text):
    """What a phase did is never guessed."""
    with pytest.raises(VerificationError, match="What the phase did cannot be read"):
        PhaseOutput.read(text)
