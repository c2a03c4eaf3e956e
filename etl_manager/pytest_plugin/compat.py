"""The private parts of pytest, pytest-bdd and allure-pytest that the plugin uses. No other module of it uses any.

Each docstring says what is private and why no public way serves. The versions are bounded in pyproject.toml, and
tests/unit/plugin/test_compat.py names the part that a new version no longer has.
"""

from __future__ import annotations

import inspect
import logging
import types
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_bdd.compat import get_fixture_names, getfixturedefs
from pytest_bdd.exceptions import GherkinParseError, StepDefinitionNotFoundError
from pytest_bdd.feature import get_feature
from pytest_bdd.parser import Examples, Feature, Scenario, ScenarioTemplate, Step
from pytest_bdd.scenario import _execute_step_function, scenario_wrapper_template_registry
from pytest_bdd.steps import StepFunctionContext, step_function_context_registry

from etl_manager.redaction import redact

__all__ = ["Examples", "Feature", "GherkinParseError", "Scenario", "ScenarioTemplate", "Step"]

ROW_PARAMETER = "_pytest_bdd_example"
"""The parameter by which pytest-bdd gives a test its row; fixtures may add parameters of their own."""


class GeneratedModule(pytest.Module):
    """A file whose test functions are made by `make_module`.

    Private: `_getobj`, by which `pytest.Module` loads its module, and `funcnamefilter`. pytest has no public way to
    collect functions, with their fixtures and parameters, from a file that is not Python.
    """

    @abstractmethod
    def make_module(self) -> types.ModuleType:
        """Return the module; the names of its functions become node ids."""

    def _getobj(self) -> types.ModuleType:
        return self.make_module()

    def funcnamefilter(self, name: str) -> bool:  # noqa: ARG002 - pytest's signature
        """Take every function, whatever its name."""
        return True


def parse_feature(path: Path) -> Feature:
    """Return the feature in *path* as `pytest_bdd.scenario` will run it.

    Private: `get_feature`, whose objects pytest-bdd keeps: what is changed in them is what runs.

    Raises:
        GherkinParseError: When it is not Gherkin.
    """
    return get_feature(str(path.parent), path.name)


def set_rows(table: Examples, rows: Sequence[Sequence[str]]) -> None:
    """Fill *table* with *rows*. Private: `Examples.examples`; pytest-bdd takes rows from the file only."""
    table.examples = [list(row) for row in rows]


def keep_log_level(config: pytest.Config) -> None:
    """Have pytest leave the root logger's level alone where ``log_level`` of pytest.ini names the one that it has.

    Private: pytest's logging plugin, its `log_level` and its two handlers. It sets that level and takes it back three times
    a test, and each time the cache of every logger is emptied: a tenth of a scenario's time.
    """
    plugin = config.pluginmanager.get_plugin("logging-plugin")
    if plugin is not None and plugin.log_level == logging.getLogger().level:
        for handler in (plugin.caplog_handler, plugin.report_handler):
            handler.setLevel(plugin.log_level)
        plugin.log_level = None


class StepFunctions:
    """The step functions that a module sees.

    Private: `Session._fixturemanager`, pytest-bdd's look at it and its registry. pytest-bdd looks through all fixtures of
    pytest for each step of each row, and makes a fixture of what it finds: a third of a scenario's time. It looks when a
    step runs; a misspelt one is to be found before anything is built.
    """

    def __init__(self, module: pytest.Module) -> None:
        manager = module.session._fixturemanager  # noqa: SLF001
        visible = [
            definition
            for name in get_fixture_names(manager)
            for definition in getfixturedefs(manager, name, module) or ()
            if definition.func in step_function_context_registry
        ]
        visible.sort(key=lambda definition: len(definition.baseid))  # each is of a node above the other's
        self._nearest_first = [step_function_context_registry[definition.func] for definition in reversed(visible)]
        for known in self._nearest_first:
            if inspect.isfunction(known.step_func):
                # pytest-bdd reads it twice a step; PEP 362: this is where it is kept
                known.step_func.__signature__ = inspect.signature(known.step_func)  # type: ignore[attr-defined]

    def find(self, kind: str, text: str) -> StepFunctionContext | None:
        """Return the function of the step *text* of *kind* (given, when, then), the nearest one; None without one."""
        return next(
            (known for known in self._nearest_first if known.type in (None, kind) and known.parser.is_matching(text)),
            None,
        )


def run_scenario(item: pytest.Function, scenario: Scenario, functions: StepFunctions) -> None:
    """Run the steps of *scenario*, the test *item*, with pytest-bdd's hooks and as it would.

    Private: `Function._request` and `_execute_step_function`; pytest-bdd's own way begins with looking for the functions.

    Raises:
        StepDefinitionNotFoundError: When there is no function for a step.
    """
    __tracebackhide__ = True
    request, hook = item._request, item.config.hook  # noqa: SLF001
    known: dict[str, Any] = {"request": request, "feature": scenario.feature, "scenario": scenario}
    hook.pytest_bdd_before_scenario(**known)
    try:
        for step in scenario.steps:
            function = functions.find(step.type, step.name)
            if function is None:
                error = StepDefinitionNotFoundError(
                    f"unknown step: {step.keyword} {step.name} (line {step.line_number})"
                )
                hook.pytest_bdd_step_func_lookup_error(**known, step=step, exception=error)
                raise error
            _execute_step_function(request, scenario, step, function)
    finally:
        hook.pytest_bdd_after_scenario(**known)


def template_of(item: pytest.Function) -> ScenarioTemplate:
    """Return the scenario that *item* runs. Private: pytest-bdd's registry of the functions it made."""
    return scenario_wrapper_template_registry[item.function]


def parameters(item: pytest.Item) -> Mapping[str, Any]:
    """Return the parameters of *item*, its row included. Undocumented: `Function.callspec`."""
    return item.callspec.params if hasattr(item, "callspec") else {}


def parameter_id(item: pytest.Item) -> str:
    """Return what stands in brackets in the node id of *item*. Undocumented: `Function.callspec`."""
    return str(item.callspec.id) if hasattr(item, "callspec") else ""


def set_location(item: pytest.Item, line: int, title: str) -> None:
    """Show *item* as *title* at *line* (from 1) of its file.

    Private: `Item.location` is set, which pytest means to be read; it would name a line inside pytest-bdd.
    """
    assert item.parent is not None  # noqa: S101 - an item has a collector
    item.location = (item.parent.nodeid, line - 1, title)


def set_failure_text(item: pytest.Item, text: str) -> None:
    """Let a failure of *item* be shown as *text*, without a traceback, which takes 50 ms to make.

    Private: `Item.repr_failure` is replaced in one item. To replace it in a class would take an item class of our own,
    and pytest makes the items of a module itself.
    """
    item.repr_failure = lambda excinfo, style=None: text  # type: ignore[method-assign] # noqa: ARG005


def without_values(shown: Any) -> Any:
    """Return *shown*, pytest's representation of a failure, without locals, arguments and secrets.

    Private: the parts of a traceback's representation (`chain`, `reprentries`, `reprlocals` and so on). Options can
    switch locals off; arguments and lines are shown whatever the options.
    """
    if isinstance(shown, str):
        return redact(shown)
    if isinstance(shown, tuple):  # why a test was skipped
        return (*shown[:2], redact(shown[2]))
    for trace, crash, _ in getattr(shown, "chain", ()) or [(shown, getattr(shown, "reprcrash", None), None)]:
        for entry in getattr(getattr(trace, "reprtraceback", trace), "reprentries", ()):
            ends = "" if entry.style == "native" else "\n"  # a line of a native traceback has its end
            text = redact(ends.join(entry.lines))
            entry.lines = text.split("\n") if ends else text.splitlines(keepends=True)
            if hasattr(entry, "reprfuncargs"):
                entry.reprfuncargs = entry.reprlocals = None
        if crash is not None:
            crash.message = redact(crash.message)
    return shown


@contextmanager
def uncaptured_terminal(config: pytest.Config) -> Iterator[pytest.TerminalReporter]:
    """Give the terminal reporter while nothing is captured.

    Undocumented: the names of the two plugins and `global_and_fixture_disabled`. The public `capsys.disabled` is a
    fixture; progress is shown outside of tests too.
    """
    plugins = config.pluginmanager
    reporter: Any = plugins.get_plugin("terminalreporter")
    capture = plugins.get_plugin("capturemanager")
    if capture is None:
        yield reporter
    else:
        with capture.global_and_fixture_disabled():
            yield reporter


def spreads(config: pytest.Config) -> bool:
    """Return whether pytest-xdist will give the tests of this session to workers.

    Undocumented: its options ``dist`` and ``tx``, and that it leaves a collection alone; it says so itself only when
    all plugins are configured.
    """
    option = config.option
    return getattr(option, "dist", "no") != "no" and bool(option.tx) and not option.collectonly


def keep_together(config: pytest.Config) -> None:
    """Keep pytest-xdist from starting workers, as ``-n 0`` does. Undocumented: as `spreads`."""
    config.option.dist, config.option.tx = "no", []


def worker_input(config: pytest.Config) -> dict[str, Any] | None:
    """Return what the process that started this worker of pytest-xdist gave it; None where this is no worker.

    ``workerinput`` is documented, but not typed: the attribute is there in workers only.
    """
    return getattr(config, "workerinput", None)


def worker_output(config: pytest.Config) -> dict[str, Any]:
    """Return what this worker hands back at its end. As `worker_input`."""
    output: dict[str, Any] = config.workeroutput  # type: ignore[attr-defined]
    return output


def take_allure_directory(config: pytest.Config) -> str | None:
    """Return what ``--alluredir`` names, and keep allure-pytest from starting by itself.

    Private: allure-pytest's option ``allure_report_dir``. It starts at configuration where that is set, when it is not
    known yet whether scenarios are run, and what it writes would not be redacted.
    """
    directory: str | None = config.option.allure_report_dir
    config.option.allure_report_dir = None
    return directory
