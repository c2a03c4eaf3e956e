"""Steps run as pytest-bdd would run them, although their functions are looked for once a feature file."""

from __future__ import annotations

import sys
from collections import Counter

from pytest_bdd.compat import getfixturedefs as find_fixturedefs

from etl_manager.pytest_plugin import compat

STEPS = """
import pytest
from pytest_bdd import step

said = []


@given(parsers.re(r"(?P<who>\\w+) is there"), target_fixture="here")
def somebody(who):
    return f"somebody called {who}"


@given("nobody is there", target_fixture="here")
def nobody():
    return "nobody"


@given(parsers.parse("{who} is counted", extra_types={}), converters={"who": str.upper}, target_fixture="counted")
def counted(who):
    yield who
    said.append(f"{who} is gone")


@pytest.fixture
def told(here):
    return f"{here} was told"


@then("what was said is")
def what_was_said(docstring):
    assert docstring == "\\n".join(said), said


@then("these are known")
def known(datatable, told, counted):
    assert [told, counted] == [cell for [cell] in datatable], (told, counted)


@step("anything goes")
def anything():
    said.append("anything")
"""

FEATURE = """\
Feature: F
  Scenario Outline: <who>
    Given <who> is there
    And tom is counted
    Then these are known
      | <what> was told |
      | TOM             |

    Examples:
      | who    | what                |
      | anna   | somebody called anna |
      | nobody | nobody              |

  Scenario: Afterwards
    Given anything goes
    Then anything goes
    And what was said is
      \"\"\"
      TOM is gone
      TOM is gone
      anything
      anything
      \"\"\"
"""


def test_a_row_chooses_its_functions_and_steps_take_what_pytest_bdd_gives(project):
    """Fixtures of steps reach other fixtures, generators end with their test, a text decides which function is called."""
    project.append("sentences.py", STEPS)
    project.write("features/1.feature", FEATURE)
    found = project.run("features/")
    assert found.counts == {"passed": 3}, found.out


def test_the_nearest_function_is_called(project):
    """A conftest.py beside the features is nearer than a plugin; of two in one place the later one is taken."""
    step = 'from pytest_bdd import given\n\n\n@given("the database exists")\ndef one():\n    {}\n'
    project.append("sentences.py", '\n\n@given("the database exists")\ndef later():\n    print("the later one")\n')
    project.write("features/sub/conftest.py", step.format('print("the nearer one")'))
    feature = "Feature: F\n  Scenario: {}\n    Given the database exists\n"
    project.write("features/1.feature", feature.format("Above"))
    project.write("features/sub/2.feature", feature.format("Below"))
    found = project.run("features/", "-rP")
    assert found.counts == {"passed": 2}
    above, below = found.out.partition("= PASSES =")[2].split("_ Below _")
    assert "the later one" in above
    assert "the nearer one" in below
    assert "the nearer one" not in above


def test_functions_are_looked_for_once_a_file_whatever_the_rows(project, monkeypatch):
    """Pytest is asked for each of its fixtures once a feature file, and not for each step of each row."""
    asked: Counter[str] = Counter()
    look = find_fixturedefs

    def counted(manager, name, node):
        asked[name] += 1
        return look(manager, name, node)

    for asking in (compat, sys.modules["pytest_bdd.scenario"]):
        monkeypatch.setattr(asking, "getfixturedefs", counted)
    project.tenants(*(f"tenant_{number}" for number in range(20)))
    project.write(
        "features/1.feature",
        "Feature: F\n  @each-tenant\n  Scenario Outline: <tenant>\n    Given the schema <tenant> exists\n"
        "\n    Examples:\n      | tenant |\n",
    )
    assert project.run("features/").counts == {"passed": 20}
    assert set(asked.values()) == {1}
