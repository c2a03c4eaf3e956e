"""A failing scenario says what was expected, what was found and where, without a traceback; nothing runs for ever."""

from __future__ import annotations

import json
import signal
import time
from xml.etree import ElementTree

import pytest

from tests.support import forks

STEPS = """

@then("the statement is refused")
def statement_refused():
    raise errors.SqlError("syntax error at or near \\"x\\"", context={"file": "a.sql:3"}, hint="Correct a.sql.")


@then("the bastion answers")
def bastion_answers():
    raise errors.CommandError("the agent is offline")


@then("the data is there")
def data_is_there():
    raise errors.PhaseSkipped("phase schema", "permission denied")


@then("the suite has a defect")
def defect():
    return {}["missing"]


@then("only AWS can answer")
def only_aws_can_answer():
    raise errors.NotApplicable("emulated: this is not AWS")


@then("it is judged by hand")
def judged_by_hand():
    import pytest
    pytest.fail("the reviewer said no")


@given("the target is started")
def target_started(broken_target):
    pass


@pytest.fixture
def broken_target():
    raise errors.TargetError("the target is in use", hint="Stop process 1.")
"""

FEATURES = """\
Feature: Outcomes

  @each-tenant
  Scenario Outline: <tenant> has its rows
    Given the database exists
    Then <tenant>.users has 5 rows

    Examples:
      | tenant |

  Scenario: A refused statement
    Then the statement is refused

  Scenario: An offline bastion
    Then the bastion answers

  Scenario: A dependent phase
    Then the data is there

  Scenario: Another dependent
    Then the data is there

  Scenario: A defect
    Then the suite has a defect

  Scenario: By hand
    Then it is judged by hand

  Scenario: No target
    Given the target is started
"""


@pytest.fixture(scope="module")
def outcomes_project(shared_project):
    shared_project.append("sentences.py", "\nimport pytest\n" + STEPS)
    shared_project.write("features/1-outcomes.feature", FEATURES)
    return shared_project


@pytest.fixture(scope="module")
def outcomes(outcomes_project):
    return outcomes_project.run("features/")


def test_outcomes_are_counted(outcomes):
    """What failed fails, what depends on it is skipped, what holds passes; the exit status is 1."""
    assert (outcomes.status, outcomes.counts) == (1, {"failed": 6, "passed": 2, "skipped": 2})


def test_a_proof_that_fails_shows_the_difference_and_its_step(outcomes):
    """The heading names the tenant; expectation and finding come first, then the sentence and its line."""
    assert outcomes.failure("tenant_b has its rows") == (
        "tenant_b.users: expected 5 rows, found 4\n"
        "assert 4 == 5\n"
        "  step:  Then tenant_b.users has 5 rows (features/1-outcomes.feature:6)\n"
    )


def test_a_known_error_shows_its_message_only(outcomes):
    """What, where and what next; no traceback."""
    assert outcomes.failure("A refused statement") == (
        'syntax error at or near "x"\n'
        "  where: file a.sql:3\n"
        "  next:  Correct a.sql.\n"
        "  step:  Then the statement is refused (features/1-outcomes.feature:12)\n"
    )
    assert outcomes.failure("An offline bastion").startswith("the agent is offline\n  step:  ")
    assert outcomes.failure("By hand").startswith("the reviewer said no\n  step:  ")
    assert outcomes.failure("No target").startswith("the target is in use\n  next:  Stop process 1.\n  step:  ")


def test_the_summary_tells_the_cause(outcomes):
    """One line a failure, with the node id to paste back and the message's first line."""
    assert (
        'FAILED features/1-outcomes.feature::A refused statement - syntax error at or near "x"'
        in outcomes.out.splitlines()
    )


def test_what_depends_on_a_failed_phase_is_not_run(outcomes):
    """Dependents are skipped with the reason, at the scenario's own place."""
    lines = outcomes.out.splitlines()
    for number in (17, 20):
        reason = "not run because phase schema failed: permission denied"
        assert f"SKIPPED [1] features/1-outcomes.feature:{number}: {reason}" in lines


@pytest.mark.parametrize(
    ("option", "letter"),
    [("-q", "nn."), ("-v", "Asked of AWS NOT APPLICABLE"), ("-ra", "features/1.feature nn.")],
    ids=["-q", "-v", "-ra"],
)
def test_what_does_not_apply_is_one_line(project, option, letter):
    """Scenarios that cannot be answered here are a category of their own, with each reason once; reports say skipped."""
    project.append("sentences.py", "\nimport pytest\n" + STEPS)
    asked = "".join(f"  Scenario: {name}\n    Then only AWS can answer\n" for name in ("Asked of AWS", "Another"))
    own = "  Scenario: Sound\n    Given the database exists\n"
    project.write("features/1.feature", f"Feature: F\n{asked}{own}")
    found = project.run("features/", "--junitxml=junit.xml", option)
    assert (found.status, found.counts) == (0, {"passed": 1, "not applicable": 2}), found.out
    assert letter in found.out
    assert "SKIPPED" not in found.out
    assert "2 not applicable: emulated: this is not AWS\n" in found.out.partition(" phase 3 gate ")[2]
    assert 'failures="0" skipped="2" tests="3"' in (project.path / "junit.xml").read_text()
    result = project.results()["Asked of AWS"]
    assert (result["status"], result["statusDetails"]["message"]) == ("skipped", "emulated: this is not AWS")
    scenarios = json.loads((project.path / "reports/phase3-gate.json").read_text())["scenarios"]
    assert (scenarios["passed"], scenarios["not_applicable"], scenarios["not_run"]) == (1, 2, 0)


def test_a_defect_of_the_suite_keeps_its_traceback(outcomes):
    """An error nobody expected shows where it came from."""
    assert 'return {}["missing"]' in outcomes.failure("A defect")
    assert "sentences.py" in outcomes.failure("A defect")


def test_a_traceback_can_be_asked_for(outcomes_project):
    """With --tb the style asked for is shown, also of errors the suite knows."""
    found = outcomes_project.run("features/", "-k", "refused", "--tb=short")
    assert "sentences.py" in found.failure("A refused statement")


def test_a_junit_report_says_the_same(outcomes_project):
    """CI systems that read JUnit's XML get names, messages and skips."""
    outcomes_project.run("features/", "--junitxml=junit.xml")
    text = (outcomes_project.path / "junit.xml").read_text()
    assert 'failures="6" skipped="2" tests="10"' in text
    assert "tenant_b.users: expected 5 rows, found 4" in text
    assert "not run because phase schema failed" in text


def test_junit_has_the_verdict_and_the_terminal_counts_scenarios_only(project):
    """The verdict is a property of the suite, and with --require-gate a test case too; for pytest it is no test."""
    project.write("features/1.feature", "Feature: F\n  Scenario: S\n    Given the database exists\n")
    found = project.run("features/", "--require-gate", "--junitxml=junit.xml", "-p", "cacheprovider")
    assert (found.status, found.counts.get("passed"), found.counts.get("failed")) == (1, 1, None), found.out
    suite = ElementTree.parse(project.path / "junit.xml").getroot()[0]  # noqa: S314 - our own file
    assert [dict(each.attrib) for each in suite.iter("property")] == [{"name": "phase3-gate", "value": "not ready"}]
    cases = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert cases == {"S": [], "Phase 3 may start": ["failure"]}
    assert not (project.path / ".pytest_cache/v/cache/lastfailed").exists()


def test_two_hundred_failing_tenants_cost_no_traceback(project):
    """A mass of failures makes no traceback, which takes 50 ms."""
    project.write("features/1.feature", FEATURES.partition("  Scenario: A refused")[0].replace("has 5", "has 6"))
    project.tenants(*(f"tenant_{number}" for number in range(200)))
    project.append(
        "conftest.py",
        "\nimport pytest\n"
        "def getrepr(*args, **kwargs):\n    raise RuntimeError('a traceback was made')\n"
        "pytest.ExceptionInfo.getrepr = getrepr\n",
    )
    found = project.run_apart("features/")  # it would change pytest for all tests
    assert (found.status, found.counts) == (1, {"failed": 200})
    assert len(project.results()) == 200


def test_what_a_teardown_printed_is_shown(project):
    """A failing scenario shows also what was printed while it was torn down."""
    project.append(
        "sentences.py",
        """
import pytest

@pytest.fixture
def left_over():
    yield
    print("left over on the bastion")

@then("it fails")
def it_fails(left_over):
    assert False
""",
    )
    project.write("features/1.feature", "Feature: F\n  Scenario: S\n    Then it fails\n")
    out = project.run("features/").out
    assert "Captured stdout teardown" in out
    assert "left over on the bastion" in out


def test_sigterm_tears_the_session_down(project):
    """SIGTERM ends a run as Ctrl-C does: what was set up is torn down, and the exit status is 2."""
    project.append(
        "sentences.py",
        """
import pathlib
import time
import pytest

@pytest.fixture(scope="session")
def server():
    yield
    pathlib.Path("stopped").touch()

@given("it takes for ever")
def for_ever(server):
    pathlib.Path("started").touch()
    time.sleep(600)
""",
    )
    project.write("features/1.feature", "Feature: F\n  Scenario: S\n    Given it takes for ever\n")
    run = forks.start(*project.command("features/")[2:], cwd=project.path, env=project.environment)
    while not (project.path / "started").exists() and run.poll() is None:
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    out, _ = run.communicate()
    assert (run.returncode, "KeyboardInterrupt" in out) == (2, True), out
    assert (project.path / "stopped").exists()
    [result] = project.results().values()
    assert (result["status"], result["steps"][0]["status"]) == ("broken", "broken")
