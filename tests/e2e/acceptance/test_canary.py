"""--tenant: a change is tried on some tenants first, which are proven, and Phase 3 is not said to be ready."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

CHANGE = "sql/aurora/tenant/changes/0002-phone.sql"
HAVE_PHONE = "SELECT table_schema FROM information_schema.columns WHERE column_name = 'phone' ORDER BY 1"


@pytest.fixture
def change(built) -> Iterator[str]:
    """A further change in the template of what is built."""
    yield built.write(CHANGE, "ALTER TABLE users ADD phone varchar(30) NOT NULL DEFAULT '';\n")
    (built.path / CHANGE).unlink()


def test_change_is_tried_on_one_tenant_first(built, cloud, change):
    """It alone is changed and proven, by green scenarios; the ledger names the run; the others follow with the next run."""
    plan = built.run("features/", "--plan", "--tenant", "tenant_b")
    assert (plan.status, "pending change 0002-phone.sql: 1 tenant (tenant_b)\n" in plan.terminal) == (0, True), (
        plan.terminal
    )
    assert cloud.rows(HAVE_PHONE) == []

    canary = built.run("features/", "--tenant", "tenant_b")
    assert canary.status == 0, canary.terminal
    assert "--tenant: only tenant_b of 3 tenants is worked on" in canary.terminal
    assert cloud.rows(HAVE_PHONE) == [("tenant_b",)]
    verdict = json.loads((built.path / "reports/phase3-gate.json").read_text())
    assert (verdict["ready"], verdict["tenants"]) == (False, ["tenant_b"])
    assert "only tenant_b was worked on (--tenant): only a whole run is a proof" in verdict["reasons"]
    assert verdict["scenarios"]["not_run"] == 2 * 3, "three scenarios of each other tenant"
    assert cloud.rows("SELECT tenant, run FROM etl_manager.applied WHERE change LIKE '0002%'") == [
        ("tenant_b", verdict["run_id"])
    ]

    proven = built.run("features/", "--verify-only", "--tenant", "tenant_b")
    assert proven.status == 0, proven.terminal
    others = built.run("features/", "--verify-only", "--tenant", "tenant_a", "--tenant", "tenant_c")
    assert others.status == 1
    assert others.counts["failed"] > 0

    plan = built.run("features/", "--plan")
    assert "pending change 0002-phone.sql: 2 tenants (tenant_a, tenant_c)\n" in plan.terminal
    assert built.run("features/", "--require-gate").status == 0
    assert cloud.rows(HAVE_PHONE) == [("tenant_a",), ("tenant_b",), ("tenant_c",)]


def test_unknown_tenant_is_wrong_use(built):
    """One clear error that names the option; nothing is started."""
    outcome = built.run("features/", "--tenant", "tenant_a", "--tenant", "tenant_x")
    assert outcome.status == 4
    assert outcome.terminal.count("--tenant tenant_x: the configuration has no such tenant") == 1
    assert "It has tenant_a, tenant_b, tenant_c." in outcome.terminal
    assert "Traceback" not in outcome.terminal


def test_what_cannot_be_replicated_is_told_as_the_change_is_applied(built, cloud):
    """The schema phase says so, once, and is green: a table may be left out of zeroEtl.tables.

    Its feature is run alone, on a fresh cluster: its first Given builds what it names.
    """
    cloud.empty()
    change = built.write("sql/aurora/tenant/changes/0002-log.sql", "CREATE TABLE log (line text);\n")
    try:
        outcome = built.run("features/2-schema.feature")
    finally:
        (built.path / change).unlink()
    assert outcome.status == 0, outcome.terminal
    assert outcome.counts == {"passed": 4}
    assert (
        outcome.terminal.count(
            "for zero-ETL: table log: without a primary key it is not replicated; ALTER TABLE log ADD PRIMARY KEY"
        )
        == 1
    )
