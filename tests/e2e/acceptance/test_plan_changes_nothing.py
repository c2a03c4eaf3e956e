"""--plan tells beforehand what a run would do, and does none of it."""

from __future__ import annotations

from tests.support.cluster import DATABASE
from tests.support.project import ONCE


def test_plan_of_a_fresh_cluster_shows_each_phase_and_builds_nothing(built, cloud):
    """On a cluster where nothing was built, the plan names every phase with SQL and database, and what would be created."""
    cloud.empty()
    there = cloud.databases()
    plan = built.run("features/", "--plan")
    assert plan.status == 0, plan.terminal
    for phase, database, file in (
        ("database", "postgres", "sql/aurora/database/create-multitenant-database.sql"),
        ("schema", DATABASE, "sql/aurora/schema/create-tenant-schemas.sql"),
        ("data", DATABASE, "sql/aurora/data/insert-sample-data.sql"),
        ("verification", DATABASE, "sql/aurora/verification/verify-setup.sql"),
    ):
        assert f"{phase}: " in plan.terminal
        assert f", in {database}\n  {file}\n" in plan.terminal
    assert f"would be created database {DATABASE}: missing → exists" in plan.terminal
    assert "would be created tenant_a: schema: missing → exists" in plan.terminal
    assert "  pending change 0001-users.sql: 3 tenants (tenant_a, tenant_b, tenant_c)\n" in plan.terminal
    assert "would be created tenant_b: rows of users: 0 → those of data/users.sql" in plan.terminal
    assert cloud.databases() == there


def test_plan_of_a_built_cluster_has_nothing_to_change(built, cloud):
    """On what was built the plan says for each phase that there is nothing to change.

    It needs two commands, and leaves no key on the bastion.
    """
    before = cloud.snapshot()
    with cloud.counted() as commands:
        plan = built.run("features/", "--plan")
    assert len(commands) == 2
    assert not list(cloud.tmp.glob("etl-manager-run-*"))
    assert plan.status == 0, plan.terminal
    assert plan.terminal.count("  nothing to change\n") == 3
    assert "would be" not in plan.terminal
    assert cloud.snapshot() == before


REPAIRS = {
    "DELETE FROM tenant_b.users WHERE user_id = 3": (
        "repaired tenant_b: sample rows of users: missing 3 → none missing",
    ),
    "DROP TABLE tenant_c.users": (
        "repaired tenant_c: table users: missing → ordinary table",
        "repaired tenant_c: rows of users: 0 → 5",
    ),
    "ALTER SCHEMA tenant_a OWNER TO pg_monitor": ("repaired tenant_a: schema owner: pg_monitor → postgres",),
    "ALTER TABLE tenant_a.users DROP CONSTRAINT users_pkey": (
        "repaired tenant_a: primary key of users: missing → constraint users_pkey PRIMARY KEY (user_id)",
    ),
    "ALTER TABLE tenant_b.users OWNER TO pg_monitor": (
        "repaired tenant_b: owner of table users: pg_monitor → postgres",
    ),
}


def test_plan_foretells_the_repairs_that_a_run_then_makes_aloud(built, cloud):
    """Each change that the plan announces is reported by the run that follows, in the same words; it counts rows of a new table.

    What a provisioning run mends it names, tenant, object, before and after, on terminal, in log and report.
    """
    cloud.execute(*REPAIRS)
    before = cloud.snapshot()
    plan = built.run("features/", "--plan")
    assert plan.status == 0, plan.terminal
    assert cloud.snapshot() == before
    foretold = {line.removeprefix("  would be ") for line in plan.terminal.splitlines() if "would be re" in line}
    repairs = {line for lines in REPAIRS.values() for line in lines}
    assert foretold == {line.replace("0 → 5", "0 → those of data/users.sql") for line in repairs}
    outcome = built.run(*ONCE)
    assert outcome.status == 0, outcome.terminal
    summary = outcome.terminal.partition("= provisioning =")[2]
    assert {line for line in summary.splitlines() if line.startswith("repaired ")} == repairs
    for line in repairs:
        assert line in outcome.log
        assert line in outcome.evidence
