"""Phases run in their order; what depends on one that failed is not run, and says why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.aws import Cloud
from tests.support.cluster import DATABASE
from tests.support.outcome import Outcome
from tests.support.project import ONCE, Project

BUILDING = tuple(f"features/{name}.feature" for name in ("1-database", "2-schema", "3-data", "4-verification"))


@contextmanager
def added(project: Project, name: str, text: str) -> Iterator[None]:
    """Let the project have one more file."""
    project.write(name, text)
    try:
        yield
    finally:
        (project.path / name).unlink()


MISTAKES = {
    "database": (
        "\\set ON_ERROR_STOP off\nCREATE EXTENSION no_such; \\set ON_ERROR_STOP on\nSELECT * FROM public.no_such_table;\n",
        'PostgreSQL refused a statement: relation "public.no_such_table" does not exist',
        {"failed": 1, "skipped": 13},
    ),
    "data": (
        "SELECT 1;\n\\copy x from 'seed/shops.csv'\n",
        "psql could not go on: seed/shops.csv: No such file or directory",
        {"passed": 5, "failed": 1, "skipped": 8},
    ),
}
"""By phase; that of the schema phase is below, that of the verification in test_spread_over_workers."""


@pytest.mark.parametrize("phase", MISTAKES)
def test_failed_phase_makes_its_dependents_not_run(built, cloud, phase):
    """One scenario fails with the real cause, file and line; those that stand on the phase say that they were not run.

    Psql's own errors are told as such, and of two errors the fatal one.
    """
    text, cause, counts = MISTAKES[phase]
    with added(built, f"sql/aurora/{phase}/zz-mistake.sql", text):
        outcome = built.run(*BUILDING)
    assert f"sql/aurora/{phase}/zz-mistake.sql:{text.count(chr(10))}" in outcome.terminal
    dependents_were_not_run(outcome, phase, cause, counts)


def test_syntax_error_builds_nothing_more(built, cloud):
    """On an empty cluster too: the error names the SQL file and line; later phases are not run because of it."""
    cloud.empty()
    with added(built, "sql/aurora/schema/a-mistake.sql", "SELECT 1;\n\nSELEC 2;\n"):
        outcome = built.run(*BUILDING)
    assert "sql/aurora/schema/a-mistake.sql:3" in outcome.terminal
    assert "Traceback" not in outcome.terminal
    cause = 'PostgreSQL refused a statement: syntax error at or near "SELEC"'
    dependents_were_not_run(outcome, "schema", cause, {"passed": 1, "failed": 1, "skipped": 12})
    assert cloud.rows("SELECT nspname FROM pg_namespace WHERE nspname ~ 'tenant'") == []


def dependents_were_not_run(outcome: Outcome, phase: str, cause: str, counts: dict[str, int]) -> None:
    """Assert that *outcome* says so on terminal, in log and report."""
    assert outcome.status == 1
    told = f"not run because phase {phase} failed: {cause}"
    assert told in outcome.terminal
    assert json.dumps(told)[1:-1] in outcome.evidence
    assert told in outcome.log
    assert outcome.counts == counts


DUMP = """\
CREATE SCHEMA reporting;
CREATE TABLE reporting.daily (day date NOT NULL, tenant text NOT NULL, users bigint);
COPY reporting.daily (day, tenant, users) FROM stdin;
2026-11-26	tenant_a	5
2026-11-26	tenant_b	\\N
\\.
"""
EXTENDED = {
    "config": {"aurora": {"phases": {
        "schema": {}, "grants": {"connection_db": DATABASE, "description": "Readers"}, "data": {},
        "reporting": {"connection_db": DATABASE},
    }}},
    "sql/aurora/grants/comment.sql": "COMMENT ON SCHEMA tenant_a IS 'granted';\n",
    "sql/aurora/data/sweep.sql": "-- destroys: rows of a load test\nDELETE FROM tenant_a.users WHERE user_id > 1000;\n",
    "sql/aurora/reporting/dump.sql": DUMP,
}  # fmt: skip


@dataclass(frozen=True)
class Extended:
    """What became of a project with phases and files of its own: its plan, and a whole run."""

    plan: Outcome
    whole: Outcome
    comment: list[tuple[Any, ...]]
    loaded: list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def extended(restored: Callable[[], Project], cloud: Cloud) -> Extended:
    """Two phases more, one of them a dump, and a file that destroys on purpose."""
    built = restored()
    files = {name: text for name, text in EXTENDED.items() if isinstance(text, str)}
    run = ("features/", "--config-json", built.write("own.json", EXTENDED["config"]))
    with ExitStack() as stack:
        for name, text in files.items():
            stack.enter_context(added(built, name, text))
        plan = built.run(*run, "--plan")
        whole = built.run(*run)
        comment = cloud.rows("SELECT obj_description('tenant_a'::regnamespace)")
        loaded = cloud.rows("SELECT count(*) FROM reporting.daily")
    return Extended(plan, whole, comment, loaded)


def test_phase_of_ones_own_is_a_phase_like_the_others(extended):
    """A phase that the configuration adds runs where the file puts it; that what follows depends on it test_losses proves."""
    assert extended.whole.status == 0, extended.whole.terminal
    assert "grants: was run; what it changes is not looked at" in extended.whole.terminal
    assert "would be run; what it changes is not predicted" in extended.plan.terminal
    assert extended.comment == [("granted",)]
    phases = ("database", "schema", "grants", "data", "reporting", "verification")
    order = [extended.plan.terminal.index(f"{phase}: ") for phase in phases]
    assert order == sorted(order)


def test_phase_of_ones_own_runs_once(extended):
    """A dump that could not be loaded twice is a phase; it is said that it was not repeated."""
    assert extended.whole.status == 0, extended.whole.terminal
    assert "run once, and not repeated: grants, reporting" in extended.whole.terminal
    assert extended.loaded == [(2,)]


def test_what_a_file_destroys_on_purpose_is_shown(extended):
    """Plan, terminal, log and report name the file and the reason that its header gives."""
    assert extended.whole.status == 0, extended.whole.terminal
    assert "sql/aurora/data/sweep.sql, which destroys: rows of a load test" in extended.plan.terminal
    for sink in (extended.whole.terminal, extended.whole.log):
        assert "sql/aurora/data/sweep.sql destroys: rows of a load test" in sink
    assert "what sql/aurora/data/sweep.sql destroys" in extended.whole.evidence


def test_file_of_the_four_phases_that_cannot_be_repeated_is_told_so(built, cloud):
    """It fails where it is repeated, with the reason that it was, and where it belongs.

    The scenario is alone, on a fresh cluster: what it repeats is built before.
    """
    cloud.empty()
    with added(built, "sql/aurora/data/zz-dump.sql", DUMP):
        outcome = built.run("features/4-verification.feature::Provisioning again changes nothing")
    assert outcome.status == 1
    assert 'schema "reporting" already exists' in outcome.terminal
    assert "run a second time, to prove that they can be" in outcome.terminal
    assert "belongs into a phase of its own" in outcome.terminal
    assert "10 created, 0 repaired." in outcome.terminal


def test_platforms_own_configuration_builds_and_proves_everything(built, cloud):
    """The platform's full file, whose transfer lists little."""
    platform = (Path(__file__).parent / "platform.json").read_text()
    cloud.empty()
    proves_everything(built.run(*ONCE, "--config-json", built.write("own.json", platform)), cloud)


def test_minimal_configuration_builds_and_proves_everything(first_run, built, cloud):
    """The sample, which names two phases and no tenant: it is what the first run of all was given."""
    proves_everything(first_run, cloud)


def proves_everything(outcome: Outcome, cloud: Cloud) -> None:
    """Assert that *outcome* is that of a run that built all, and that it is there."""
    assert outcome.status == 0, outcome.terminal
    assert "10 created, 0 repaired." in outcome.terminal
    assert cloud.rows("SELECT count(*) FROM tenant_c.users") == [(5,)]


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
    "features/2-schema.feature::The schema of <tenant> is made as the tenant template says[tenant_b]",
    "features/3-data.feature::<tenant> has its sample users[tenant_c-5]",
)
"""The database's is run so below, and so is "Provisioning again"; that of all schemas in test_canary, that of the verification in
test_second_witness."""


@pytest.mark.parametrize("scenario", ALONE)
def test_every_scenario_can_be_run_alone_on_a_fresh_cluster(built, cloud, scenario):
    """A Given brings about the state it names, whatever ran before or did not."""
    cloud.empty()
    outcome = built.run(scenario)
    assert outcome.status == 0, outcome.terminal
    assert outcome.counts == {"passed": 1}


def test_workspace_may_be_elsewhere(built, cloud):
    """bastion.workingDirectory is where the archive goes; on the local bastion that is in its sandbox too.

    The scenario is alone, on a fresh cluster.
    """
    cloud.empty()
    elsewhere = {"bastion": {"workingDirectory": "/home/ec2-user/etl/workspace"}}
    scenario = "features/1-database.feature::The database is there, in the encoding that replication demands"
    outcome = built.run(scenario, "--config-json", built.write("elsewhere.json", elsewhere))
    assert outcome.status == 0, outcome.terminal
    assert outcome.counts == {"passed": 1}
    assert (cloud.tmp.parent / "home/ec2-user/etl/workspace/scripts/2-sql-execute.sh").exists()
    assert not Path("/home/ec2-user/etl").exists()


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
    cloud.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8' OWNER postgres", database="postgres")
    cloud.execute(
        "SET ROLE postgres",
        "CREATE SCHEMA warehouse",
        "CREATE TABLE warehouse.orders AS SELECT generate_series(1, 2) AS id",
        "CREATE TABLE warehouse.returns AS SELECT 1 AS id",
        "CREATE TABLE public.nothing (id integer)",
    )
    with added(built, "features/0-card.feature", CARD), cloud.counted() as commands:
        outcome = built.run("features/0-card.feature")
    assert outcome.counts == {"passed": 2, "failed": 3}, outcome.terminal
    assert "The sample data is there" not in outcome.failures()
    assert "rows of tenant_a.users: expected 6, found 5" in outcome.failures()["A wrong count"]
    assert "rows of tenant_a.orders: expected 2, found no such table" in outcome.failures()["A table that is not there"]
    assert "rows of tenant_q.users: expected 5, found no such table" in outcome.failures()["A schema that is not there"]
    assert len(commands) <= 6
