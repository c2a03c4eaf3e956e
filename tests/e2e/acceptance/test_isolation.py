"""Tenant isolation: a configuration switches it on, and its scenarios count for the verdict."""

from __future__ import annotations

import json

from tests.support.project import TENANTS


def test_isolation_is_switched_on_and_proven(built, cloud, new_project):
    """It is built and proven in one run; a grant too much then fails its scenario, and nothing is ready."""
    project = new_project()
    project.environment = cloud.environment
    config = project.config
    config["aurora"]["phases"]["isolation"] = {}
    phases = config["aurora"]["phases"]
    phases["verification"] = phases.pop("verification")  # it comes last
    project.write("config.json", config)
    try:
        outcome = project.run("features/", "--require-gate")
        assert outcome.status == 0, outcome.terminal
        assert "created tenant_a: role tenant_a_role: missing → exists" in outcome.terminal
        assert "features/3-isolation.feature ...." in outcome.terminal
        cloud.execute("GRANT SELECT ON tenant_b.users TO tenant_a_role")
        proven = project.run("features/", "--verify-only")
        assert proven.status == 1
        assert "tenant_a: what role tenant_a_role holds outside of its schema: expected nothing" in proven.terminal
        assert json.loads((project.path / "reports/phase3-gate.json").read_text())["ready"] is False
    finally:
        cloud.empty()
        cloud.execute(*(f"DROP ROLE IF EXISTS {tenant}_role" for tenant in TENANTS), database="postgres")
