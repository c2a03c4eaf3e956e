"""Phases run in their order; what depends on one that failed is not run, and says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.project import Project

BUILDING = tuple(f"features/{name}.feature" for name in ("1-database", "2-schema", "3-data", "4-verification"))


@contextmanager
def added(project: Project, name: str, text: str) -> Iterator[None]:
    """Let the project have one more file."""
    project.write(name, text)
    try:
        yield
    finally:
        (project.path / name).unlink()


@pytest.mark.parametrize(
    ("phase", "counts"),
    [
        ("database", {"failed": 1, "skipped": 13}),
        ("schema", {"passed": 1, "failed": 1, "skipped": 12}),
        ("data", {"passed": 5, "failed": 1, "skipped": 8}),
        ("verification", {"passed": 8, "failed": 1, "skipped": 5}),
    ],
)
def test_failed_phase_makes_its_dependents_not_run(built, cloud, phase, counts):
    """One scenario fails with the reason; those that stand on the phase say that they were not run because of it."""
    with added(built, f"sql/aurora/{phase}/zz-mistake.sql", "SELECT 1/0;\n"):
        outcome = built.run(*BUILDING)
    assert outcome.status == 1
    told = f"not run because phase {phase} failed: PostgreSQL refused a statement: division by zero"
    assert outcome.terminal.count(told) >= 1
    assert told in outcome.evidence
    assert told in outcome.log
    assert outcome.counts == counts


def test_phase_of_ones_own_is_a_phase_like_the_others(built, cloud):
    """A phase that the configuration adds runs where the file puts it, and what follows depends on it."""
    phases = {"schema": {}, "grants": {"connection_db": "multitenant_analytics", "description": "Readers"}, "data": {}}
    config = built.write("own.json", {"aurora": {"phases": phases}})
    with added(built, "sql/aurora/grants/comment.sql", "COMMENT ON SCHEMA tenant_a IS 'granted';\n"):
        outcome = built.run("features/", "--config-json", config)
        plan = built.run("features/", "--config-json", config, "--plan")
    assert outcome.status == 0, outcome.terminal
    assert "grants: was run; what it changes is not looked at" in outcome.terminal
    assert "would be run; what it changes is not predicted" in plan.terminal
    assert cloud.rows("SELECT obj_description('tenant_a'::regnamespace)") == [("granted",)]
    order = [plan.terminal.index(f"{phase}: ") for phase in ("database", "schema", "grants", "data", "verification")]
    assert order == sorted(order)
    with added(built, "sql/aurora/grants/mistake.sql", "SELECT 1/0;\n"):
        outcome = built.run("features/", "--config-json", config)
    assert outcome.status == 1
    assert "not run because phase grants failed" in outcome.terminal


MINIMAL = {
    "aurora": {
        "phases": {
            "database": {"connection_db": "postgres", "description": "Database creation phase"},
            "schema": {"connection_db": "multitenant_analytics", "description": "Schema creation phase"},
        }
    },
    "bastion": {"autoTransfer": {"enabled": True, "directories": ["sql", "scripts"], "files": ["config.json"]}},
}


@pytest.mark.parametrize("shape", ["minimal", "platform"])
def test_users_own_configurations_build_and_prove_everything(built, cloud, shape):
    """The sample, which names two phases and no tenant, and the platform's full file, whose transfer lists little."""
    content = {"minimal": MINIMAL, "platform": (Path(__file__).parent / "platform.json").read_text()}[shape]
    cloud.empty()
    outcome = built.run("features/", "--config-json", built.write("own.json", content))
    assert outcome.status == 0, outcome.terminal
    assert "10 created, 0 repaired." in outcome.terminal
    assert cloud.rows("SELECT count(*) FROM tenant_c.users") == [(5,)]


def test_workspace_may_be_elsewhere(built, cloud):
    """bastion.workingDirectory is where the archive goes; on the local bastion that is in its sandbox too."""
    elsewhere = {"bastion": {"workingDirectory": "/home/ec2-user/etl/workspace"}}
    outcome = built.run("features/1-database.feature", "--config-json", built.write("elsewhere.json", elsewhere))
    assert outcome.status == 0, outcome.terminal
    assert (cloud.tmp.parent / "home/ec2-user/etl/workspace/scripts/2-sql-execute.sh").exists()
    assert not Path("/home/ec2-user/etl").exists()


def test_every_node_id_can_be_pasted_back(built):
    """Each id that pytest shows selects just that scenario, the tenants' included."""
    ids = [line for line in built.run(*BUILDING, "--collect-only", "-q").terminal.splitlines() if "::" in line]
    assert len(ids) == len(set(ids)) == 14
    assert [tenant for tenant in ("tenant_a", "tenant_b", "tenant_c") if any(tenant in line for line in ids)]
    pasted = built.run(*reversed(ids), "--collect-only", "-q").terminal
    assert sorted(line for line in pasted.splitlines() if "::" in line) == sorted(ids)
    one = built.run(ids[3], "--collect-only", "-q").terminal
    assert [line for line in one.splitlines() if "::" in line] == [ids[3]]


ALONE = (
    "features/1-database.feature::The database is there, in the encoding that replication demands",
    "features/2-schema.feature::The tenants of the configuration have schemas, and nobody else",
    "features/2-schema.feature::The schema of <tenant> is made as the tenant template says[tenant_b]",
    "features/3-data.feature::<tenant> has its sample users[tenant_c-5]",
    "features/4-verification.feature::Provisioning again changes nothing",
    "features/4-verification.feature::Exactly the configured tenants are shown",
    "features/4-verification.feature::The verification finds nothing out of order in <tenant>[tenant_a]",
)


@pytest.mark.parametrize("scenario", ALONE)
def test_every_scenario_can_be_run_alone_on_a_fresh_cluster(built, cloud, scenario):
    """A Given brings about the state it names, whatever ran before or did not."""
    cloud.empty()
    outcome = built.run(scenario)
    assert outcome.status == 0, outcome.terminal
    assert outcome.counts == {"passed": 1}


CARD = """\
@data
Feature: The card
  Scenario: The sample data is there
    Given the database exists
    Then tenant_a.users has 5 rows

  Scenario: Any schema, table and count
    Given the database exists
    Then warehouse.orders has 2 rows
    And warehouse.returns has 1 row
    And public.nothing has 0 rows

  Scenario: A wrong count
    Given the database exists
    Then tenant_a.users has 6 rows

  Scenario: A table that is not there
    Given the database exists
    Then tenant_a.orders has 2 rows

  Scenario: A schema that is not there
    Given the database exists
    Then tenant_q.users has 5 rows
"""


def test_sentences_of_the_card_work_as_written(built, cloud):
    """They build what is missing, hold for any schema, table and count, and fail with what was expected and found."""
    cloud.empty()
    with added(built, "features/0-card.feature", CARD):
        fresh = built.run("features/0-card.feature::The sample data is there")
        cloud.execute(
            "SET ROLE postgres",
            "CREATE SCHEMA warehouse",
            "CREATE TABLE warehouse.orders AS SELECT generate_series(1, 2) AS id",
            "CREATE TABLE warehouse.returns AS SELECT 1 AS id",
            "CREATE TABLE public.nothing (id integer)",
        )
        with cloud.counted() as commands:
            outcome = built.run("features/0-card.feature")
    assert fresh.status == 0, fresh.terminal
    assert fresh.counts == {"passed": 1}
    assert outcome.counts == {"passed": 2, "failed": 3}, outcome.terminal
    assert "rows of tenant_a.users: expected 6, found 5" in outcome.failures()["A wrong count"]
    assert "rows of tenant_a.orders: expected 2, found no such table" in outcome.failures()["A table that is not there"]
    assert "rows of tenant_q.users: expected 5, found no such table" in outcome.failures()["A schema that is not there"]
    assert len(commands) <= 6
