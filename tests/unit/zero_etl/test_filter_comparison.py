"""A user's own filter: what it misses, what it takes too much, and what depends on how AWS reads it."""

from __future__ import annotations

import pytest

from etl_manager.zero_etl import FilterError, Table, compare_filter, compile_filter

WANTED = [("tenant_a", "users"), ("tenant_b", "users")]
CATALOGUE = [
    ("db", "tenant_a", "users"),
    ("db", "tenant_b", "users"),
    ("db", "tenant_b", "log"),
    ("db", "mytenant_x", "users"),
    ("other", "tenant_a", "users"),
]


def test_a_filter_that_takes_exactly_the_wanted_tables_has_no_findings():
    """The compiler's own filter is exact."""
    comparison = compare_filter(compile_filter("db", WANTED, CATALOGUE).text, "db", WANTED, CATALOGUE)
    assert comparison.exact
    assert comparison.ambiguous == ()


def test_what_is_missing_and_what_is_too_much_are_listed():
    """Both directions, over all databases of the cluster."""
    comparison = compare_filter("include: db.tenant_b.*, include: other.*.*", "db", WANTED, CATALOGUE)
    assert not comparison.exact
    assert comparison.missing == (Table("db", "tenant_a", "users"),)
    assert comparison.excess == (Table("db", "tenant_b", "log"), Table("other", "tenant_a", "users"))


def test_what_only_one_reading_takes_is_an_excess_and_flagged():
    """``tenant_.*`` is found in mytenant_x, though it is not the whole of that name."""
    comparison = compare_filter("include: db./tenant_.*/.users", "db", WANTED, CATALOGUE)
    assert comparison.excess == (Table("db", "mytenant_x", "users"),)
    assert [(found.number, found.names) for found in comparison.ambiguous] == [(1, ("mytenant_x",))]


def test_what_only_one_reading_excludes_is_missing():
    """A wanted table must be taken under both readings."""
    comparison = compare_filter(
        "include: db.*.users, exclude: db./tenant/.*, exclude: db./my.*/.*", "db", WANTED, CATALOGUE
    )
    assert [str(table) for table in comparison.missing] == ["db.tenant_a.users", "db.tenant_b.users"]


def test_a_difference_without_consequence_is_flagged_but_exact():
    """Where a later pattern settles it, the filter takes what is wanted however it is read."""
    comparison = compare_filter("include: db./tenant_.*/.users, exclude: db.mytenant_x.*", "db", WANTED, CATALOGUE)
    assert comparison.exact
    assert [found.number for found in comparison.ambiguous] == [1]


def test_a_wanted_table_that_does_not_exist_is_missing_unless_the_filter_would_take_it():
    """The catalogue may lag behind the configuration."""
    wanted = [*WANTED, ("tenant_c", "users")]
    assert compare_filter(
        "include: db.tenant_a.users, include: db.tenant_b.users", "db", wanted, CATALOGUE
    ).missing == (Table("db", "tenant_c", "users"),)


def test_a_broken_filter_is_refused():
    """It is not compared; the error says what is wrong with it."""
    with pytest.raises(FilterError, match="pattern 1, position 13"):
        compare_filter("include: a.b", "db", WANTED, CATALOGUE)
