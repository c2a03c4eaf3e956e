"""Allure results tell what each sentence did, what it left as evidence, and whose fault a failure is."""

from __future__ import annotations

import hashlib
import json

import pytest

STEPS = """
import pytest

@given("facts are collected")
def facts_are_collected():
    evidence.attach("counts", "tenant,users\\na,5\\n", "csv")
    evidence.attach("command", '{"id": 1}', "json")
    evidence.attach("output", "é" * 40000)

@given(parsers.parse("these tenants:"))
def these_tenants(datatable):
    pass

@then("the statement is refused")
def statement_refused():
    evidence.attach("a.sql", "selct 1;", "sql")
    raise errors.SqlError("syntax error", context={"file": "a.sql:1"})

@then("two witnesses disagree")
def disagree():
    raise errors.VerificationError("4 is not 5")

@then("the bastion answers")
def bastion_answers():
    raise errors.CommandError("the agent is offline")

@then("the data is there")
def data_is_there():
    raise errors.PhaseSkipped("phase schema", "permission denied")

@then("it is left out")
def left_out():
    pytest.skip("not on this target")

@then("the suite has a defect")
def defect():
    return {}["missing"]

@pytest.fixture
def broken_target():
    raise errors.TargetError("in use")

@given("the target is started")
def target_started(broken_target):
    pass
"""

FEATURE = """\
@schema
Feature: Schema
  Each tenant has a schema of its own.

  Background:
    Given the database exists

  @each-tenant
  Scenario Outline: <tenant> has its rows
    Then <tenant>.users has 5 rows
    And the schema <tenant> exists

    Examples:
      | tenant |

  Rule: Evidence is kept
    Reviewers were not there.

    Scenario: Facts
      In three kinds.

      Given facts are collected
      And these tenants:
        | tenant   | note  |
        | tenant_a | "a,b" |

    Scenario: A refused statement
      Then the statement is refused
      And the schema x exists

  Scenario: Two witnesses
    Then two witnesses disagree

  Scenario: An offline bastion
    Then the bastion answers

  Scenario: A dependent
    Then the data is there
    And the schema x exists

  Scenario: Left out
    Then it is left out
    And the schema x exists

  Scenario: A defect
    Then the suite has a defect

  Scenario: No target
    Given the target is started
"""


@pytest.fixture(scope="module")
def evidence_project(shared_project):
    shared_project.append("sentences.py", STEPS)
    shared_project.write("features/2-schema.feature", FEATURE)
    shared_project.write("reports/allure-results/old-result.json", '{"name": "of an earlier run"}')
    shared_project.write("reports/run.log", "of an earlier run")
    found = shared_project.run("features/")
    assert found.counts == {"failed": 6, "passed": 3, "skipped": 2}, found.out
    return shared_project


@pytest.fixture(scope="module")
def results(evidence_project):
    return evidence_project.results()


def labels(result: dict, name: str) -> list[str]:
    return [label["value"] for label in result["labels"] if label["name"] == name]


def steps(result: dict) -> list[tuple[str, str]]:
    return [(step["name"], step["status"]) for step in result["steps"]]


def test_a_result_a_scenario_and_nothing_else(evidence_project, results):
    """One result a test, by default, from this run only; no containers, no unfinished files."""
    rows = {f"tenant_{letter} has its rows" for letter in "abc"}
    proofs = {"Facts", "A refused statement", "Two witnesses"}
    assert set(results) == rows | proofs | {"An offline bastion", "A dependent", "Left out", "A defect", "No target"}
    kinds = {path.name.partition("-result")[1] or path.suffix for path in evidence_project.path.glob("reports/*/*")}
    assert kinds == {"-result", ".sql", ".csv", ".txt", ".json", ".properties"}


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("tenant_a has its rows", "passed", None),
        ("tenant_b has its rows", "failed", "tenant_b.users: expected 5 rows, found 4\nassert 4 == 5"),
        ("A refused statement", "failed", "syntax error\n  where: file a.sql:1"),
        ("Two witnesses", "failed", "4 is not 5"),
        ("An offline bastion", "broken", "the agent is offline"),
        ("No target", "broken", "in use"),
        ("A defect", "broken", "KeyError: 'missing'"),
        ("A dependent", "skipped", "not run because phase schema failed: permission denied"),
        ("Left out", "skipped", "Skipped: not on this target"),
    ],
)
def test_faults_are_told_apart(results, name, status, message):
    """The database's fault is failed, what the suite stands on is broken, what did not run is skipped."""
    result = results[name]
    assert (result["status"], result.get("statusDetails", {}).get("message")) == (status, message)
    background, *own = result["steps"]
    assert (background["name"], background["status"]) == ("Given the database exists", "passed")
    assert (own[0]["status"], own[0].get("statusDetails", {}).get("message")) == (status, message)


def test_steps_read_as_in_the_feature(results):
    """Background and scenario, each sentence with its keyword; what did not run after a failure is skipped."""
    assert steps(results["tenant_a has its rows"]) == [
        ("Given the database exists", "passed"),
        ("Then tenant_a.users has 5 rows", "passed"),
        ("And the schema tenant_a exists", "passed"),
    ]
    for name, first in [
        ("tenant_b has its rows", ("Then tenant_b.users has 5 rows", "failed")),
        ("A refused statement", ("Then the statement is refused", "failed")),
        ("A dependent", ("Then the data is there", "skipped")),
        ("Left out", ("Then it is left out", "skipped")),
    ]:
        assert steps(results[name])[1] == first
        assert [status for _, status in steps(results[name])[2:]] == ["skipped"]


def test_times_enclose_one_another(results):
    """Every step has a start and an end within its scenario's."""
    for result in results.values():
        for step in result["steps"]:
            assert result["start"] <= step["start"] <= step["stop"] <= result["stop"]


def test_evidence_hangs_on_the_step_that_made_it(evidence_project, results):
    """Attachments are on their own step, also when it failed, and are shown inline by their media type."""
    background, refused, rest = results["A refused statement"]["steps"]
    assert [(a["name"], a["type"]) for a in background["attachments"]] == [("create-database.sql", "text/plain")]
    sql, facts = refused["attachments"]
    assert (sql["name"], sql["type"], evidence_project.attachment(sql)) == ("a.sql", "text/plain", "selct 1;")
    assert json.loads(evidence_project.attachment(facts))["file"] == "a.sql:1"
    assert "attachments" not in rest
    _, collected, table = results["Facts"]["steps"]
    assert [a["type"] for a in collected["attachments"]] == ["text/csv", "application/json", "text/plain"]
    [cells] = table["attachments"]
    assert evidence_project.attachment(cells) == 'tenant,note\ntenant_a,"""a,b"""\n'


def test_a_long_attachment_is_cut_with_its_digest(evidence_project, results):
    """64 KB are kept, whole characters, with size and SHA-256 of the whole."""
    whole = ("é" * 40000).encode()
    text = evidence_project.attachment(results["Facts"]["steps"][1]["attachments"][2])
    kept, _, note = text.partition("\n")
    assert kept == "é" * 32768
    assert note == f"[cut: 65536 of 80000 bytes; SHA-256 of the whole: {hashlib.sha256(whole).hexdigest()}]\n"


def test_results_are_filed_by_feature_story_and_tenant(results):
    """A rule is the story where there is one; purposes are the description; tags are kept; rows are parameters."""
    row = results["tenant_b has its rows"]
    assert labels(row, "feature") == ["Schema"]
    assert labels(row, "story") == ["<tenant> has its rows"]
    assert labels(row, "tenant") == ["tenant_b"]
    assert sorted(labels(row, "tag")) == ["each-tenant", "schema"]
    assert row["parameters"] == [{"name": "tenant", "value": "tenant_b"}]
    source = "Source: `features/2-schema.feature:{}` at commit `not a git checkout`"
    assert row["description"] == "Each tenant has a schema of its own.\n\n" + source.format(9)
    facts = results["Facts"]
    assert labels(facts, "story") == ["Evidence is kept"]
    assert facts[
        "description"
    ] == "Each tenant has a schema of its own.\n\nReviewers were not there.\n\nIn three kinds.\n\n" + source.format(19)


def test_history_follows_the_tenant(evidence_project, results):
    """A tenant's test keeps its history id over runs, and no other test has it."""
    ids = {name: result["historyId"] for name, result in results.items()}
    assert len(set(ids.values())) == len(ids)
    evidence_project.run("features/", "-k", "tenant_b", "--alluredir", "elsewhere")
    [path] = (evidence_project.path / "elsewhere").glob("*-result.json")
    again = json.loads(path.read_text())
    assert again["historyId"] == ids["tenant_b has its rows"]


def test_the_log_tells_the_run(evidence_project):
    """run.log is fresh, and holds each scenario with its outcome, and the sentences of one that failed."""
    evidence_project.run("features/", "--alluredir", "elsewhere")
    text = (evidence_project.path / "reports/run.log").read_text()
    assert "of an earlier run" not in text
    for expected in [
        "provision on local, configuration ",
        "begin features/2-schema.feature::<tenant> has its rows[tenant_b]",
        "  Then tenant_b.users has 5 rows",
        "failed features/2-schema.feature::<tenant> has its rows[tenant_b]",
        "tenant_b.users: expected 5 rows, found 4",
        "Skipped: not run because phase schema failed: permission denied",
        "exit status 1",
    ]:
        assert expected in text
    [of_tenant_a] = [line for line in text.splitlines() if "tenant_a" in line]  # of what passed, nothing but that
    assert " passed features/2-schema.feature::<tenant> has its rows[tenant_a]" in of_tenant_a


def test_results_can_be_sent_elsewhere(evidence_project, results):
    """--alluredir has the results written there as well, and is emptied only when --clean-alluredir says so."""
    evidence_project.write("kept/note.txt", "kept")
    evidence_project.run("features/", "-k", "Facts", "--alluredir", "kept")
    names = {path.name for path in (evidence_project.path / "kept").iterdir()} - {"note.txt"}
    assert len([name for name in names if name.endswith("-result.json")]) == 1
    assert (evidence_project.path / "kept/note.txt").exists()
    assert {path.name for path in evidence_project.path.glob("reports/allure-results/*")} == names
    evidence_project.run("features/", "-k", "Facts", "--alluredir", "kept", "--clean-alluredir")
    assert not (evidence_project.path / "kept/note.txt").exists()
    evidence_project.run("features/", "-k", "Facts", "--alluredir", "reports/allure-results")
    assert len(evidence_project.results()) == 1, "the default by its name is the default: of one run"


def test_a_run_without_allure_is_the_same_run(project):
    """With the plugin switched off, attaching does nothing, and scenarios run as ever."""
    project.write("features/1.feature", "Feature: F\n  Scenario: S\n    Given the database exists\n")
    found = project.run("features/", "-p", "no:allure_pytest")
    assert (found.status, found.counts) == (0, {"passed": 1})
    assert not (project.path / "reports/allure-results").exists()
