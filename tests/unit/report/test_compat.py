"""Allure's private parts are as compat expects them: each is named here, so that an upgrade that moves one is seen."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import allure_commons
import attr
import pytest
from allure_commons import model2
from allure_pytest.listener import AllureListener
from allure_pytest.utils import get_status

from etl_manager.report import compat


def test_get_status_tells_failed_from_broken_and_skipped():
    """`allure_pytest.utils.get_status`: an assertion failed, any other error is broken, a skip is skipped."""
    skipped = pytest.skip.Exception("why")
    assert [get_status(error) for error in (AssertionError(), ValueError(), skipped)] == ["failed", "broken", "skipped"]


def test_attachment_pattern_takes_prefix_and_extension():
    """`allure_commons.model2.ATTACHMENT_PATTERN`: the file name that Allure's tool looks for."""
    assert model2.ATTACHMENT_PATTERN.format(prefix="p", ext="txt") == "p-attachment.txt"


def test_results_are_attrs_classes():
    """`TestResult`, `TestStepResult` and `StatusDetails` are made by attrs, and `file_pattern` names a result's file."""
    assert all(attr.has(model) for model in (model2.TestResult, model2.TestStepResult, model2.StatusDetails))
    assert model2.TestResult.file_pattern.format(prefix="p") == "p-result.json"
    details = compat.ComparedDetails(message="m", expected="5", actual="4")
    result = model2.TestResult(uuid="u", name="", statusDetails=details)
    assert compat.as_data(result, str) == {
        "uuid": "u",
        "name": "",
        "statusDetails": {"message": "m", "expected": "5", "actual": "4"},
    }


def test_listener_is_made_from_a_config_and_has_a_logger():
    """`AllureListener(config)` with `allure_logger.get_test(None)`: the running test's result, None between tests."""
    assert list(inspect.signature(AllureListener).parameters) == ["config"]
    cleanups: list = []
    registered: list = []
    config = SimpleNamespace(
        pluginmanager=SimpleNamespace(register=lambda plugin, name: registered.append((type(plugin), name))),
        add_cleanup=cleanups.append,
    )
    before = allure_commons.plugin_manager.get_plugins()
    current = compat.listen(config, [])
    try:
        assert registered == [(compat.ScenarioListener, "allure_listener")]
        assert current() is None
        assert len(allure_commons.plugin_manager.get_plugins() - before) == 1
    finally:
        for clean in cleanups:
            clean()
    assert allure_commons.plugin_manager.get_plugins() == before


def test_containers_are_made_by_these_parts_of_the_listener():
    """`AllureListener` makes them in two hooks and one method; nothing else of it starts or ends a group."""
    parts = {name: inspect.getsource(part) for name, part in vars(AllureListener).items() if inspect.isfunction(part)}
    makers = {name for name, source in parts.items() if "_group(" in source}
    assert makers == {"_update_fixtures_children", "pytest_fixture_setup", "pytest_fixture_post_finalizer"}
    assert all(getattr(compat.ScenarioListener, name) != getattr(AllureListener, name) for name in makers)
