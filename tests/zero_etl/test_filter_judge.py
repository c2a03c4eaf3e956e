"""A user's own filter: what it misses, what it takes too much, and what depends on how AWS reads it."""

from __future__ import annotations

import pytest

from etl_manager.zero_etl import FilterError, Table, compile_filter, judge_filter

WANTED = [("tenant_a", "users"), ("tenant_b", "users")]
CATALOGUE = [
    ("db", "tenant_a", "users"),
    ("db", "tenant_b", "users"),
    ("db", "tenant_b", "log"),
    ("db", "mytenant_x", "users"),
    ("other", "tenant_a", "users"),
]


def test_a_filter_that_takes_exactly_the_wanted_tables_has_no_findings():
    """The compiler's own filter is judged exact."""
    verdict = judge_filter(compile_filter("db", WANTED, CATALOGUE).text, "db", WANTED, CATALOGUE)
    assert verdict.exact
    assert verdict.describe() == []


def test_what_is_missing_and_what_is_too_much_are_listed():
    """Both directions, over all databases of the cluster."""
    verdict = judge_filter("include: db.tenant_b.*, include: other.*.*", "db", WANTED, CATALOGUE)
    assert not verdict.exact
    assert verdict.missing == (Table("db", "tenant_a", "users"),)
    assert verdict.excess == (Table("db", "tenant_b", "log"), Table("other", "tenant_a", "users"))
    assert verdict.describe() == [
        "missing: db.tenant_a.users",
        "taken but not wanted: db.tenant_b.log",
        "taken but not wanted: other.tenant_a.users",
    ]


def test_what_only_one_reading_takes_is_an_excess_and_flagged():
    """``tenant_.*`` is found in mytenant_x, though it is not the whole of that name."""
    verdict = judge_filter("include: db./tenant_.*/.users", "db", WANTED, CATALOGUE)
    assert verdict.excess == (Table("db", "mytenant_x", "users"),)
    assert verdict.describe()[-1] == (
        "pattern 1 (include: db./tenant_.*/.users): found in, but not the whole of: mytenant_x"
    )


def test_what_only_one_reading_excludes_is_missing():
    """A wanted table must be taken under both readings."""
    verdict = judge_filter("include: db.*.users, exclude: db./tenant/.*, exclude: db./my.*/.*", "db", WANTED, CATALOGUE)
    assert [str(table) for table in verdict.missing] == ["db.tenant_a.users", "db.tenant_b.users"]


def test_a_difference_without_consequence_is_flagged_but_exact():
    """Where a later pattern settles it, the filter takes what is wanted however it is read."""
    verdict = judge_filter("include: db./tenant_.*/.users, exclude: db.mytenant_x.*", "db", WANTED, CATALOGUE)
    assert verdict.exact
    assert [found.number for found in verdict.ambiguous] == [1]


def test_a_wanted_table_that_does_not_exist_is_missing_unless_the_filter_would_take_it():
    """The catalogue may lag behind the configuration."""
    wanted = [*WANTED, ("tenant_c", "users")]
    assert judge_filter("include: db.tenant_a.users, include: db.tenant_b.users", "db", wanted, CATALOGUE).missing == (
        Table("db", "tenant_c", "users"),
    )


def test_long_lists_are_cut():
    """Ten are shown, the rest is counted."""
    wanted = [(f"tenant_{number}", "users") for number in range(2000)]
    lines = judge_filter("include: db.nothing.users", "db", wanted, []).describe()
    assert len(lines) == 11
    assert lines[-1] == "missing: and 1,990 more"


def test_a_broken_filter_is_refused():
    """It is not judged, but told what is wrong with it."""
    with pytest.raises(FilterError, match="pattern 1, position 13"):
        judge_filter("include: a.b", "db", WANTED, CATALOGUE)
