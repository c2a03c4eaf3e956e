"""Where a run writes is looked at before anything starts: a folder that cannot be written is wrong use, not a defect."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl_manager.pytest_plugin.collection import FeatureFile
from etl_manager.pytest_plugin.options import SETTINGS, Mode

ALLURE_DIRECTORY = pytest.StashKey[str | None]()
"""Where ``pytestconfig.stash`` keeps what ``--alluredir`` named; nothing where there is no allure-pytest."""
_LOOKED = pytest.StashKey[bool]()


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    """Try the folders when the first feature file is looked at.

    Raises:
        pytest.UsageError: When one of them, or what an earlier run left there, cannot be written.
    """
    config = collector.config
    settings = config.stash[SETTINGS]
    writes_nothing = config.option.collectonly or settings.mode is Mode.PLAN
    if not isinstance(collector, FeatureFile) or writes_nothing or _LOOKED in config.stash:
        return
    config.stash[_LOOKED] = True
    for folder in (settings.reports, *asked_directories(config)):
        for problem in _problems(folder):
            raise unwritable(folder, problem)


def asked_directories(config: pytest.Config) -> list[Path]:
    """Return the folder that ``--alluredir`` names, if it names one."""
    asked = config.stash.get(ALLURE_DIRECTORY, None)
    return [Path(asked).absolute()] if asked else []


def unwritable(folder: Path, problem: str) -> pytest.UsageError:
    """Return the error that says why *folder* takes no reports."""
    return pytest.UsageError(
        f"the run cannot write its reports: {problem}\n"
        f"  next:  Make {folder} a folder that this user may write, with all that is in it, or remove it."
    )


def _problems(folder: Path) -> Iterator[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        there = [*folder.iterdir()]
    except OSError as error:
        yield f"{folder}: {error.strerror}"
        return
    yield from (f"{path}: it may not be written" for path in there if not os.access(path, os.W_OK))
