"""What a run's own SQL makes vanish is told as lost, fails the run, and never passes for a repair."""

from __future__ import annotations

import json

import pytest

from tests.e2e.acceptance.test_phases_in_order import added
from tests.support.project import Project

PHASES = {"data": {}, "tidy": {"connection_db": "multitenant_analytics"}}
TIDY = "CREATE FUNCTION public.tidy() RETURNS void SECURITY DEFINER LANGUAGE sql AS $$ {} $$"
"""Somebody's own function: what it does, no reader of the phase's file can see."""


def run_with_tidy(project: Project) -> tuple[object, dict]:
    """Run with a phase of one's own that calls the function; return the outcome and the verdict."""
    (project.path / "sql/aurora/tidy").mkdir(exist_ok=True)
    project.write("sql/aurora/tidy/tidy.sql", "SELECT public.tidy();\n")
    outcome = project.run("features/", "--config-json", project.write("tidy.json", {"aurora": {"phases": PHASES}}))
    return outcome, json.loads((project.path / "reports/phase3-gate.json").read_text())


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("DELETE FROM tenant_b.users WHERE user_id = 3", "tenant_b: rows of users: 5 → 4"),
        ("DROP SCHEMA tenant_c CASCADE", "tenant_c: schema: 5 rows in 1 table → missing"),
    ],
)
def test_loss_by_a_phase_is_named_everywhere(built, cloud, statement, lost):
    """Terminal, log, Allure, verdict and both pages name it, exit status is 1, and the phase is the one that failed."""
    cloud.execute(TIDY.format(statement))
    outcome, verdict = run_with_tidy(built)
    assert outcome.status == 1
    assert f"lost {lost}" in outcome.terminal.partition("= provisioning =")[2]
    assert f"not run because phase tidy failed: lost {lost}" in outcome.terminal
    assert f"lost {lost}" in outcome.log
    assert f"lost {lost}" in outcome.evidence
    assert f"lost {lost}" in verdict["reasons"]
    assert [phase["lost"] for phase in verdict["phases"] if phase["phase"] == "tidy"] == [[f"lost {lost}"]]
    assert "repaired tenant" not in outcome.terminal
    assert "Nothing was changed" not in outcome.terminal
    for page in ("summary.md", "verdict.html"):
        assert f"lost {lost.partition(':')[0]}" in (built.path / "reports" / page).read_text()


def test_loss_in_the_repeat_is_named_too(built, cloud):
    """A file that may run once, and destroys when it is run again, is found out by the repeat."""
    cloud.execute(
        "CREATE SEQUENCE public.calls",
        TIDY.format("DELETE FROM tenant_b.users WHERE user_id = 3 AND nextval('public.calls') > 1"),
    )
    with added(built, "sql/aurora/data/zz-tidy.sql", "SELECT public.tidy();\n"):
        outcome = built.run()
    verdict = json.loads((built.path / "reports/phase3-gate.json").read_text())
    assert outcome.status == 1
    assert "lost tenant_b: rows of users: 5 → 4" in outcome.failures()["Provisioning again changes nothing"]
    assert "lost tenant_b: rows of users: 5 → 4" in outcome.terminal.partition("= provisioning =")[2]
    assert "lost tenant_b: rows of users: 5 → 4" in verdict["reasons"]
