"""The main job on the embedded default: one command builds and proves the database, a second one changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.outcome import Outcome
from tests.support.project import ONCE, TENANTS, Project


@pytest.fixture(scope="module")
def project(new_project: Callable[[], Project]) -> Project:
    """A project that was never run."""
    return new_project()


@pytest.fixture(scope="module")
def first(project: Project) -> Outcome:
    """The first run of all; whoever asks for it finds everything built."""
    return project.run()


def sends(outcome: Outcome) -> int:
    """Return the number of SendCommands that the log tells."""
    [told] = re.findall(r"SendCommands of this run: (\d+)", outcome.log)
    return int(told)


def test_one_command_builds_and_proves_everything(first):
    """A first run creates all, and every scenario passes but those that say why they do not apply to this target.

    The log tells of at most 6 SendCommands.
    """
    assert first.status == 0, first.terminal
    assert set(first.counts) <= {"passed", "not applicable", "warning"}
    assert first.counts["not applicable"] == 4
    reason = "emulated: the target local is not AWS, which alone can answer this"
    assert f"\n4 not applicable: {reason}\n" in first.terminal
    assert "SKIPPED" not in first.terminal
    assert "10 created, 0 repaired." in first.terminal
    assert 0 < sends(first) <= 6


def test_database_holds_what_was_promised(first, project):
    """A superuser finds the schemas, the tables with owner and key, and five rows a tenant."""
    with project.cluster() as cluster:
        schemas = cluster.rows("SELECT nspname, nspowner::regrole::text FROM pg_namespace WHERE nspname ~ 'tenant'")
        tables = cluster.rows("SELECT schemaname, tablename, tableowner FROM pg_tables WHERE schemaname ~ 'tenant'")
        keys = cluster.rows("SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'p'")
        counts = [cluster.rows(f"TABLE {tenant}.users") for tenant in TENANTS]
    assert sorted(schemas) == [(tenant, "postgres") for tenant in TENANTS]
    assert sorted(tables) == [(tenant, "users", "postgres") for tenant in TENANTS]
    assert {(f"{tenant}.users",) for tenant in TENANTS} <= set(keys)
    assert [len(rows) for rows in counts] == [5, 5, 5]


def test_second_run_changes_nothing_and_says_so(first, project):
    """A run on a proven database says on terminal, in log and report that nothing was changed, and nothing was."""
    with project.cluster() as cluster:
        before = cluster.snapshot()
    again = project.run(*ONCE)
    with project.cluster() as cluster:
        after = cluster.snapshot()
    assert again.status == 0, again.terminal
    assert after == before
    assert "Nothing was changed: everything was as the configuration says." in again.terminal
    for phase in ("database", "schema", "data"):
        assert f"{phase}: nothing was changed" in again.terminal
        assert f"{phase}: nothing was changed" in again.log
        assert f"{phase}: nothing was changed" in again.evidence
    assert sends(again) <= 6


@dataclass(frozen=True)
class Changed:
    """A proof and a run after a row was deleted, and what is there then; the run has a tenant more in its configuration."""

    proof: Outcome
    run: Outcome
    rows: dict[str, list[int]] | None


@pytest.fixture(scope="module")
def changed(first: Outcome, project: Project) -> Changed:
    """A row is deleted and looked for; then a fourth name is in the configuration, with no other change."""
    with project.cluster() as cluster:
        cluster.execute("DELETE FROM tenant_b.users WHERE user_id = 3")
    proof = project.run("features/", "--verify-only")
    project.write("config.json", project.config | {"tenants": [*TENANTS, "tenant_d"]})
    try:
        run = project.run(*ONCE)
    finally:
        project.write("config.json", project.config)
    with project.cluster() as cluster:
        return Changed(proof, run, cluster.users())


def test_a_deleted_row_is_proven_missing_and_then_repaired_aloud(changed):
    """--verify-only finds the row missing and leaves it so; provisioning puts it back and says so in three places."""
    proof, repair = changed.proof, changed.run
    assert proof.status == 1
    assert "rows of tenant_b.users: expected 5, found 4" in proof.terminal
    assert sends(proof) <= 3
    assert repair.status == 0, repair.terminal
    line = "repaired tenant_b: sample rows of users: missing 3 → none missing"
    assert line in repair.terminal.partition("= provisioning =")[2]
    assert line in repair.log
    assert line in repair.evidence
    assert changed.rows["tenant_b"] == [1, 2, 3, 4, 5]


def test_a_fourth_tenant_is_built_and_proven_by_its_name_in_the_config_alone(changed):
    """With a fourth name in the configuration and no other change, its schema, rows and proofs are there."""
    outcome = changed.run
    assert outcome.status == 0, outcome.terminal
    assert "created tenant_d: schema: missing → exists" in outcome.terminal
    assert "created tenant_d: change 0001-users.sql: pending → applied" in outcome.terminal
    assert "3 created, 1 repaired." in outcome.terminal
    assert "tenant_d has its sample users" in outcome.evidence
    assert changed.rows["tenant_d"] == [1, 2, 3, 4, 5]


def test_reset_local_begins_anew(changed, project):
    """--reset-local forgets what was built: the same run creates it all again, without the fourth tenant."""
    outcome = project.run("features/3-data.feature", "--reset-local")
    assert outcome.status == 0, outcome.terminal
    assert "10 created, 0 repaired." in outcome.terminal
    with project.cluster() as cluster:
        assert cluster.users() == {tenant: [1, 2, 3, 4, 5] for tenant in TENANTS}


def test_nothing_is_left_running(first, project):
    """After a run no process works in the project's folder or on its data."""
    assert first.status == 0
    assert project.processes() == []


def test_scenarios_of_the_copy_are_those_of_the_project(project):
    """The copy is run with the features as they are delivered."""
    for path in (Path(__file__).parents[3] / "features").glob("*.feature"):
        assert (project.path / "features" / path.name).read_bytes() == path.read_bytes()
