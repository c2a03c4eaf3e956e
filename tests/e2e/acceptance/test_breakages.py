"""Every proof fails when its thing is broken: --verify-only names tenant and difference, and repairs nothing."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from etl_manager.errors import PhaseSkipped, VerificationError
from tests.e2e.acceptance.test_permissions_and_live_data import HIDDEN, POLICY, SIXTH
from tests.support.project import Project
from tests.support.runs import open_run

BREAKAGES = {
    "row deleted": (
        "DELETE FROM tenant_b.users WHERE user_id = 3",
        "rows of tenant_b.users: expected 5, found 4",
        "tenant_b: sample rows of users: expected none missing, found missing 3",
    ),
    "row altered": (
        "UPDATE tenant_c.users SET email = 'x' WHERE user_id = 2",
        "differences in the rows of tenant_c: 1",
        "tenant_c: sample rows of users: expected none altered, found altered 2",
    ),
    "row too many": (
        "INSERT INTO tenant_a.users VALUES (6, 'x', 'x')",
        "rows of tenant_a.users: expected 5, found 6",
        "tenant_a: rows of users: expected 5, found 6",
    ),
    "table dropped": (
        "DROP TABLE tenant_c.users",
        "tenant_c: table users: expected ordinary table, found missing",
        "missing: tenant_c users",
    ),
    "schema dropped": (
        "DROP SCHEMA tenant_b CASCADE",
        "schema tenant_b: expected exists, found missing",
        "tenant_b: schema: expected exists, found missing",
    ),
    "owner changed": (
        "ALTER TABLE tenant_a.users OWNER TO pg_monitor",
        "differences in what is in tenant_a: 1",
        "tenant_a: owner of table users: expected postgres, found pg_monitor",
    ),
    "owner of the schema changed": (
        "ALTER SCHEMA tenant_a OWNER TO pg_monitor",
        "differences in what is in tenant_a: 1",
        "tenant_a: schema owner: expected postgres, found pg_monitor",
    ),
    "primary key dropped": (
        "ALTER TABLE tenant_c.users DROP CONSTRAINT users_pkey",
        "tenant_c: primary key of users: expected constraint users_pkey PRIMARY KEY (user_id), found missing",
        "tenant_c.users: without a primary key it is not replicated",
    ),
    "column of another type": (
        "ALTER TABLE tenant_b.users ALTER email TYPE text",
        "tenant_b: column users.email: expected character varying(255) not null, found text not null",
        "tenant_b.users: column users.email: expected",
    ),
    "table unlogged": (
        "ALTER TABLE tenant_b.users SET UNLOGGED",
        "tenant_b: table users: expected logged, found unlogged",
    ),
    "column and table too many": (
        "ALTER TABLE tenant_a.users ADD note text; CREATE TABLE tenant_c.notes (note text)",
        "tenant_a: column users.note: expected absent, found text null",
        "tenant_c: table notes: expected absent, found ordinary table",
    ),
    "row that a policy hides": ("; ".join([*POLICY, SIXTH]), *HIDDEN),
    "tenant schema that nobody configured": (
        "CREATE SCHEMA tenant_z",
        "tenant schemas that config.json does not name: 1",
        "tenant_z: schema: expected not configured: absent, found exists",
    ),
}

TOGETHER = (
    ("row deleted", "row altered", "row too many"),
    ("table dropped", "owner changed", "column of another type"),
    ("schema dropped", "owner of the schema changed", "primary key dropped"),
    ("table unlogged", "row that a policy hides", "column and table too many", "tenant schema that nobody configured"),
)
"""Most in a tenant of its own: that each is found for itself, tests/defects proves without a whole run."""


def statuses(project: Project) -> dict[str, str]:
    """Return how the verdict of the last run says that each prerequisite went."""
    verdict = json.loads((project.path / "reports/phase3-gate.json").read_text())
    return {item["id"]: item["status"] for item in verdict["prerequisites"]}


@pytest.mark.parametrize("breakages", TOGETHER, ids=", ".join)
def test_broken_thing_fails_its_proof_and_is_left_as_it_is(built, cloud, breakages):
    """--verify-only exits 1, names tenant and difference, and repairs nothing."""
    cloud.execute(*(BREAKAGES[each][0] for each in breakages))
    differences = [difference for each in breakages for difference in BREAKAGES[each][1:]]
    before = cloud.snapshot()
    proof = built.run("features/", "--verify-only")
    assert proof.status == 1
    for difference in differences:
        assert difference in proof.terminal
        assert difference in proof.log
    assert "Traceback" not in proof.terminal
    assert "a second connection disagree" not in proof.terminal
    assert cloud.snapshot() == before


def test_each_breakage_is_tried():
    """In one run or another."""
    assert sorted(each for breakages in TOGETHER for each in breakages) == sorted(BREAKAGES)


def test_missing_database_fails_every_proof_and_is_not_made(built, cloud):
    """Where the database is not there, --verify-only says so and what to do, and makes none.

    A configuration that names another database is not proven by what is in this one.
    """
    there = cloud.databases()
    aurora = {"databaseName": "another_database"}
    proof = built.run("features/", "--verify-only", "--config-json", built.write("other.json", {"aurora": aurora}))
    assert proof.status == 1
    assert proof.counts.keys() == {"failed", "skipped", "not applicable"}
    assert proof.counts["failed"] == 1
    assert "not run because the proof of phase database failed: The database" in proof.terminal
    assert statuses(built)["database-exists"] == "failed"
    assert "The database another_database does not exist" in proof.terminal
    assert "Run without --verify-only to build it" in proof.terminal
    assert cloud.databases() == there


@pytest.mark.parametrize(
    ("statement", "told", "prerequisite"),
    [
        ("DROP SCHEMA {} CASCADE", "2 of 3 tenants have no schema", "tenant-schemas-exist"),
        ("DROP TABLE {}.users", "2 of 3 tenants have no users table", "users-tables-exist"),
    ],
    ids=["schemas", "tables"],
)
def test_most_tenants_missing_is_one_failure(built, cloud, statement, told, prerequisite):
    """Where most tenants are gone there is nothing to prove of each: one failure counts them, and what follows is not run.

    test_evolution proves it of a whole run.
    """
    cloud.execute(*(statement.format(tenant) for tenant in ("tenant_b", "tenant_c")))
    with closing(open_run(cloud.target, built.path, verify_only=True)) as run:
        run.ensure("database")
        with pytest.raises(VerificationError, match=told) as failure:
            run.ensure("schema")
        with pytest.raises(PhaseSkipped, match=f"the proof of phase schema failed: {told}"):
            run.ensure("data")
    assert failure.value.prerequisite == prerequisite
    assert "missing tenant_b, tenant_c" in str(failure.value)
