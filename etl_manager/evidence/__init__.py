"""Evidence for reviewers: each Gherkin step is an Allure step, with what ran attached to the step that ran it.

This is the only room that knows Allure's library. It is harmless where no results are written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import allure_commons
from allure_pytest.listener import AllureListener

from etl_manager.evidence import trouble
from etl_manager.evidence.filing import EPIC, describe, groups
from etl_manager.evidence.recorder import LIMIT, Kind, Recorder
from etl_manager.evidence.surroundings import write_categories, write_executor
from etl_manager.evidence.writer import ResultWriter
from etl_manager.provenance import Source

__all__ = ["LIMIT", "Kind", "Recorder", "ResultWriter", "attach", "describe", "record_trouble", "start"]

_recorder: Recorder | None = None


def attach(name: str, content: str, kind: Kind = "text") -> None:
    """Attach *content* to the running step; without secrets, and at most `LIMIT` bytes with the digest of the whole."""
    if _recorder is not None:
        _recorder.attach(name, content, kind)


def record_trouble(title: str, error: BaseException, details: str) -> None:
    """Write down that *title* holds because of *error*: a failure that is no scenario's, told as *details*."""
    if _recorder is not None:
        trouble.record(title, error, details)


def start(config: Any, directories: Sequence[Path], *, source: Source, tenants: Sequence[str]) -> Recorder:
    """Write Allure results into each of *directories* until pytest's *config* is done with.

    Args:
        config: pytest's own.
        directories: Where to.
        source: What is run, so that evidence can be linked to it.
        tenants: All of them.
    """
    global _recorder  # noqa: PLW0603 - library code attaches without knowing whether a report is written
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
        write_categories(directory)
        write_executor(directory, os.environ, EPIC)
    listener = AllureListener(config)
    config.pluginmanager.register(listener, "allure_listener")
    for plugin in (listener, *map(ResultWriter, directories)):
        allure_commons.plugin_manager.register(plugin)
        config.add_cleanup(partial(allure_commons.plugin_manager.unregister, plugin))
    _recorder = Recorder(lambda: listener.allure_logger.get_test(None), source, groups(tenants))
    config.add_cleanup(_stop)
    return _recorder


def _stop() -> None:
    global _recorder  # noqa: PLW0603
    _recorder = None
