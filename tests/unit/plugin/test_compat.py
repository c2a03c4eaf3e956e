"""The private parts of pytest and pytest-bdd that the plugin uses: each test names what another version would lack."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from _pytest.python import PyCollector
from pytest_bdd.feature import get_feature
from pytest_bdd.scenario import _execute_step_function, scenario, scenario_wrapper_template_registry

from etl_manager.pytest_plugin import compat

FEATURE = """\
Feature: F
  Scenario Outline: <what> is there
    Given the <what>

    Examples:
      | what |
      | a    |
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "1.feature"
    path.write_text(FEATURE)
    return path


def test_module_that_is_made():
    """`Module._getobj` gives the module, and `PyCollector.funcnamefilter` chooses its functions."""
    assert list(inspect.signature(pytest.Module._getobj).parameters) == ["self"]
    assert list(inspect.signature(PyCollector.funcnamefilter).parameters) == ["self", "name"]


def test_parsed_feature_is_the_one_that_runs(written):
    """`pytest_bdd.feature.get_feature` gives the same object each time; what is changed in it is what runs."""
    found = compat.parse_feature(written)
    assert get_feature(str(written.parent), written.name) is found
    assert (found.name, list(found.scenarios)) == ("F", ["<what> is there"])


def test_rows_that_are_set_are_rendered(written):
    """`Examples.examples` and `example_params` make the rows of `Examples.as_contexts`, which `render` fills in."""
    template = compat.parse_feature(written).scenarios["<what> is there"]
    [table] = template.examples
    compat.set_rows(table, [["b"], ["c"]])
    assert [template.render(row).steps[0].name for row in table.as_contexts()] == ["the b", "the c"]
    assert (table.example_params, template.line_number, template.rule) == (["what"], 2, None)


def test_steps_have_what_the_reports_show(written):
    """`Step` has keyword, name, type, line_number and datatable."""
    step = compat.parse_feature(written).scenarios["<what> is there"].render({"what": "a"}).steps[0]
    shown = (step.keyword, step.name, step.type, step.line_number, step.datatable)
    assert shown == ("Given", "the a", "given", 3, None)


def test_step_functions_are_found_among_the_fixtures(request):
    """`pytest_bdd.compat` looks for `FixtureDef`s with baseid and func, whose step `step_function_context_registry` has."""
    functions = compat.StepFunctions(request.node.getparent(pytest.Module))
    assert functions.find("given", "trace").type in (None, "given")  # pytest-bdd's own
    assert functions.find("given", "no such step") is None


def test_scenarios_are_run_step_by_step():
    """`_execute_step_function` takes request, scenario, step and context; `Function` keeps its request in `_request`."""
    assert list(inspect.signature(_execute_step_function).parameters) == ["request", "scenario", "step", "context"]
    assert "_request" in inspect.getsource(pytest.Function)


def test_functions_are_known_with_their_scenario_and_row(written):
    """`scenario_wrapper_template_registry` has the function, which takes its row as `_pytest_bdd_example`."""

    @scenario(written.name, "<what> is there", features_base_dir=str(written.parent))
    def bound() -> None:
        pass

    assert scenario_wrapper_template_registry[bound].name == "<what> is there"
    assert compat.ROW_PARAMETER in inspect.signature(bound).parameters


@pytest.mark.parametrize("value", ["x"])
def test_parameters_of_an_item(request, value):
    """`Function.callspec` has params and id."""
    assert (compat.parameters(request.node), compat.parameter_id(request.node)) == ({"value": "x"}, "x")


def test_items_take_another_location_and_failure_text(request):
    """`Item.location` can be set, and `Item.repr_failure` is asked of the item itself."""
    item = pytest.Function.from_parent(request.node.parent, name="test_it", callobj=lambda: None)
    compat.set_location(item, 7, "A title")
    assert item.location == (item.parent.nodeid, 6, "A title")
    compat.set_failure_text(item, "what failed")
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018 - it raises
    assert item.repr_failure(caught) == "what failed"


def test_representation_of_a_failure():
    """A representation has `chain` of traceback and `reprcrash`; entries have lines, style, reprfuncargs, reprlocals."""

    def fails(argument: str) -> None:
        raise ValueError(argument)

    with pytest.raises(ValueError) as caught:
        fails("in-hand")
    shown = caught.getrepr(showlocals=True, funcargs=True)
    entry = shown.chain[-1][0].reprentries[-1]
    assert (entry.style, entry.reprfuncargs is None, entry.reprlocals is None) == ("long", False, False)
    bare = compat.without_values(shown).chain[-1][0].reprentries[-1]
    assert (bare.reprfuncargs, bare.reprlocals) == (None, None)
    assert shown.chain[-1][1].message == "ValueError: in-hand"


def test_terminal_beside_the_capture(request):
    """The plugins `terminalreporter` and `capturemanager` exist; the latter has `global_and_fixture_disabled`."""
    assert request.config.pluginmanager.has_plugin("capturemanager")
    with compat.uncaptured_terminal(request.config) as reporter:
        assert isinstance(reporter, pytest.TerminalReporter)


LOGS = """\
import logging
def test_it(caplog):
    logging.getLogger("x").setLevel(logging.DEBUG)
    logging.getLogger("x").info("not shown")
    logging.getLogger("x").warning("shown")
    assert [record.message for record in caplog.records] == ["shown"]
    assert False
"""


@pytest.mark.parametrize("kept", [False, True])
def test_log_level_is_kept_without_being_set_for_each_test(pytester, kept):
    """The plugin ``logging-plugin`` has `log_level` and two handlers: what is captured and shown is of that level all the same."""
    pytester.makeini("[pytest]\nlog_level = WARNING\n")
    pytester.makepyfile(LOGS)
    pytester.makeconftest(
        "import logging\nfrom etl_manager.pytest_plugin import compat\n"
        "def pytest_sessionstart(session):\n"
        f"    {'compat.keep_log_level(session.config)' if kept else 'pass'}\n"
        "def pytest_terminal_summary(terminalreporter, config):\n"
        "    plugin = config.pluginmanager.get_plugin('logging-plugin')\n"
        "    terminalreporter.write_line(f'set for each test: {plugin.log_level}')\n"
    )
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*Captured log call*", "WARNING*shown", f"set for each test: {None if kept else 30}"])
    done.stdout.no_fnmatch_line("*not shown*INFO*")
    done.stdout.no_fnmatch_line("INFO *")


WORKERS = """
import pytest
from etl_manager.pytest_plugin import compat

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if compat.worker_input(config) is None:
        open("spreads", "w").write(str(compat.spreads(config)))
        if {together}:
            compat.keep_together(config)
"""


@pytest.mark.parametrize(
    ("arguments", "spreads"),
    [("-n 1", True), ("-n 1 --collect-only", False), ("-n 0", False), ("-p no:xdist", False)],
)
def test_workers_of_xdist(pytester, arguments, spreads):
    """pytest-xdist starts workers by its options `dist` and `tx`, which are set before plugins are configured."""
    pytester.makeconftest(WORKERS.format(together=False))
    pytester.runpytest(*arguments.split())
    assert (pytester.path / "spreads").read_text() == str(spreads)


def test_workers_of_xdist_that_are_not_started(pytester):
    """pytest-xdist reads both options again when it is configured, last of all."""
    pytester.makeconftest(WORKERS.format(together=True))
    pytester.makepyfile("def test_it(worker_id):\n    assert worker_id == 'master'\n")
    pytester.runpytest("-n", "1").assert_outcomes(passed=1)


def test_worker_of_xdist_knows_what_it_is(pytester):
    """A worker's config has `workerinput` and `workeroutput`, and hooks of the other process are told of the latter."""
    pytester.makeconftest(
        "def pytest_configure_node(node):\n    node.workerinput['told'] = 'x'\n"
        "def pytest_testnodedown(node):\n    print('handed back', node.workeroutput['told'])\n"
        "def pytest_sessionfinish(session):\n"
        "    from etl_manager.pytest_plugin import compat\n"
        "    if given := compat.worker_input(session.config):\n"
        "        compat.worker_output(session.config)['told'] = given['told'] * 2\n"
    )
    pytester.makepyfile("def test_it():\n    pass\n")
    pytester.runpytest("-n", "1").stdout.fnmatch_lines(["*handed back xx"])


def test_allure_starts_by_its_option_only(pytestconfig):
    """allure-pytest keeps ``--alluredir`` in the option ``allure_report_dir``."""
    from allure_pytest import plugin

    names: dict[str, object] = {}

    class Group:
        def addoption(self, *_: str, dest: str = "", **__: object) -> None:
            names[dest] = _

    class Parser:
        def getgroup(self, *_: str) -> Group:
            return Group()

        addoption = Group.addoption

    plugin.pytest_addoption(Parser())
    assert names["allure_report_dir"] == ("--alluredir",)
    assert "allure_report_dir" in inspect.getsource(plugin.pytest_configure)
