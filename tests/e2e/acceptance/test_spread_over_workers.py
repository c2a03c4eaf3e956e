"""``-n``: pytest-xdist's workers prove what one run did; verdict, results and exit status are those of one process."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.e2e.acceptance.test_phases_in_order import added
from tests.support.outcome import Outcome
from tests.support.project import Project

WORKERS = ("-n", "2")
COMMAND = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The id of a command, which no two runs share."""


def verdict(project: Project) -> dict[str, Any]:
    """Return the verdict but for what is of one run alone."""
    found: dict[str, Any] = json.loads(COMMAND.sub("ID", (project.path / "reports/phase3-gate.json").read_text()))
    return {name: value for name, value in found.items() if name not in ("run_id", "checked_at")}


def results(project: Project) -> list[tuple[Any, ...]]:
    """Return what each result says: of which scenario it is, how it ended, why, and after how many steps."""
    found = [json.loads(path.read_text()) for path in project.path.glob("reports/allure-results/*-result.json")]
    return sorted(
        (each["historyId"], each["name"], each["status"], len(each["steps"]), _reason(each), _labels(each))
        for each in found
    )


def _reason(result: dict[str, Any]) -> str:
    return COMMAND.sub("ID", result.get("statusDetails", {}).get("message", ""))


def _labels(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the labels, but for those that name a process."""
    return sorted((each["name"], each["value"]) for each in result["labels"] if each["name"] not in ("host", "thread"))


def proven(project: Project, *arguments: str) -> tuple[Outcome, object]:
    """Run, and return how it ended beside all that it proved."""
    outcome = project.run("features/", *arguments)
    return outcome, (outcome.status, outcome.counts, verdict(project), results(project))


def test_whole_run_is_shared_by_the_workers(transferred, cloud):
    """Three processes prove from the commands of one run what one process proves, and Phase 3 may start.

    With an up-to-date workspace each run sends 2 commands: none carries the archive.
    """
    built = transferred
    with cloud.counted() as commands:
        whole, alone = proven(built, "--require-gate")
    assert len(commands) == 2
    assert "SendCommands of this run: 2" in whole.log
    assert not any("receive 1 <<" in "\n".join(command["Parameters"]["commands"]) for command in commands)
    with cloud.counted() as commands:
        outcome, shared = proven(built, "--require-gate", "--junitxml", "junit.xml", *WORKERS)
    assert "2 workers [6 items]" in outcome.terminal
    assert shared == alone
    assert (outcome.status, verdict(built)["ready"]) == (0, True)
    assert 'name="phase3-gate" value="ready"' in (built.path / "junit.xml").read_text()
    assert len(commands) == 2


DRIFT = {
    "ALTER TABLE tenant_b.users SET UNLOGGED": (
        "The schema of tenant_b is made as the tenant template says",
        "tenant_b: table users: expected logged, found unlogged",
    ),
    "UPDATE tenant_c.users SET email = 'x' WHERE user_id = 2": (
        "tenant_c has its sample users",
        "tenant_c: sample rows of users: expected none altered, found altered 2",
    ),
}


def test_what_is_broken_is_told_as_by_one_process(built, cloud):
    """Each scenario fails, or is not run, for the same reason; what ends a phase is told once."""
    cloud.execute(*DRIFT)
    with added(built, "sql/aurora/verification/zz-mistake.sql", "SELECT 1;\n\\frobnicate\n"):
        _, alone = proven(built)
        outcome, shared = proven(built, "-n", "1")
    assert "1 worker [6 items]" in outcome.terminal
    assert shared == alone
    assert (outcome.status, verdict(built)["ready"]) == (1, False)
    for title, reason in DRIFT.values():
        assert reason in outcome.failures()[title]
    told = "not run because phase verification failed: psql could not go on: invalid command \\frobnicate"
    assert told in outcome.terminal
    assert told in outcome.log
    assert json.dumps(told)[1:-1] in outcome.evidence
    assert "sql/aurora/verification/zz-mistake.sql:2" in outcome.terminal
