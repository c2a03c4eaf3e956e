"""Where a run writes is looked at before anything starts: a folder that cannot be written is wrong use, not a defect."""

from __future__ import annotations

import errno
import os
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
    """Yield what keeps *folder* from being written; it is not made yet, since nothing may have been started."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        yield f"{there} is not a folder"
        return
    paths = [there, *(folder.iterdir() if there == folder else ())]
    yield from (f"{path}: {_why(path)}" for path in paths if not os.access(path, os.W_OK))


def _why(path: Path) -> str:
    read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    return os.strerror(errno.EROFS if read_only else errno.EACCES)
