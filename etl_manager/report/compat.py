"""The private parts of Allure's library that the report uses; tests/unit/report/test_compat.py names each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import allure_commons
import attr
from allure_commons.model2 import ATTACHMENT_PATTERN, StatusDetails, TestResult
from allure_commons.utils import md5, now, uuid4
from allure_pytest.listener import AllureListener
from allure_pytest.utils import get_status

__all__ = ["ComparedDetails", "as_data", "attachment_name", "evolve", "get_status", "listen", "md5", "now", "uuid4"]

evolve = attr.evolve


@attr.s(auto_attribs=True)
class ComparedDetails(StatusDetails):
    """Why something failed, with both sides: Allure 3 shows their difference."""

    expected: str | None = None
    actual: str | None = None


def as_data(value: Any, clean: Callable[[str], str]) -> Any:
    """Return *value*, a result or a part of it, as Allure writes it, each text as *clean* returns it.

    An empty cell is a value; only what is None, or a list without anything, is left out.
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [as_data(item, clean) for item in value]
    model: Any = type(value)
    if (names := _fields(model)) is None:
        return value
    parts = ((name, getattr(value, name)) for name in names)
    return {name: as_data(part, clean) for name, part in parts if part is not None and part != []}


@cache
def _fields(model: type) -> tuple[str, ...] | None:
    return tuple(field.name for field in attr.fields(model)) if attr.has(model) else None


def attachment_name(extension: str) -> str:
    """Return a new file name for an attachment."""
    return str(ATTACHMENT_PATTERN.format(prefix=uuid4(), ext=extension))


class ScenarioListener(AllureListener):
    """Allure's listener without its containers, which describe fixtures; nobody writes them.

    Private: the names of the hooks and of the method that keep containers. They take a third of Allure's time.
    """

    pytest_fixture_setup: Any = None
    pytest_fixture_post_finalizer: Any = None

    def _update_fixtures_children(self, item: object) -> None:
        """Keep no children of containers."""


def listen(config: Any, writers: Sequence[object]) -> Callable[[], TestResult]:
    """Have Allure's listener observe pytest's *config* and hand its results to *writers* until the config is closed.

    Returns:
        A function that gives the result of the test that runs.
    """
    listener = ScenarioListener(config)  # type: ignore[no-untyped-call]
    config.pluginmanager.register(listener, "allure_listener")
    for plugin in (listener, *writers):
        allure_commons.plugin_manager.register(plugin)
        config.add_cleanup(partial(allure_commons.plugin_manager.unregister, plugin))
    return lambda: listener.allure_logger.get_test(None)
