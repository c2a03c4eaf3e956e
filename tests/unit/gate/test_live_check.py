"""A filter of patterns is held against the catalogue again before anybody relies on its verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl_manager.errors import ProvisioningError
from etl_manager.gate import check
from etl_manager.gate.check import source_of
from tests.unit.gate.verdicts import made_verdict

NAMES = ["tenant_a", "tenant_b", "tenant_c"]
PATTERN = "include: multitenant_analytics./tenant_.*/.users"
PLAIN = ", ".join(f"include: multitenant_analytics.{name}.users" for name in NAMES)


@pytest.fixture
def root(environment, monkeypatch) -> Path:
    """The project of the environment, whose account is reached as AWS would be."""
    for name, value in environment.cloud.environment.items():
        monkeypatch.setenv(name, value)
    return environment.cloud.target.postgres.directory.parents[1]


def verdict(root, data_filter=PATTERN, **changes: object):
    made = source_of(root, root / "config.json")
    return made_verdict(tenants=NAMES, data_filter=data_filter, emulated=True, source=made, **changes)


def objections(root, **changes: object):
    made = verdict(root, **changes)
    return list(check.unexpected_tables(made, lambda: check.read_catalogue(made, root)))


def test_what_is_there_as_it_was_is_no_objection(root, environment):
    """The catalogue is read over the bastion, and changed by nothing."""
    before = environment.cloud.snapshot()
    assert objections(root) == []
    assert environment.cloud.snapshot() == before


def test_a_schema_made_since_that_the_patterns_match_is_an_objection(root, environment):
    """It is named; one that they do not match is left alone."""
    environment.cloud.execute(
        "CREATE SCHEMA tenant_z", "CREATE TABLE tenant_z.users (user_id integer PRIMARY KEY)",
        "CREATE SCHEMA other", "CREATE TABLE other.users (user_id integer PRIMARY KEY)",
    )  # fmt: skip
    assert objections(root) == ["its filter takes what was not there then: tenant_z.users"]


def test_a_table_made_since_in_a_tenants_schema_is_an_objection(root, environment):
    """So it is with a pattern for tables."""
    environment.cloud.execute("CREATE TABLE tenant_a.users_old (user_id integer PRIMARY KEY)")
    own = "include: multitenant_analytics./tenant_.*/./users.*/"
    assert objections(root, data_filter=own) == ["its filter takes what was not there then: tenant_a.users_old"]


def test_a_plain_list_needs_no_look(root):
    """It takes what it names, whatever is made since: the check stays offline."""

    def look():
        raise AssertionError("asked")

    assert list(check.unexpected_tables(verdict(root, data_filter=PLAIN), look)) == []


def test_what_cannot_be_seen_is_an_objection(root):
    """A verdict is not relied on where nobody could look."""

    def look():
        raise ProvisioningError("no AWS session")

    [told] = check.unexpected_tables(verdict(root), look)
    assert told == "whether its filter takes schemas that were made since cannot be seen: no AWS session"


def test_another_cluster_is_no_witness(root):
    """The verdict names its cluster, and that one is asked."""
    made = verdict(root).model_copy(update={"emulated": False})
    [told] = check.unexpected_tables(made, lambda: check.read_catalogue(made, root))
    assert "another cluster answers" in told
