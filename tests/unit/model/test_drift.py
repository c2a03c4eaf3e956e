"""Drift: what a phase made and what it mended are told apart, from what was there before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from etl_manager.database.drift import PhaseDiff, compare, predict
from etl_manager.database.snapshot import DatabaseSnapshot, TenantState

SOUND = TenantState(
    schema_exists=True,
    schema_owner="chief",
    table_exists=True,
    table_owner="chief",
    primary_key=("user_id",),
    columns_ok=True,
    rows=5,
    sample_rows=5,
)
NOTHING = TenantState()
EMPTY = replace(SOUND, rows=0, sample_rows=0)
"""A tenant after the schema phase, before the data phase."""


def look(exists: bool = True, **tenants: TenantState) -> DatabaseSnapshot:
    """Return a look at *tenants*."""
    return DatabaseSnapshot(
        database="analytics",
        exists=exists,
        encoding="UTF8",
        server_version="16.14",
        user="chief",
        tenants=tenants,
        strays=(),
    )


def told(report: PhaseDiff) -> list[str]:
    """Return the changes as they are shown."""
    return [str(change) for change in report.changes]


def mended(**broken: Any) -> tuple[DatabaseSnapshot, DatabaseSnapshot]:
    """Return looks before and after one of two tenants was mended."""
    return look(a=SOUND, b=replace(SOUND, **broken)), look(a=SOUND, b=SOUND)


def test_new_database_is_created():
    """A database that was missing is made, not mended; its tenants are the next phase's affair."""
    before, after = look(exists=False, a=NOTHING), look(a=NOTHING)
    assert told(compare("database", before, after, before)) == ["created database analytics: missing → exists"]


def test_new_tenants_are_created_without_telling_each_part():
    """Schema and table of a tenant are told; owner and key of what was itself just made are not."""
    before, after = look(a=NOTHING), look(a=EMPTY)
    assert told(compare("schema", before, after, before)) == [
        "created schema a: missing → exists",
        "created a.users: missing → exists",
    ]


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "table": (
        {"table_exists": False, "table_owner": None, "primary_key": None, "rows": None, "sample_rows": None},
        "repaired b.users: missing → exists",
    ),
    "key": ({"primary_key": None}, "repaired b.users primary key: missing → user_id"),
    "another key": ({"primary_key": ("name", "email")}, "repaired b.users primary key: name, email → user_id"),
    "table's owner": ({"table_owner": "eve"}, "repaired b.users owner: eve → chief"),
    "schema's owner": ({"schema_owner": "eve"}, "repaired schema b owner: eve → chief"),
}


@pytest.mark.parametrize("part", BROKEN)
def test_what_was_damaged_is_repaired(part):
    """The line names tenant and object, before and after; all else was left alone."""
    broken, line = BROKEN[part]
    before, after = mended(**broken)
    report = compare("schema", before, after, before)
    assert told(report) == [line]
    assert report.of("repaired") == report.changes


def test_lost_rows_are_repaired():
    """Fewer rows than before the run's first look is damage."""
    before, after = mended(rows=4, sample_rows=4)
    assert told(compare("data", before, after, before)) == ["repaired b.users: 4 → 5 rows"]


def test_all_rows_of_one_tenant_lost_are_repaired():
    """A tenant that alone has no rows, beside others that have theirs, lost them."""
    before, after = mended(rows=0, sample_rows=0)
    assert told(compare("data", before, after, before)) == ["repaired b.users: 0 → 5 rows"]


def test_rows_of_a_first_build_are_created():
    """Where nobody had rows yet, nobody lost any; that holds though the schema phase of this run came before."""
    first, before, after = look(a=NOTHING), look(a=EMPTY), look(a=SOUND)
    assert told(compare("data", before, after, first)) == ["created a.users: 0 → 5 rows"]


def test_rows_of_a_new_tenant_are_created():
    """A tenant that was added is new, though the others have their rows."""
    first, before, after = look(a=SOUND, b=NOTHING), look(a=SOUND, b=EMPTY), look(a=SOUND, b=SOUND)
    assert told(compare("data", before, after, first)) == ["created b.users: 0 → 5 rows"]


def test_rows_of_a_dropped_table_are_repaired():
    """A table that somebody dropped took its rows along: they are put back, not new."""
    first, before, after = (
        look(a=SOUND, b=replace(NOTHING, schema_exists=True)),
        look(a=SOUND, b=EMPTY),
        look(a=SOUND, b=SOUND),
    )
    assert told(compare("data", before, after, first)) == ["repaired b.users: 0 → 5 rows"]


@pytest.mark.parametrize(("phase", "objects"), [("database", 1), ("schema", 10), ("data", 2)])
def test_nothing_changed_is_told_with_what_was_left_alone(phase, objects):
    """A second run reports no change in any phase."""
    here = look(a=SOUND, b=SOUND)
    report = compare(phase, here, here, here)
    assert report == PhaseDiff(phase, (), objects)
    assert report.lines() == [f"{phase}: nothing was changed ({objects} left alone)"]


def test_phase_of_ones_own_does_not_claim_that_it_changed_nothing():
    """What it changes is not looked at, and that is what is told."""
    here = look(a=SOUND)
    assert compare("grants", here, here, here).lines() == ["grants: was run; what it changes is not looked at"]


def test_every_repair_is_shown_and_creations_are_counted():
    """A thousand new tenants make a short report; a thousand repairs are all told."""
    names = [f"t{number:04}" for number in range(1_000)]
    fresh, built = look(**dict.fromkeys(names, NOTHING)), look(**dict.fromkeys(names, EMPTY))
    lines = compare("schema", fresh, built, fresh).lines()
    assert lines[0] == "schema: 2000 created, 0 repaired, 0 left alone"
    assert len(lines) == 22
    assert lines[-1] == "  … and 1980 more created"
    lost = look(**dict.fromkeys(names, replace(SOUND, rows=4, sample_rows=4)))
    lines = compare("data", lost, look(**dict.fromkeys(names, SOUND)), lost).lines()
    assert lines[0] == "data: 0 created, 1000 repaired, 0 left alone"
    assert len(lines) == 1_001


@pytest.mark.parametrize("phase", ["database", "schema", "data"])
def test_plan_foretells_what_a_run_reports(phase):
    """For what is new, damaged or lost, the prediction and the report are the same."""
    before = look(
        a=SOUND,
        b=replace(SOUND, table_owner="eve", rows=4, sample_rows=4),
        c=replace(SOUND, primary_key=None, schema_owner="eve"),
        d=NOTHING,
    )
    after = look(a=SOUND, b=SOUND, c=SOUND, d=SOUND)
    assert told(predict(phase, before, rows=5)) == told(compare(phase, before, after, before))


def test_plan_takes_no_row_away():
    """Rows beyond the sample are left alone, and a missing sample row is added to them."""
    here = look(a=replace(SOUND, rows=7, sample_rows=5), b=replace(SOUND, rows=7, sample_rows=4))
    assert told(predict("data", here, rows=5)) == ["repaired b.users: 7 → 8 rows"]


def test_plan_does_not_foretell_what_the_master_user_may_not_do():
    """Another role's schema and table stay as they are, and so do rows that cannot be seen or inserted."""
    taken = replace(
        SOUND,
        schema_owner="eve",
        table_owner="eve",
        primary_key=None,
        rows=None,
        sample_rows=None,
        denied=("own-schema", "own-table", "read", "insert"),
    )
    no_table = replace(NOTHING, schema_exists=True, schema_owner="eve", denied=("own-schema", "create-table"))
    no_insert = replace(SOUND, rows=4, sample_rows=4, denied=("insert",))
    here = look(a=taken, b=no_table, c=no_insert)
    assert [told(predict(phase, here, rows=5)) for phase in ("database", "schema", "data")] == [[], [], []]


def test_rows_that_cannot_be_seen_are_neither_none_nor_new():
    """Where they could be counted before or after only, nothing is said of them."""
    hidden, seen = look(a=replace(SOUND, rows=None, sample_rows=None)), look(a=SOUND)
    for before, after in ((hidden, seen), (seen, hidden), (hidden, hidden)):
        assert compare("data", before, after, before) == PhaseDiff("data", (), 0)


def test_rows_of_a_tenants_own_are_no_repair():
    """A row that somebody adds while the data phase runs is none that the phase put back."""
    before, after = look(a=SOUND), look(a=replace(SOUND, rows=6, other_rows=1))
    assert told(compare("data", before, after, before)) == []
