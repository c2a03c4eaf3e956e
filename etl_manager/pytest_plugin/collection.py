"""Collects ``.feature`` files, in the order of the phases.

No binder file is needed, and what pytest-bdd would lose in silence is an error.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

import pytest
from pytest_bdd import scenario

from etl_manager import config as configuration
from etl_manager.errors import ConfigError
from etl_manager.pytest_plugin import compat, gherkin_lint, workers
from etl_manager.pytest_plugin.compat import Feature, GherkinParseError, Scenario, ScenarioTemplate, Step
from etl_manager.pytest_plugin.options import SETTINGS
from etl_manager.report import allure
from etl_manager.report.feature_files import EACH_TENANT, runs, tenant_rows
from etl_manager.wording import enumeration

CONFIG = pytest.StashKey[configuration.Config]()
"""Where ``pytestconfig.stash`` keeps the `Config`; use `project_config` or `whole_config`, which load it."""
_CONFIG_ERROR = pytest.StashKey[ConfigError]()
_KNOWN_TAGS = pytest.StashKey[frozenset[str]]()
SCENARIO = pytest.StashKey[Scenario]()
"""Where the ``stash`` of a collected test keeps its scenario, placeholders filled in."""
_HAS_SCENARIOS = pytest.StashKey[bool]()
ROW = pytest.StashKey[Mapping[str, str]]()
"""Where the ``stash`` of a collected test keeps its row of the Examples table; empty without one."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Remember the markers of pytest.ini, before plugins add theirs: they are the tags a feature may use."""
    lines = config.getini("markers")
    config.stash[_KNOWN_TAGS] = frozenset(line.partition(":")[0].partition("(")[0].strip() for line in lines)


def project_config(config: pytest.Config) -> configuration.Config:
    """Return the project's configuration with the tenants that are worked on: all of them, unless ``--tenant`` names some.

    Raises:
        ConfigError: When it cannot be used, as `whole_config`, or ``--tenant`` names none of its tenants.
    """
    whole, chosen = whole_config(config), config.stash[SETTINGS].tenants
    for name in chosen:
        if name not in whole.tenants:
            raise ConfigError(
                f"--tenant {name}: the configuration has no such tenant",
                context={"file": config.stash[SETTINGS].config_path},
                hint=f"It has {enumeration(whole.tenants)}.",
            )
    return whole.changed(tenants=tuple(name for name in whole.tenants if name in chosen)) if chosen else whole


def whole_config(config: pytest.Config) -> configuration.Config:
    """Return the project's configuration, which is read once a run and only when it is needed, and the SQL with it where it may be run.

    Raises:
        ConfigError: When it, or an SQL file of its phases, cannot be used.
    """
    if CONFIG not in config.stash:
        settings = config.stash[SETTINGS]
        loaded = configuration.load(settings.config_path, settings.root)
        if not config.option.collectonly:  # nobody's SQL is run: reading all of it is a fifth of a collection
            from etl_manager.sql_files.check import check

            check(loaded)
        config.stash[CONFIG] = loaded
    return config.stash[CONFIG]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> FeatureFile | None:
    """Collect ``.feature`` files."""
    if file_path.suffix != ".feature":
        return None
    return FeatureFile.from_parent(parent, path=file_path)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Turn an unusable configuration into wrong use: exit 4, no traceback, nothing started.

    It is noticed while files are collected, where pytest would make a collection error of it.
    """
    result = yield
    if error := session.config.stash.get(_CONFIG_ERROR, None):
        raise pytest.UsageError(str(error))
    return result


def has_scenarios(session: pytest.Session) -> bool:
    """Return whether a scenario is among the collected tests of *session*; a worker's are a part of such ones."""
    if _HAS_SCENARIOS not in session.stash:
        here = any(SCENARIO in item.stash for item in session.items)
        session.stash[_HAS_SCENARIOS] = here or workers.is_worker(session.config)
    return session.stash[_HAS_SCENARIOS]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the scenarios in order, whatever the order on the command line; other tests keep their positions."""
    positions = [index for index, item in enumerate(items) if SCENARIO in item.stash]
    in_order = sorted((items[index] for index in positions), key=_sort_key)
    for index, item in zip(positions, in_order, strict=True):
        items[index] = item


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the steps of a scenario, as it was read when it was collected."""
    if SCENARIO not in pyfuncitem.stash:
        return None
    __tracebackhide__ = True
    file = pyfuncitem.getparent(FeatureFile)
    assert file is not None  # noqa: S101 - only its tests have a scenario
    compat.run_scenario(pyfuncitem, pyfuncitem.stash[SCENARIO], file.step_functions)
    return True


def _sort_key(item: pytest.Item) -> tuple[list[str | int], Path, int]:
    """Return the sort key of *item*: ``10-x.feature`` comes after ``9-y.feature``; rows stay as they are."""
    parts = re.split(r"(\d+)", item.path.name)
    numbers = [int(part) if part.isdigit() else part for part in parts]
    return numbers, item.path, item.stash[SCENARIO].line_number


class FeatureFile(compat.GeneratedModule):
    """A ``.feature`` file, collected like a module: its scenarios are the test functions."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Return one test a scenario and row, or raise a `CollectError` of one line a problem."""
        try:
            project_config(self.config)
        except ConfigError as error:
            self.config.stash[_CONFIG_ERROR] = error
            return []
        found = self._problems()
        if found:
            raise self.CollectError("\n".join(f"{self.nodeid}:{line}: {text}" for line, text in found))
        items = list(super().collect())
        for item in items:
            if isinstance(item, pytest.Function):
                self._attach_scenario(item)
        return items

    def _problems(self) -> list[gherkin_lint.Problem]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            return [gherkin_lint.Problem(1, f"not UTF-8 text: byte {error.start}")]
        known = self.config.stash[_KNOWN_TAGS]
        found = gherkin_lint.problems(text, known)
        if not found:
            try:
                found = sorted(set(self._unknown_steps(self._feature())))
            except GherkinParseError as error:
                found = [gherkin_lint.Problem(error.line, error.message)]
        return found

    def _feature(self) -> Feature:
        """Return the parsed feature, with the scenarios that are run, and one row a tenant where one asks for that."""
        feature = compat.parse_feature(self.path)
        for name, template in [*feature.scenarios.items()]:
            if not runs(_tags(template), whole_config(self.config)):
                del feature.scenarios[name]
        for template in feature.scenarios.values():
            if _is_per_tenant(template):
                [table] = template.examples
                compat.set_rows(table, tenant_rows(table.example_params, project_config(self.config)))
        return feature

    def _unknown_steps(self, feature: Feature) -> Iterator[gherkin_lint.Problem]:
        for template in feature.scenarios.values():
            for step in _steps_to_find(template):
                kind = self._kind(step)
                if kind != step.type:
                    hint = f" (it is known as a {kind.capitalize()})" if kind else ""
                    text = f"unknown step: {step.type.capitalize()} {step.name}{hint}"
                    yield gherkin_lint.Problem(step.line_number, text)

    def _kind(self, step: Step) -> str | None:
        """Return the kind *step* is known as: its own if there is a function for that, else another, else none."""
        kinds = (step.type, "given", "when", "then")
        return next((kind for kind in kinds if self.step_functions.find(kind, step.name)), None)

    @cached_property
    def step_functions(self) -> compat.StepFunctions:
        """What the steps of this file may call; which of them a row calls depends on its values."""
        return compat.StepFunctions(self)

    def make_module(self) -> types.ModuleType:
        """Return a module made of the scenarios, each under its own name."""
        module = types.ModuleType(self.path.stem)
        for name, template in self._feature().scenarios.items():

            @scenario(self.path.name, name, features_base_dir=str(self.path.parent))
            def bound() -> None:
                """Run the scenario."""

            setattr(module, name, _described(bound, template))
        return module

    def _attach_scenario(self, item: pytest.Function) -> None:
        """Keep with *item* what it is made of, and show it as its scenario, at the scenario's line."""
        template, parameters = compat.template_of(item), compat.parameters(item)
        row = parameters.get(compat.ROW_PARAMETER, {})
        rendered = template.render(row)
        item.stash[ROW] = row
        item.stash[SCENARIO] = rendered
        title = item.name if rendered.name == template.name else rendered.name
        if rendered.name != template.name and len(parameters) > 1:  # a fixture's own, or a repetition
            title += f" [{compat.parameter_id(item)}]"
        compat.set_location(item, template.line_number, title)


def _tags(template: ScenarioTemplate) -> set[str]:
    return template.tags | template.feature.tags | (template.rule.tags if template.rule else set())


def _is_per_tenant(template: ScenarioTemplate) -> bool:
    return EACH_TENANT in _tags(template)


def _described(function: Callable[[], None], template: ScenarioTemplate) -> Callable[[], None]:
    """Return *function* labelled with what *template* says about itself, its rule and its feature."""
    rule = template.rule
    prose = [template.feature.description, rule.description if rule else "", template.description]
    return allure.describe(
        function,
        feature=template.feature.name,
        story=rule.name if rule else template.name,
        description="\n\n".join(inspect.cleandoc(part) for part in prose if part.strip()),
        tags=_tags(template),
    )


def _steps_to_find(template: ScenarioTemplate) -> Iterator[Step]:
    """Yield the steps of *template* as they will run; one tenant's stand for those of all tenants."""
    rows = [row for table in template.examples for row in table.as_contexts()] or [{}]
    for row in rows[:1] if _is_per_tenant(template) else rows:
        yield from template.render(row).steps
