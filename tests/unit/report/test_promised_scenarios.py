"""What must have a result is counted from the text of the feature files."""

from __future__ import annotations

import json

import pytest

from etl_manager import config as configuration
from etl_manager.report.feature_files import ScenarioId, expected_scenarios
from tests.support import forks
from tests.support.project import NO_PLUGINS, ROOT, shell

FEATURE = """\
Feature: One
  Background:
    Given x

  Scenario: Plain
    Then y

  @each-tenant
  Scenario Outline: <tenant> is there
    Then <tenant>
    Examples:
      | tenant | users |

  Scenario Outline: <what>
    Then <what>
    Examples: these
      | what |
      | a    |
      | b    |
    Examples: and those
      | what |
      | c    |

  @each-tenant
  Rule: Of each
    Scenario Outline: <tenant> too
      Then <tenant>
      Examples:
        | tenant |
"""


@pytest.fixture
def project(tmp_path):
    for phase in ("database", "schema", "data", "verification"):
        path = tmp_path / f"sql/aurora/{phase}/a.sql"
        path.parent.mkdir(parents=True)
        path.write_text("select 1;")
    (tmp_path / "features/deep").mkdir(parents=True)
    (tmp_path / "config.json").write_text(json.dumps({"tenants": ["t_a", "t_b"], "sampleData": {"usersPerTenant": 7}}))
    return configuration.load(tmp_path / "config.json", tmp_path)


def test_every_scenario_and_row_is_promised(project):
    """Plain scenarios once, tables a row each, @each-tenant a tenant each, also by a tag of the rule."""
    (project.root / "features/deep/one.feature").write_text(FEATURE)
    file = "features/deep/one.feature"
    tenants = ("t_a", "t_b")
    assert expected_scenarios(project.root, project) == [
        ScenarioId(file, "Plain"),
        *(ScenarioId(file, "<tenant> is there", (("tenant", tenant), ("users", "7"))) for tenant in tenants),
        *(ScenarioId(file, "<what>", (("what", value),)) for value in "abc"),
        *(ScenarioId(file, "<tenant> too", (("tenant", tenant),)) for tenant in tenants),
    ]


@pytest.mark.parametrize("text", ["", "Scenario: no feature", "# only a comment\n"])
def test_unreadable_file_promises_what_nobody_gives(project, text):
    """A file that cannot be read is not a file that promises nothing."""
    (project.root / "features/broken.feature").write_text(text)
    assert expected_scenarios(project.root, project) == [
        ScenarioId("features/broken.feature", "(a file that cannot be read)")
    ]


def test_count_is_that_of_pytest():
    """Two readers, the reference parser here and pytest-bdd there, find the same number in the project's features."""
    project = configuration.load(ROOT / "config.json", ROOT)
    done = forks.run("pytest", *NO_PLUGINS, "features/", "--collect-only", "-q", cwd=ROOT, env=shell())
    assert done.returncode == 0, done.stdout
    collected = [line for line in done.stdout.splitlines() if ".feature::" in line]
    assert len(expected_scenarios(ROOT, project)) == len(collected)
