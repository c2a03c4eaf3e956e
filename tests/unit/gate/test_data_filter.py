"""The data filter Phase 3 is given, and how the user's own is judged."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from etl_manager.bastion.session import SqlFileResult
from etl_manager.database.snapshot import Catalogue, Shape
from etl_manager.gate.inputs import LATER, examine
from tests.unit.gate.conftest import Environment, unmet

PLAIN = ", ".join(f"include: multitenant_analytics.tenant_{name}.users" for name in "abc")


def test_own_filter_that_is_exact_is_taken(environment):
    """A filter of the user's own that takes the same tables is as good as the compiled one, and is told as theirs."""
    environment.cloud.execute("CREATE TABLE public.orders (order_id integer PRIMARY KEY)")
    found = environment.prove(zero_etl={"data_filter": "include: multitenant_analytics.*.users"})
    assert unmet(found) == set()
    assert found["data-filter-ready"].detail == (
        "the filter of config.json, patterns: 1. Of 3 tenants it takes users: 3 of the 5 tables in"
        f" multitenant_analytics, and names no other database\n{LATER}"
    )


def test_a_compiled_filter_says_that_it_takes_later_schemas_too(environment):
    """Beyond 99 tables the filter is made of patterns; up to there it is a plain list, which takes what it names."""
    many = tuple(f"tenant_{number:03}" for number in range(100))
    for tenants, told in ((many, [LATER]), (many[:99], [])):
        tables = SimpleNamespace(replicated=lambda database, each=tenants: [(database, name, "users") for name in each])
        wanted = [(name, "users") for name in tenants]
        made = examine(environment.run.config, wanted, cast(Catalogue, tables), "provision it")
        assert made.findings == ()
        assert [note for note in made.notes if note == LATER] == told


@pytest.fixture(scope="module")
def noted(_built):
    """What the verification sees where there is a table beside those of the tenants."""
    _built.back()
    _built.cloud.execute("CREATE TABLE public.notes (note_id integer PRIMARY KEY)")
    return _built.look()


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (PLAIN.replace("tenant_c", "tenant_d"), "multitenant_analytics.tenant_c.users: the filter does not take it"),
        ("include: multitenant_analytics.*.*", "multitenant_analytics.public.notes: the filter takes it"),
        (PLAIN + ", include: other.*.*", "include: other.*.*: it includes tables of another database"),
        (PLAIN + ", include: multitenant_analytics", "Data filter, pattern 4"),
        (
            "include: multitenant_analytics./tenant/.users",
            "found in, but not the whole of: tenant_a, tenant_b, tenant_c; AWS does not say which of the two counts",
        ),
    ],
)
def test_own_filter_that_is_not_is_told_with_the_difference(
    environment: Environment, noted: Sequence[SqlFileResult], own: str, told: str
) -> None:
    """What it misses, takes too much, reaches beyond, or cannot be read is told, and config.json as the place to mend."""
    found = environment.prove(looked=noted, zero_etl={"data_filter": own})
    assert unmet(found) == {"data-filter-ready"}
    assert told in found["data-filter-ready"].detail
    assert "correct zeroEtl.dataFilter in config.json" in found["data-filter-ready"].detail


def test_tables_the_filter_takes_too_much_are_held_to_the_rules_too(environment):
    """A keyless table that a broad filter takes is told for what it would do to the integration."""
    environment.cloud.execute("CREATE TABLE public.notes (note text)")
    found = environment.prove(zero_etl={"data_filter": "include: multitenant_analytics.*.*"})
    assert unmet(found) == {"data-filter-ready", "primary-keys"}
    assert "public.notes: without a primary key" in found["primary-keys"].detail


def test_foreign_tables_do_not_change_the_compiled_filter(environment):
    """Tables in other schemas, of the tenants or not, are left out, and counted as such."""
    environment.cloud.execute(
        "CREATE TABLE public.users (id integer PRIMARY KEY)", "CREATE TABLE public.users_archive (id integer)"
    )
    found = environment.prove()
    assert found["data-filter-ready"].status == "passed"
    assert "it takes users: 3 of the 6 tables" in found["data-filter-ready"].detail


def test_tenants_that_no_filter_can_tell_from_others_are_told(environment):
    """Where no exact filter is found there is none to give; the tables in the way are named, the tenants' still held to the rules."""
    names = [f"tenant_{number:03d}" for number in range(1000)]
    tenants = tuple(name for number, name in enumerate(names) if number % 7)
    table = Shape(relkind="r", persistence="p", primary_key=("user_id",), columns=())
    tables = {(name, "users"): table for name in names}
    catalogue = Catalogue(server_version="16", settings={}, encodings={}, tables=tables, partitions={})
    found = examine(environment.run.config, [(name, "users") for name in tenants], catalogue, "provision it")
    assert found.text is None
    assert {schema for schema, _ in found.taken} == set(tenants)
    [finding] = found.findings
    assert finding.subject == "data filter"
    assert "and leaves out multitenant_analytics.tenant_0" in finding.problem
    assert "Move or rename those tables" in finding.remedy
