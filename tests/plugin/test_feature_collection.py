"""Feature files are collected by themselves, in order, and any part of them can be selected."""

from __future__ import annotations

import pytest

DATABASE = """\
@database
Feature: Database

  Scenario: The database is there
    Given the database exists

  Scenario: A second one
    Given the database exists
"""
SCHEMA = """\
@schema
Feature: Schema
  Each tenant has its own.

  @each-tenant
  Scenario Outline: <tenant> has a schema
    Given the schema <tenant> exists

    Examples:
      | tenant |

  Rule: Names are kept

    @verification
    Scenario: A name with [brackets], a / and "quotes"
      Given the schema x exists
"""
SECOND_TENANT = "features/2-schema.feature::<tenant> has a schema[tenant_b]"
ODD_NAME = 'features/2-schema.feature::A name with [brackets], a / and "quotes"'
ALL = [
    "features/1-database.feature::The database is there",
    "features/1-database.feature::A second one",
    "features/2-schema.feature::<tenant> has a schema[tenant_a]",
    SECOND_TENANT,
    "features/2-schema.feature::<tenant> has a schema[tenant_c]",
    ODD_NAME,
]


@pytest.fixture(scope="module")
def features(shared_project):
    shared_project.write("features/1-database.feature", DATABASE)
    shared_project.write("features/2-schema.feature", SCHEMA)
    return shared_project


def test_scenarios_are_collected_in_order(features):
    """Files come by name, scenarios as they stand in the file, tenants as they stand in the configuration."""
    assert features.run("features/", "--collect-only", "-q").ids == ALL


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (["features/1-database.feature"], ALL[:2]),
        ([SECOND_TENANT], [SECOND_TENANT]),
        ([ODD_NAME], [ODD_NAME]),
        (["features/2-schema.feature::<tenant> has a schema"], ALL[2:5]),
        (["features/", "-k", "tenant_b"], [SECOND_TENANT]),
        (["features/", "-m", "each-tenant and schema"], ALL[2:5]),
        (["features/", "-m", "verification"], [ODD_NAME]),
    ],
    ids=["file", "row", "odd name", "all rows", "-k", "-m", "-m inside a rule"],
)
def test_a_part_can_be_selected(features, selection, chosen):
    """File, node id, -k and -m select exactly what they name; node ids can be pasted back."""
    found = features.run(*selection, "--collect-only", "-q")
    assert (found.status, found.ids) == (0, chosen)


def test_order_does_not_depend_on_the_command_line(features):
    """Whatever the order of the arguments, phases run by the names of their files, scenarios by their lines."""
    found = features.run(SECOND_TENANT, ALL[1], ALL[0], "--collect-only", "-q")
    assert found.ids == [ALL[0], ALL[1], SECOND_TENANT]


def test_numbers_in_file_names_count(project):
    """10-last comes after 9-first, although pytest's own order is alphabetical."""
    for name in ("9-first", "10-last"):
        project.write(f"features/{name}.feature", DATABASE)
    assert [line.partition("::")[0] for line in project.run("features/", "--collect-only", "-q").ids] == [
        "features/9-first.feature",
        "features/9-first.feature",
        "features/10-last.feature",
        "features/10-last.feature",
    ]


def test_a_further_tenant_brings_its_own_tests(project):
    """A name more in the configuration, and nothing else, is a test more."""
    project.write("features/2-schema.feature", SCHEMA)
    project.tenants("tenant_a", "tenant_b", "tenant_c", "tenant_d")
    found = project.run("features/", "-k", "tenant_d")
    assert (found.status, found.counts) == (0, {"passed": 1, "deselected": 4})


def test_other_tests_need_no_configuration_and_leave_nothing(project):
    """Running tests beside the features neither reads config.json nor writes into reports/."""
    project.write("tests/test_it.py", "def test_it():\n    pass\n")
    project.write("config.json", "no JSON")
    found = project.run("tests/")
    assert (found.status, found.counts) == (0, {"passed": 1})
    assert not (project.path / "reports").exists()


def test_a_run_without_scenarios_says_so(features):
    """Where everything is deselected, pytest's own exit status 5 holds, and the last results are kept."""
    features.run(ALL[0])
    before = set((features.path / "reports/allure-results").iterdir())
    assert features.run("features/", "-k", "nothing_like_this").status == 5
    assert set((features.path / "reports/allure-results").iterdir()) == before


def test_only_collecting_leaves_the_reports_alone(features):
    """--collect-only writes neither log nor results."""
    features.run(ALL[0])
    log = features.path / "reports/run.log"
    log.write_text("kept")
    features.run("features/", "--collect-only")
    assert log.read_text() == "kept"
