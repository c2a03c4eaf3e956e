"""What pytest-bdd would let pass in silence is an error at collection, with file and line."""

from __future__ import annotations

import pytest

from etl_manager.pytest_plugin.gherkin_lint import problems

TAGS = {"each-tenant", "schema"}

SOUND = """\
@schema
Feature: Schema
  Each tenant has its own.

  Background:
    Given the database exists

  Rule: One a tenant
    Prose of the rule.

    @each-tenant
    Scenario Outline: <tenant> has a schema
      Prose of the scenario, set off by a line.

      When it is provisioned
      Then <tenant>.users has rows
        | tenant   |
        | <tenant> |

      Examples:
        | tenant |

  Scenario Outline: <a> and <b>
    # a comment
    Given <a>
    But <b>

    Examples:
      | a | b |
      | 1 | 2 |
"""


def test_a_sound_file_passes():
    """Everything the features use is accepted."""
    assert problems(SOUND, TAGS) == []


def scenario(*lines: str) -> str:
    """Return a feature whose line 3 is the first of *lines*."""
    return "\n".join(["Feature: F", "", *lines, ""])


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file is empty"),
        ("# only a comment\n", 1, "the file is empty"),
        ("Feature: F\n  Prose.\n", 1, "no scenario"),
        (scenario("Scenario: S", "Given a", "Foo: x"), 5, "not Gherkin at this place: 'Foo: x'"),
        ("Scenario: S\n  Given a\n", 1, "not Gherkin"),
        (scenario("Scenario: S", "Given a", "Scenario: S", "Given b"), 5, "a second scenario 'S' (the first: line 3)"),
        (scenario("Scenario: S", "Given a", "Rule: R", "Scenario: S", "Given b"), 6, "a second scenario 'S'"),
        (scenario("Scenario:", "Given a"), 3, "no name"),
        (scenario("Scenario: a::b", "Given a"), 3, '"::"'),
        (scenario("Scenario: S"), 3, "has no step"),
        (scenario("Scenario: S", "Givn a"), 3, "has no step; 'Givn a' was read as description"),
        (scenario("Scenario: S", "Givn a", "Then b"), 4, "'Givn a' is read as description"),
        (scenario("Background:", "Givn a", "Given b", "Scenario: S", "Then c"), 4, "'Givn a' is read as description"),
        (scenario("Scenario: S", "And a"), 4, "the first step is 'And'"),
        (scenario("@shcema", "Scenario: S", "Given a"), 3, "unknown tag @shcema"),
        ("@schmea\nFeature: F\nScenario: S\nGiven a\n", 1, "unknown tag @schmea"),
        (scenario("Rule: R", "@x", "Scenario: S", "Given a"), 4, "unknown tag @x"),
        (scenario("Scenario Outline: S", "Given <a>", "@x", "Examples:", "| a |", "| 1 |"), 5, "unknown tag @x"),
        (scenario("Background:", "When a", "Scenario: S", "Then c"), 4, "When in a Background"),
        (scenario("Background:", "Given a", "And b", "Then c", "Scenario: S", "Then c"), 6, "Then in a Background"),
        (scenario("Scenario: S", "When a", "Then b", "When c", "Then d"), 6, "a When after a Then"),
        (scenario("Scenario: S", "When a", "Then b", "And c", "When d"), 7, "a When after a Then"),
        (scenario("Scenario Outline: S", "Given <a>", "Examples:", "| a |"), 5, "Examples without a row"),
        (
            scenario("Scenario Outline: S", "Given <a>", "Examples:", "| a |", "| 1 |", "| 2 |", "| 1 |"),
            9,
            "the same row of Examples as in line 7",
        ),
        (
            scenario(
                *("Scenario Outline: S", "Given <a> <b>", "Examples:", "| a | b |", "| 1 | 2 |"),
                *("Examples: again", "| b | a |", "| 2 | 1 |"),
            ),
            10,
            "the same row of Examples as in line 7",
        ),
        (scenario("Scenario Outline: S", "Given <a>", "Examples:"), 5, "Examples without a row"),
        (scenario("Scenario Outline: S", "Given <a>"), 4, "<a> is no column of any table"),
        (scenario("Scenario Outline: S", "Given a", "| <b> |", "Examples:", "| a |", "| 1 |"), 5, "<b> is no column"),
        (
            scenario("Scenario Template: S", "Given <b>x</b>"),
            4,
            "<b> is no column of any table; text in angle brackets",
        ),
        (scenario("Scenario: S", "Given <b>", "Examples:", "| a |", "| 1 |"), 4, "<b> is no column"),
        ("# language: de\nFunktionalität: F\nSzenariogrundriss: S\nAngenommen <b>\n", 4, "<b> is no column"),
        (scenario("Scenario Outline: <c>", "Given a", "Examples:", "| a |", "| 1 |"), 3, "<c> is no column"),
        (scenario("@each-tenant", "Scenario: S", "Given a"), 4, "@each-tenant wants one Examples table"),
        (
            scenario("@each-tenant", "Scenario Outline: S", "Given <tenant>", "Examples:", "| tenant |", "| x |"),
            6,
            "@each-tenant wants one Examples table",
        ),
        (
            scenario("@each-tenant", "Scenario Outline: S", "Given <other>", "Examples:", "| other |"),
            6,
            "@each-tenant wants one Examples table",
        ),
    ],
)
def test_a_guard_names_line_and_cause(text, line, message):
    """Each of these is found, once, at its line."""
    [found] = problems(text, TAGS)
    assert (found.line, message in found.text) == (line, True), found


@pytest.mark.parametrize(
    "lines",
    [
        ("Scenario: <b>S</b>", "Given <b>hello</b>", "Then there are < 5 rows and > 2 rows"),
        ("Scenario: S", "Given a table", "| <b> | < 5 > |"),
        ("Scenario: S", "Given a text", '"""', "<html> < 5", '"""'),
        (
            "Scenario Outline: <a>",
            "Given < 5 and > 2, </a> and <a>",
            '"""',
            "<b>",
            '"""',
            "Examples:",
            "| a |",
            "| <i> |",
        ),
    ],
    ids=["plain", "data table", "doc string", "outline"],
)
def test_angle_brackets_that_name_no_column_are_text(lines):
    """Markup and comparisons are what they look like, where nothing could have been meant to be filled in."""
    assert problems(scenario(*lines), TAGS) == []


def test_every_problem_of_a_file_is_told_at_once():
    """Problems come by line, so that a file is mended in one go."""
    found = problems(scenario("@x", "Scenario: S", "When a", "Then b", "When c", "Scenario: S"), TAGS)
    assert [problem.line for problem in found] == [3, 7, 8, 8]


def test_problems_stop_the_run_with_file_and_line(project):
    """Collection fails without a traceback, names every file at fault, and runs nothing."""
    project.write("features/1-sound.feature", "Feature: F\n  Scenario: S\n    Given the database exists\n")
    project.write("features/2-twice.feature", scenario("Scenario: S", "Given the database exists", "Scenario: S"))
    project.write("features/3-empty.feature", "")
    (project.path / "features/4-latin.feature").write_bytes(b"Feature: caf\xe9\n")
    project.write(
        "features/5-steps.feature",
        scenario("Scenario: S", "Given the database exists", "Then the database exists", "And nobody knows this"),
    )
    project.write("features/6-tags.feature", scenario("@skip", "Scenario: S", "Given the database exists"))
    found = project.run("features/")
    assert found.status == 2
    assert "Traceback" not in found.out + found.err
    assert "1-sound" not in found.out.partition("short test summary")[0]
    lines = found.out.splitlines()
    for expected in [
        "features/2-twice.feature:5: a second scenario 'S' (the first: line 3): one would be lost",
        "features/2-twice.feature:5: scenario 'S' has no step",
        "features/3-empty.feature:1: the file is empty: no feature",
        "features/4-latin.feature:1: not UTF-8 text: byte 12",
        "features/5-steps.feature:5: unknown step: Then the database exists (it is known as a Given)",
        "features/5-steps.feature:6: unknown step: Then nobody knows this",
        "features/6-tags.feature:3: unknown tag @skip: pytest.ini has no such marker",
    ]:
        assert expected in lines, found.out
    assert not (project.path / "reports").exists()


def test_steps_of_every_row_are_looked_up(project):
    """An outline is checked with its values filled in, also where only one row leads to an unknown step."""
    rows = ["Examples:", "| what |", "| schema x |", "| nothing |"]
    project.write("features/1.feature", scenario("Scenario Outline: S", "Given the <what> exists", *rows))
    assert "features/1.feature:4: unknown step: Given the nothing exists" in project.run("features/").out
