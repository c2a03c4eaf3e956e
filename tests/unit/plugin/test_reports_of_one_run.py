"""What stands in ``reports/`` is of one run: of the last that may have changed the verdict, and of the one that has it."""

from __future__ import annotations

import json
import os

import pytest

from etl_manager.report import GATE, HISTORY, RENDERED, RESULTS, VERDICT_PAGE
from etl_manager.report.folder import OF_A_RUN, take
from tests.support import forks

STEPS = """
from pathlib import Path

@then("the log can be read")
def log_can_be_read():
    assert "provision on local, configuration" in Path("reports/run.log").read_text()

@then("the target is needed")
def target_is_needed(run):
    pass
"""
FEATURE = "Feature: F\n  Scenario: S\n    Then the log can be read\n"


@pytest.fixture
def project(shared_project):
    """A project with the reports of a run that was ready; what is not of a run stands beside them."""
    shared_project.write("features/1.feature", FEATURE)
    if "log_can_be_read" not in (shared_project.path / "sentences.py").read_text():
        shared_project.append("sentences.py", STEPS)
    for name in OF_A_RUN:
        shared_project.write(f"reports/{name}/old" if name in (RESULTS, RENDERED) else f"reports/{name}", "Ready")
    shared_project.write("reports/.gitkeep", "")
    shared_project.write("reports/README.md", "mine")
    return shared_project


def left(project) -> set[str]:
    """Return what is in the reports but the history and what was never of a run."""
    names = {path.name for path in (project.path / "reports").iterdir()}
    assert {".gitkeep", "README.md"} <= names
    return names - {".gitkeep", ".lock", "README.md", HISTORY}


def old(project) -> bool:
    """Return whether something of the run that was ready is left."""
    return any(path.read_text() == "Ready" for path in (project.path / "reports").rglob("*") if path.is_file())


GREEN = {"none": (), "to another folder": ("--alluredir", "elsewhere")}


@pytest.mark.parametrize("results", GREEN)
def test_whole_report_is_of_the_run(project, results):
    """Wherever Allure's results are sent too: every file is of this run, and the evidence is complete and checkable."""
    done = project.run("features/", *GREEN[results])
    assert done.status == 0, done.out
    assert not old(project)
    assert left(project) == {*OF_A_RUN} - {RENDERED, "zero-etl-data-filter.txt"}
    gate = json.loads((project.path / "reports" / GATE).read_text())
    assert (gate["ready"], gate["scenarios"]["passed"]) == (False, 1)
    assert "Not ready for Phase 3" in (project.path / "reports" / VERDICT_PAGE).read_text()
    assert "Results of 1 of 1 promised scenario" in done.out
    for folder in ("elsewhere",) if GREEN[results] else ():
        names = {path.name for path in (project.path / folder).iterdir()}
        assert names == {path.name for path in (project.path / "reports" / RESULTS).iterdir()}


FATAL = {
    "broken feature": (("features/",), 2),
    "no feature file": (("features/",), 5),
    "nothing selected": (("features/", "-k", "nothing_like_this"), 5),
    "contradictory options": (("features/", "--verify-only", "--reset-local"), 4),
    "unknown option": (("features/", "--requrie-gate"), 4),
    "unknown target": (("--target", "moon"), 4),
    "no configuration": (("features/", "--config-json", "none.json"), 4),
    "no such feature": (("features/9.feature",), 4),
    "no such scenario": (("features/1.feature::T",), 4),
}


@pytest.mark.parametrize("reason", FATAL)
def test_ready_does_not_outlive_a_run_that_came_to_nothing(project, reason):
    """However early it ends, and with whatever status: nothing is left that says *ready*."""
    if reason == "broken feature":
        project.append("features/1.feature", "    Thne nothing\n")
    if reason == "no feature file":
        (project.path / "features/1.feature").unlink()
    words, status = FATAL[reason]
    done = project.run(*words)
    assert done.status == status, done.out + done.err
    assert not old(project)
    assert left(project) <= {GATE, "phase3-gate.md"}
    if GATE in left(project):
        assert json.loads((project.path / "reports" / GATE).read_text())["ready"] is False


def test_a_run_without_results_says_that_it_has_no_report(project):
    """With allure_pytest switched off there are log and gate, no page, and a word about it."""
    done = project.run("features/", "-p", "no:allure_pytest")
    assert done.status == 0, done.out
    assert not old(project)
    assert left(project) == {GATE, "phase3-gate.md", "run.log"}
    assert "There is no report: the plugin allure_pytest" in done.out


@pytest.mark.parametrize(
    "words",
    [
        ("features/", "--collect-only"),
        ("--help",),
        ("--version",),
        ("--markers",),
        ("--fixtures",),
        ("features/", "--plan", "--require-gate"),
        ("tests/",),
        ("tests/", "--no-such-option"),
        ("tests/", "--verify-only", "--reset-local"),
    ],
    ids=" ".join,
)
def test_who_only_looks_or_tests_something_else_leaves_the_reports_alone(project, words):
    """What cannot change the verdict does not take it away."""
    project.write("tests/test_it.py", "def test_it():\n    pass\n")
    project.run(*words)
    assert left(project) == {*OF_A_RUN}
    assert all((project.path / "reports" / name).exists() for name in OF_A_RUN)


def test_runs_that_are_refused_leave_the_reports_of_the_first_alone(project):
    """While one run has the reports others end red, say who has them, start nothing and leave nothing; two as well."""
    project.write("features/1.feature", FEATURE.replace("the log can be read", "the target is needed"))
    with take(project.path / "reports"):
        words = project.command("features/")[2:]
        runs = [forks.start(*words, cwd=project.path, env=project.environment) for _ in range(2)]
        said = [run.communicate()[0] for run in runs]
        assert [run.returncode for run in runs] == [1, 1], said
        assert left(project) == {*OF_A_RUN}
        assert all((project.path / "reports" / name).exists() for name in OF_A_RUN)
        wrong = project.run("features/", "--no-such-option")
        assert (wrong.status, left(project)) == (4, {*OF_A_RUN})
    for out in said:
        assert f"reports is in use by process {os.getpid()}" in out
        assert "reports/ is left as it is: this run wrote no report and no log there" in out
        assert "Not ready" in out
    assert not (project.path / ".local").exists()
    assert not list(project.path.glob("reports/unfinished"))
