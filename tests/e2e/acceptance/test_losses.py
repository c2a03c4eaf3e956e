"""What a run's own SQL makes vanish is told as lost, fails the run, and never passes for a repair."""

from __future__ import annotations

import json
import re

from tests.e2e.acceptance.test_phases_in_order import added
from tests.support.project import Project

PHASES = {"data": {}, "tidy": {"connection_db": "multitenant_analytics"}}
"""The phase of one's own stands between those of the suite: the verification follows it."""
TIDY = "CREATE FUNCTION public.tidy() RETURNS void SECURITY DEFINER LANGUAGE sql AS $$ {} $$"
"""Somebody's own function: what it does, no reader of the phase's file can see."""


def run_with_tidy(project: Project) -> tuple[object, dict]:
    """Run with a phase of one's own that calls the function; return the outcome and the verdict."""
    (project.path / "sql/aurora/tidy").mkdir(exist_ok=True)
    project.write("sql/aurora/tidy/tidy.sql", "SELECT public.tidy();\n")
    outcome = project.run("features/", "--config-json", project.write("tidy.json", {"aurora": {"phases": PHASES}}))
    return outcome, json.loads((project.path / "reports/phase3-gate.json").read_text())


LOST = {
    "DELETE FROM tenant_b.users WHERE user_id = 3": "lost tenant_b: rows of users: 5 → 4",
    "DROP SCHEMA tenant_c CASCADE": "lost tenant_c: schema: 5 rows in 1 table → missing",
}


def test_losses_by_a_phase_are_named_everywhere(built, cloud):
    """Terminal, log, Allure, verdict and both pages name rows and a schema, exit status is 1, and the phase is what failed."""
    cloud.execute(TIDY.format("; ".join(LOST)))
    outcome, verdict = run_with_tidy(built)
    assert outcome.status == 1
    following = r"features/4-verification\.feature:\d+: not run because phase tidy failed: lost tenant_"
    assert re.search(following, outcome.terminal)
    assert [phase["lost"] for phase in verdict["phases"] if phase["phase"] == "tidy"] == [[*LOST.values()]]
    assert "repaired tenant" not in outcome.terminal
    assert "Nothing was changed" not in outcome.terminal
    pages = [(built.path / "reports" / page).read_text() for page in ("summary.md", "verdict.html")]
    for lost in LOST.values():
        assert lost in outcome.terminal.partition("= provisioning =")[2]
        assert lost in outcome.log
        assert lost in outcome.evidence
        assert lost in verdict["reasons"]
        assert all(lost.partition(":")[0] in page for page in pages)


def test_loss_in_the_repeat_is_named_too(built, cloud):
    """A file that may run once, and destroys when it is run again, is found out by the repeat."""
    cloud.execute(
        "CREATE SEQUENCE public.calls",
        TIDY.format("DELETE FROM tenant_b.users WHERE user_id = 3 AND nextval('public.calls') > 1"),
    )
    with added(built, "sql/aurora/data/zz-tidy.sql", "SELECT public.tidy();\n"):
        outcome = built.run("features/4-verification.feature")
    verdict = json.loads((built.path / "reports/phase3-gate.json").read_text())
    assert outcome.status == 1
    assert "lost tenant_b: rows of users: 5 → 4" in outcome.failures()["Provisioning again changes nothing"]
    assert "lost tenant_b: rows of users: 5 → 4" in outcome.terminal.partition("= provisioning =")[2]
    assert "lost tenant_b: rows of users: 5 → 4" in verdict["reasons"]
