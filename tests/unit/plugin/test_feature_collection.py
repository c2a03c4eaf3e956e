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


LITERAL = """\
Feature: Text in angle brackets
  Scenario: A page with <b>markup</b>
    Given the text "<b>hello</b>" is shown
    And the text "< 5 rows and > 2 rows" is shown with
      | <i> |
    And the text "a" is shown beneath
      \"\"\"
      <p> < 5
      \"\"\"
"""
SHOWN = """

@given(parsers.parse('the text "{text}" is shown'))
def shown(text):
    print("shown:", text)

@given(parsers.parse('the text "{text}" is shown with'))
def shown_with(text, datatable):
    print("shown:", text, datatable)

@given(parsers.parse('the text "{text}" is shown beneath'))
def shown_beneath(text, docstring):
    print("shown:", text, docstring)
"""


def test_angle_brackets_reach_the_steps_as_they_stand(project):
    """In a plain scenario they are text, in its name, its steps, tables and doc strings."""
    project.append("sentences.py", SHOWN)
    project.write("features/1.feature", LITERAL)
    found = project.run("features/", "-s")
    assert (found.status, found.counts) == (0, {"passed": 1}), found.out
    for text in ("shown: <b>hello</b>", "shown: < 5 rows and > 2 rows [['<i>']]", "shown: a <p> < 5"):
        assert text in found.out


FIXTURE = """

@pytest.fixture(autouse=True, params=["ja", "en"])
def language(request):
    return request.param
"""
GENERATED = """

def pytest_generate_tests(metafunc):
    metafunc.fixturenames.append("turn")
    metafunc.parametrize("turn", range(2), indirect=True)

@pytest.fixture
def turn(request):
    return request.param
"""


@pytest.mark.parametrize("parameters", [FIXTURE, GENERATED], ids=["autouse fixture", "indirect, as pytest-repeat does"])
def test_parameters_of_ones_own_multiply_the_scenarios(project, parameters):
    """Each scenario and row runs once a value, and its reports can be told apart."""
    project.write("features/1-database.feature", DATABASE)
    project.write("features/2-schema.feature", SCHEMA)
    project.append("conftest.py", "\nimport pytest\n" + parameters)
    found = project.run("features/")
    assert (found.status, found.counts) == (0, {"passed": 12}), found.out
    assert len(project.results()) == 12


def test_other_tests_need_no_configuration_and_leave_nothing(project):
    """Running tests beside the features neither reads config.json nor writes into reports/."""
    project.write("tests/test_it.py", "def test_it():\n    pass\n")
    project.write("config.json", "no JSON")
    found = project.run("tests/")
    assert (found.status, found.counts) == (0, {"passed": 1})
    assert not (project.path / "reports").exists()


def test_a_run_without_scenarios_says_so(features):
    """Where everything is deselected, pytest's own exit status 5 holds."""
    assert features.run("features/", "-k", "nothing_like_this").status == 5


def test_only_collecting_leaves_the_reports_alone(features):
    """--collect-only writes neither log nor results."""
    features.run(ALL[0])
    log = features.path / "reports/run.log"
    log.write_text("kept")
    features.run("features/", "--collect-only")
    assert log.read_text() == "kept"
