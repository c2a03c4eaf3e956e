"""Results are matched with scenarios by an id of our own: what Allure makes of names and parameters does not count."""

from __future__ import annotations

import json

import pytest

from etl_manager import redaction
from etl_manager.report.feature_files import ScenarioId
from etl_manager.report.results import Record, history_lines
from etl_manager.report.verdict import assess
from tests.unit.report.folder import Folder

FEATURE = """\
Feature: smallest
  Scenario Outline: note <note>
    Given the database exists

    Examples:
      | note   | kind     |
      |        | empty    |
      | ::1    | colons   |
      | a[b]#c | brackets |
      | a/b.py | path     |

  Scenario: Named anew
    Given the report is told something else

  Scenario Outline: <tenant> is overwritten
    Given the report is told something else

    Examples:
      | tenant |
      | one    |
      | two    |
"""
STEPS = """
import allure, time

@given("the report is told something else")
def told_something_else():
    allure.dynamic.title("another title")
    allure.dynamic.parameter("tenant", "nobody")
    allure.dynamic.parameter("began", time.time())
"""


@pytest.fixture(scope="module")
def project(shared_project):
    shared_project.write("features/6-min.feature", FEATURE)
    shared_project.append("sentences.py", STEPS)
    done = shared_project.run("features/")
    assert done.counts == {"passed": 7}, done.out
    return shared_project


def test_nothing_that_passed_is_lost(project):
    """Empty cells, cells that look like parts of a node id, titles and parameters of the user's own: all are there."""
    found = assess(project.path / "reports")
    assert (found.completeness.expected, found.completeness.found) == (7, 7)
    assert not found.completeness.damaged
    assert (found.completeness.unexpected, found.completeness.duplicates) == ((), ())
    assert {dict(result.scenario.row).get("note") for result in found.results} == {None, "", "::1", "a[b]#c", "a/b.py"}
    gate = json.loads((project.path / "reports/phase3-gate.json").read_text())
    assert (gate["scenarios"]["passed"], gate["scenarios"]["not_run"]) == (7, 0)


def test_rows_are_known_from_run_to_run(project):
    """A parameter that is another in each run, or takes the place of a cell, makes no scenario a new one."""
    before = history_lines(project.path / "reports")[-1]["testResults"].keys()
    assert len(before) == 7
    project.run("features/")
    assert history_lines(project.path / "reports")[-1]["testResults"].keys() == before
    was = assess(project.path / "reports").comparison
    assert (was.previous != "", was.new, was.gone) == (True, (), ())


def test_test_that_runs_several_times_is_no_stranger(project):
    """A parametrised fixture for all makes two results of a scenario: they are told as that, and the worst one counts."""
    fixture = """
import pytest

@pytest.fixture(autouse=True, params=["ja", "en"])
def locale_of_the_run(request):
    if request.param == "ja" and "Named" in request.node.name:
        pytest.skip("not in ja")
"""
    project.append("conftest.py", fixture)
    done = project.run("features/")
    assert done.counts == {"passed": 13, "skipped": 1}, done.out
    found = assess(project.path / "reports").completeness
    assert (found.found, found.missing, found.unexpected) == (7, (), ())
    assert len(found.duplicates) == 7
    scenarios = json.loads((project.path / "reports/phase3-gate.json").read_text())["scenarios"]
    assert (scenarios["promised"], scenarios["passed"], scenarios["not_run"]) == (7, 6, 1)
    assert len(history_lines(project.path / "reports")[-1]["testResults"]) == 14


def test_scenario_is_known_although_its_row_is_masked(tmp_path, monkeypatch):
    """A cell that happens to be a secret's spelling is masked in the record, and its result is found all the same."""

    class Spelling:
        def masked(self, text: str, mask: str) -> str:
            return text.replace("t1", mask)

    monkeypatch.setattr(redaction, "_spellings", {"t1": Spelling()})
    folder = Folder(tmp_path)
    folder.results()
    folder.close()
    assert assess(tmp_path).completeness.found == 4
    record = Record.read(tmp_path)
    assert [proof.row for proof in record.expected][2] == (("tenant", redaction.MASK),)
    assert ScenarioId("a.feature", "S", (("x", "1"),)).id != ScenarioId("a.feature", "S", (("x", "2"),)).id
