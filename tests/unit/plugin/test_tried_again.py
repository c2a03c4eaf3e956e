"""A scenario that a plugin tries again stays failed where what it failed for is not run a second time."""

from __future__ import annotations

import json

import pytest

AGAIN = """

from _pytest.runner import runtestprotocol


def pytest_runtest_protocol(item, nextitem):
    # What pytest-rerunfailures and flaky do.
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""
STEPS = """

import pytest

from etl_manager.errors import Failures

failures = Failures()
tries = []


@given("the data is there")
def data_is_there():
    with failures.once("phase data"):
        tries.append("data")
        raise ENDED


@then("the page of my own answers")
def page_answers():
    tries.append("page")
    assert tries.count("page") > 1, "the page did not answer"


@then("the data was sent once")
def sent_once():
    assert tries.count("data") == 1
"""
FEATURE = """\
Feature: F
  Scenario: First
    Given the data is there
  Scenario: Second
    Given the data is there
  Scenario: Sent
    Then the data was sent once
"""


@pytest.mark.parametrize(
    ("ended", "told", "how"),
    [
        ("errors.SqlError('division by zero')", "division by zero", "failed: division by zero"),
        ("pytest.fail.Exception('Timeout (>1.0s)')", "Timeout (>1.0s)", "was interrupted: Timeout (>1.0s)"),
        ("KeyError('a')", "KeyError: 'a'", "failed: KeyError: 'a'"),
        ("SystemExit(3)", "SystemExit: 3", "was interrupted: 3"),
    ],
    ids=["known", "timeout", "defect", "exit"],
)
def test_failure_for_a_phase_outlives_a_second_try(project, ended, told, how):
    """Exit status, JUnit and Allure say failed, with the first try's message; the phase is sent once."""
    project.append("conftest.py", AGAIN)
    project.append("sentences.py", STEPS.replace("ENDED", ended))
    project.write("features/1.feature", FEATURE)
    found = project.run("features/", "--junitxml=junit.xml")
    assert (found.status, found.counts) == (1, {"failed": 1, "skipped": 1, "passed": 1}), found.out
    assert told in found.failure("First")
    assert f"not run because phase data {how}" in found.out
    assert 'failures="1" skipped="1" tests="3"' in (project.path / "junit.xml").read_text()
    results = [json.loads(path.read_text()) for path in project.path.glob("reports/allure-results/*-result.json")]
    tries = [result for result in results if result["name"] == "First"]
    assert tries
    assert {result["status"] for result in tries} <= {"failed", "broken"}
    assert all(told in result["statusDetails"]["message"] for result in tries)


def test_step_of_ones_own_may_pass_at_the_second_try(project):
    """What has nothing to do with a phase is tried again as the plugin promises."""
    project.append("conftest.py", AGAIN)
    project.append("sentences.py", STEPS.replace("ENDED", "AssertionError"))
    project.write("features/1.feature", "Feature: F\n  Scenario: S\n    Then the page of my own answers\n")
    found = project.run("features/")
    assert (found.status, found.counts) == (0, {"passed": 1}), found.out
