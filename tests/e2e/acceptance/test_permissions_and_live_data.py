"""What the master user may not see or change, and rows and schemas that are somebody's own, through a whole run."""

from __future__ import annotations

import json

import pytest

from tests.support.project import ONCE

UNREADABLE = (
    "ALTER SCHEMA tenant_b OWNER TO app_owner",
    "ALTER TABLE tenant_b.users OWNER TO app_owner",
)
POLICY = (
    "ALTER TABLE tenant_b.users ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE tenant_b.users FORCE ROW LEVEL SECURITY",
    "CREATE POLICY visible ON tenant_b.users USING (user_id <= 5)",
)
_HELPS = (
    "row-level security may hide rows from postgres; what helps: ALTER TABLE tenant_b.users NO FORCE ROW LEVEL SECURITY"
)
HIDDEN = (
    f"tenant_b: table users: expected all rows visible, found {_HELPS}",
    f"rows of tenant_b.users: expected 5, found {_HELPS}",
)
SIXTH = "INSERT INTO tenant_b.users VALUES (6, 'real customer', 'c@example.com')"


@pytest.fixture
def app_owner(built, cloud):
    """A role of the application's, that the master user is no member of."""
    cloud.execute("CREATE ROLE app_owner", database="postgres")
    yield
    cloud.empty()
    cloud.execute("DROP ROLE app_owner", database="postgres")


def verdict(project):
    """Return the verdict of the last run."""
    return json.loads((project.path / "reports/phase3-gate.json").read_text())


def test_tenant_that_another_role_took_over(built, cloud, app_owner):
    """It is said to be not readable, with the GRANT that helps, before and after; other words are not used of it."""
    cloud.execute(*UNREADABLE)
    before = cloud.snapshot()
    plan = built.run("features/", "--plan")
    outcome = built.run(*ONCE)
    assert outcome.status == 1
    assert cloud.snapshot() == before
    for line in (
        "tenant_b: schema owner: expected postgres, found app_owner; what helps: GRANT app_owner TO postgres",
        "tenant_b: owner of table users: expected postgres, found app_owner; what helps: GRANT app_owner TO postgres",
        "tenant_b: table users: expected readable, found not readable by postgres; what helps: GRANT app_owner TO postgres",
    ):
        assert line in plan.terminal
        assert line in outcome.terminal.partition("= provisioning =")[2]
    assert plan.terminal.count("would be") == 0
    found = verdict(built)
    told = {item["id"]: item["detail"] for item in found["prerequisites"] if item["status"] == "failed"}
    assert told.keys() == {"tenant-schemas-exist", "users-tables-exist", "sample-data-complete"}
    assert all("what helps: GRANT app_owner TO postgres" in detail for detail in told.values())
    for wrong in ("provision it", "missing", "no such table", "found 0", "0 rows", "as the configuration says."):
        assert wrong not in outcome.terminal.replace("Not as the configuration says, and left as it is:", ""), wrong
        assert wrong not in " ".join(told.values())
    assert "rows of tenant_b.users: expected 5, found not readable by postgres" in outcome.terminal
    assert "permission denied" not in outcome.terminal
    cloud.execute("GRANT app_owner TO postgres")
    mended = built.run("features/2-schema.feature", "features/3-data.feature")
    assert mended.status == 0, mended.terminal
    assert "repaired tenant_b: owner of table users: app_owner → postgres" in mended.terminal


def test_rows_that_a_policy_may_hide_are_no_proof(built, cloud):
    """A sixth row that the policy hides from the master does not end in a green run: what may not be seen is said.

    test_breakages proves the same of --verify-only.
    """
    cloud.execute(*POLICY, SIXTH)
    outcome = built.run(*ONCE)
    assert outcome.status == 1
    for line in HIDDEN:
        assert line in outcome.terminal
    assert "a second connection disagree" not in outcome.terminal
    found = verdict(built)
    assert not found["ready"]
    failed = {item["id"] for item in found["prerequisites"] if item["status"] == "failed"}
    assert failed == {"sample-data-complete", "users-tables-exist"}, "the template has no such policy"


def test_rows_and_schemas_of_somebodys_own(built, cloud):
    """Accepted, rows leave the gate ready when a tenant is added later; sample rows still are what they were.

    Schemas that are named as others are no strays; unnamed they are, and the message says how to name them.
    """
    cloud.execute(
        SIXTH,
        "INSERT INTO tenant_b.users VALUES (7, 'another', 'd@example.com')",
        "CREATE SCHEMA auth",
        "CREATE TABLE auth.users (id uuid PRIMARY KEY, email text)",
        "CREATE SCHEMA tenant_shared",
    )
    plan = built.run("features/", "--plan")
    for schema in ("auth", "tenant_shared"):
        assert (
            f"{schema}: schema: expected not configured: absent, found exists; name it under tenants or"
            in plan.terminal
        )
    refused = built.run("features/", "--verify-only", "--require-gate")
    assert refused.status == 1
    assert "tenant_b.users: rows of users: expected 5, found 7; accept them by sampleData.otherRows" in refused.terminal
    config = {
        "tenants": ["tenant_a", "tenant_b", "tenant_c", "tenant_d"],
        "sampleData": {"otherRows": "accept"},
        "aurora": {"otherSchemas": ["auth", "tenant_shared"]},
    }
    live = built.write("live.json", config)
    accepted = built.run("features/", "--require-gate", "--config-json", live)
    assert accepted.status == 0, accepted.terminal
    assert "3 created, 0 repaired." in accepted.terminal
    found = verdict(built)
    assert found["ready"]
    [detail] = [item["detail"] for item in found["prerequisites"] if item["id"] == "sample-data-complete"]
    assert detail == "20 sample rows in 4 tenants, and 2 other rows, which sampleData.otherRows accepts"
    cloud.execute(
        "UPDATE tenant_b.users SET name = 'edited' WHERE user_id = 2", "DELETE FROM tenant_b.users WHERE user_id = 4"
    )
    edited = built.run("features/", "--verify-only", "--config-json", live)
    assert edited.status == 1
    assert "rows of tenant_b.users: expected 5, found 4" in edited.terminal
    assert "tenant_b: sample rows of users: expected none altered, found altered 2" in edited.terminal
    assert "tenant_b: sample rows of users: expected none missing, found missing 4" in edited.terminal


def test_red_run_does_not_say_that_all_is_as_configured(built, cloud):
    """Plan and run name what no run mends, and leave it; neither says that there is nothing, and the page does not either."""
    cloud.execute(
        "UPDATE tenant_a.users SET name = 'x' WHERE user_id = 2",
        "ALTER TABLE tenant_b.users SET UNLOGGED",
        "ALTER TABLE tenant_c.users ALTER email TYPE text",
        "CREATE SCHEMA tenant_z",
    )
    before = cloud.snapshot()
    plan, outcome = built.run("features/", "--plan"), built.run(*ONCE)
    assert outcome.status == 1
    assert cloud.snapshot() == before
    left = (
        "tenant_a: sample rows of users: expected none altered, found altered 2",
        "tenant_b: table users: expected logged, found unlogged",
        "tenant_c: column users.email: expected character varying(255) not null, found text not null",
    )
    closing = outcome.terminal.partition("= provisioning =")[2]
    for line in left:
        assert f"  {line}; correct it by hand" in plan.terminal
        assert f"  {line}; correct it by hand" in closing
    stray = (
        "tenant_z: schema: expected not configured: absent, found exists; name it under tenants or aurora.otherSchemas"
    )
    assert f"\n  {stray}" in plan.terminal.partition("a run leaves as it is, and will be red for:")[2]
    assert f"  {stray}" in closing
    assert "Nothing was changed.\nNot as the configuration says, and left as it is:" in closing
    assert "it found everything as configured" not in (built.path / "reports/summary.md").read_text()
