"""A template that grows: further tables, columns, an index and a foreign key, on tenants of several ages, through whole runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.project import ONCE, Project

CHANGES = {
    "0002-orders.sql": """\
CREATE TABLE orders (
    order_id integer PRIMARY KEY,
    user_id  integer NOT NULL REFERENCES users,
    total    numeric(12,2) NOT NULL DEFAULT 0 CHECK (total >= 0)
);
""",
    "0003-users-phone.sql": "ALTER TABLE users ADD phone varchar(30) NOT NULL DEFAULT '';\n",
    "0004-orders-state.sql": """\
ALTER TABLE orders ADD state text;
UPDATE orders SET state = 'new' WHERE state IS NULL;
""",
    "0005-orders-state-not-null.sql": "ALTER TABLE orders ALTER state SET NOT NULL;\n",
    "0006-orders-total.sql": "-- no-transaction\nCREATE INDEX CONCURRENTLY orders_total ON orders (total);\n",
}
BY_HAND = CHANGES["0002-orders.sql"].replace("TABLE orders", "TABLE tenant_b.orders").replace(
    "REFERENCES users", "REFERENCES tenant_b.users"
)  # fmt: skip
LEDGER = "SELECT tenant, array_agg(change ORDER BY change) FROM etl_manager.applied GROUP BY tenant ORDER BY tenant"
AS_MASTER = "SET ROLE postgres"


@pytest.fixture
def project(cloud, built, new_project) -> Project:
    """A project of its own on the account where three tenants are built, and are no longer alike.

    Of tenant_b, which somebody made by hand, the ledger knows nothing, and it has a table more, with a row; tenant_c lost
    a constraint and got a column; tenant_d is new.
    """
    project = new_project()
    project.environment = cloud.environment
    with cloud.connect() as connection:
        connection.execute(AS_MASTER)
        connection.execute(BY_HAND.encode())
        connection.execute("INSERT INTO tenant_b.orders VALUES (1, 1, 12.50)")
        connection.execute("DELETE FROM etl_manager.applied WHERE tenant = 'tenant_b'")
        connection.execute("ALTER TABLE tenant_c.users DROP CONSTRAINT users_pkey")
        connection.execute("ALTER TABLE tenant_c.users ADD note text")
    for name, text in CHANGES.items():
        project.write(f"sql/aurora/tenant/changes/{name}", text)
    project.write("config.json", {**project.config, "tenants": ["tenant_a", "tenant_b", "tenant_c", "tenant_d"]})
    return project


def verdict(project: Project) -> dict[str, Any]:
    """Return the verdict of the last run."""
    found: dict[str, Any] = json.loads((project.path / "reports/phase3-gate.json").read_text())
    return found


def test_template_that_grows_reaches_tenants_of_every_age(project, cloud):
    """The plan counts what is pending, a proof names it, a run applies it, and what it may not mend stays a finding."""
    before = cloud.snapshot()
    plan = project.run("features/", "--plan")
    proof = project.run("features/", "--verify-only")
    proven = {item["id"]: item["status"] for item in verdict(project)["prerequisites"]}
    assert cloud.snapshot() == before
    assert proof.status == 1
    assert proof.counts["failed"] == 1
    [(title, failure)] = proof.failures().items()
    assert title == "The tenants of the configuration have schemas, and nobody else"
    told = "4 of 4 tenants have no applied change 0002-orders.sql"
    assert failure.startswith(f"\n{told}\n  where: missing tenant_a, tenant_b, tenant_c, tenant_d\n")
    assert f"not run because the proof of phase schema failed: {told}\n" in proof.terminal
    assert proven["no-pending-changes"] == "failed"
    for name, tenants in {"0001-users.sql": 2, "0002-orders.sql": 4, "0006-orders-total.sql": 4}.items():
        assert f"pending change {name}: {tenants} tenants (" in plan.terminal

    lame = project.run(*ONCE)
    assert lame.status == 1
    assert lame.counts["failed"] == 1
    cause = 'tenant "tenant_c": sql/aurora/tenant/changes/0002-orders.sql, line 1: there is no primary key for referenced table'
    assert cause in lame.terminal
    told = lame.terminal.partition("= provisioning =")[2]
    for tenant in ("tenant_a", "tenant_b", "tenant_d"):
        assert f"created {tenant}: change 0006-orders-total.sql: pending → applied" in lame.terminal
    assert "created tenant_c: change" not in lame.terminal
    assert "Nothing was changed" not in told

    cloud.execute("ALTER TABLE tenant_c.users ADD PRIMARY KEY (user_id)")
    outcome = project.run(*ONCE)
    assert outcome.status == 1
    assert "tenant_c: column users.note: expected absent, found" in outcome.terminal
    assert outcome.failures().keys() == {
        "The schema of tenant_c is made as the tenant template says",
        "The verification finds nothing out of order in tenant_c",
        "Every tenant has the tables of the template",
    }
    assert cloud.rows(LEDGER) == [
        (tenant, ["0001-users.sql", *CHANGES]) for tenant in ("tenant_a", "tenant_b", "tenant_c", "tenant_d")
    ]
    assert cloud.rows("SELECT tenant, change FROM etl_manager.applied WHERE adopted ORDER BY change") == [
        ("tenant_b", "0001-users.sql"),
        ("tenant_b", "0002-orders.sql"),
    ]
    assert cloud.rows("SELECT order_id, total::text, state FROM tenant_b.orders") == [(1, "12.50", "new")]
    assert cloud.rows("SELECT count(*), min(phone) FROM tenant_d.users") == [(5, "")]

    cloud.execute("ALTER TABLE tenant_c.users DROP note")
    green = project.run()
    assert green.status == 0, green.terminal
    assert "Nothing was changed: everything was as the configuration says." in green.terminal
    found = verdict(project)
    assert found["ready"]
    assert found["tables"] == ["orders", "users"]
    assert found["data_filter"].count(".orders") == 4


def test_change_that_was_edited_after_it_was_applied(project, cloud):
    """Nothing is applied; the message names the file, both digests and how many tenants have it."""
    before = cloud.snapshot()
    project.write("sql/aurora/tenant/changes/0001-users.sql", "CREATE TABLE users (user_id bigint PRIMARY KEY);\n")
    outcome = project.run()
    assert outcome.status == 1
    assert "0001-users.sql" in outcome.terminal
    assert "2 tenants" in outcome.terminal
    assert cloud.snapshot() == before
