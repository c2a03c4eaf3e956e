"""--plan tells beforehand what a run would do, and does none of it."""

from __future__ import annotations

from tests.support.cluster import DATABASE


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
    """On what was built the plan says for each phase that there is nothing to change."""
    before = cloud.snapshot()
    plan = built.run("features/", "--plan")
    assert plan.status == 0, plan.terminal
    assert plan.terminal.count("  nothing to change\n") == 3
    assert "would be" not in plan.terminal
    assert cloud.snapshot() == before


def test_plan_foretells_the_repairs_that_a_run_then_makes(built, cloud):
    """Each change that the plan announces is reported by the run that follows, in the same words; it counts rows of a new table."""
    cloud.execute(
        "DELETE FROM tenant_b.users WHERE user_id = 3",
        "DROP TABLE tenant_c.users",
        "ALTER SCHEMA tenant_a OWNER TO pg_monitor",
        "ALTER TABLE tenant_a.users DROP CONSTRAINT users_pkey",
    )
    before = cloud.snapshot()
    plan = built.run("features/", "--plan")
    assert plan.status == 0, plan.terminal
    assert cloud.snapshot() == before
    foretold = {line.removeprefix("  would be ") for line in plan.terminal.splitlines() if "would be re" in line}
    assert foretold == {
        "repaired tenant_a: schema owner: pg_monitor → postgres",
        "repaired tenant_a: primary key of users: missing → constraint users_pkey PRIMARY KEY (user_id)",
        "repaired tenant_c: table users: missing → ordinary table",
        "repaired tenant_b: sample rows of users: missing 3 → none missing",
        "repaired tenant_c: rows of users: 0 → those of data/users.sql",
    }
    outcome = built.run()
    assert outcome.status == 0, outcome.terminal
    summary = outcome.terminal.partition("= provisioning =")[2]
    reported = {line for line in summary.splitlines() if line.startswith("repaired ")}
    assert reported == {line.replace("those of data/users.sql", "5") for line in foretold}


def test_plan_names_a_schema_that_nobody_configured(built, cloud):
    """A stray tenant schema is in the plan as what it is: not configured, and left alone."""
    cloud.execute("CREATE SCHEMA tenant_z")
    assert (
        "a run leaves as it is, and will be red for:\n"
        "  tenant_z: schema: expected not configured: absent, found exists; name it under tenants or aurora.otherSchemas"
        in built.run("features/", "--plan").terminal
    )


def test_plan_cleans_up_on_the_bastion(built, cloud):
    """The plan leaves no key on the bastion, and needs two commands."""
    with cloud.counted() as commands:
        assert built.run("features/", "--plan").status == 0
    assert len(commands) == 2
    assert not list(cloud.tmp.glob("etl-manager-run-*"))
