"""Take ``reports/`` for one run: what an earlier run left is removed before this one can fail.

A folder that cannot be written is wrong use, found before anything starts.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from etl_manager.errors import remedy
from etl_manager.pytest_plugin import compat, workers
from etl_manager.pytest_plugin.collection import FeatureFile
from etl_manager.pytest_plugin.options import SETTINGS
from etl_manager.report.folder import RunFolder, Staging

STAGING = pytest.StashKey[Staging]()
"""Where ``pytestconfig.stash`` keeps the `Staging` of a run that may change the verdict."""

RUN_FOLDER = pytest.StashKey[RunFolder]()
"""Where ``pytestconfig.stash`` keeps the same; a worker of pytest-xdist writes there too, and knows no more of it."""

ALLURE_DIRECTORY = pytest.StashKey[str | None]()
"""Where ``pytestconfig.stash`` keeps what ``--alluredir`` named; nothing where there is no allure-pytest."""
_CHECKED = pytest.StashKey[bool]()
_UNWRITTEN = "unwritten"
"""What a worker hands back where it could not write: errno, message and file."""

_READ_ONLY_OPTIONS = ("collectonly", "plan", "showfixtures", "show_fixtures_per_test", "cacheshow")
_READ_ONLY_WORDS = {"--collect-only", "--co", "--plan"}


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Prepare for wrong use: pytest then stops before any other hook, and an old verdict would stay."""
    config: pytest.Config = pluginmanager.get_plugin("pytestconfig")  # type: ignore[assignment]
    config.add_cleanup(partial(_after_wrong_use, config))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Take the reports at the start where features are among what is to be run; workers are told where to write."""
    config = session.config
    if workers.is_worker(config):
        config.stash[RUN_FOLDER] = RunFolder(workers.task(config).folder)
    elif workers.spreads(config) or (not runs_nothing(config) and _concerns_features(config, config.args)):
        _take_reports(config)


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    """Check the folders at the first feature file, and take the reports if that was not done before.

    Raises:
        pytest.UsageError: When one of the folders, or what an earlier run left there, cannot be written.
    """
    config = collector.config
    if not isinstance(collector, FeatureFile) or runs_nothing(config) or workers.is_worker(config):
        return
    if _CHECKED not in config.stash:
        config.stash[_CHECKED] = True
        for folder in (config.stash[SETTINGS].reports, *allure_directories(config)):
            for problem in _problems(folder):
                raise unwritable(folder, problem)
    _take_reports(config)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Put the reports into their place once all is written; a run that cannot do so has failed."""
    result = yield
    config = session.config
    if workers.is_worker(config) and (failure := config.stash[RUN_FOLDER].failure):
        facts = (failure.errno, failure.strerror, failure.filename and str(failure.filename))
        compat.worker_output(config)[_UNWRITTEN] = facts
    if STAGING in config.stash:
        staging = config.stash[STAGING]
        with staging.writing():
            staging.swap_in()
        if staging.failure:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker could not write."""
    if facts := getattr(node, "workeroutput", {}).get(_UNWRITTEN):
        with node.config.stash[STAGING].writing():
            raise OSError(*facts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End the run where evidence could not be written: without a report no run is a proof."""
    result = yield
    if RUN_FOLDER in item.config.stash and item.config.stash[RUN_FOLDER].failure:
        item.session.shouldfail = "the run cannot write its reports"
    return result


def runs_nothing(config: pytest.Config) -> bool:
    """Return whether no scenario is to be run: the verdict of an earlier run stays."""
    return any(getattr(config.option, name, False) for name in _READ_ONLY_OPTIONS)


def _take_reports(config: pytest.Config) -> None:
    """Take the reports, once a session."""
    if STAGING in config.stash:
        return
    reports = config.stash[SETTINGS].reports
    try:
        staging = config.stash[STAGING] = config.stash[RUN_FOLDER] = Staging(reports)
    except OSError as error:
        raise unwritable(reports, error) from error
    config.add_cleanup(staging.close)


def _after_wrong_use(config: pytest.Config) -> None:
    """Remove the last run's reports where this one ended in wrong use before it began."""
    if workers.is_worker(config) or STAGING in config.stash or not isinstance(sys.exc_info()[1], pytest.UsageError):
        return
    words = config.invocation_params.args
    with suppress(OSError):
        paths = [word for word in words if word.partition("::")[0].endswith(".feature") or Path(word).exists()]
        if not _READ_ONLY_WORDS & {*words} and _concerns_features(config, paths or config.getini("testpaths")):
            Staging(config.rootpath / "reports").close()


def _concerns_features(config: pytest.Config, words: Iterable[str]) -> bool:
    """Return whether one of the paths in *words* is a feature file, or is, holds or is in the folder of features."""
    features = (config.rootpath / "features").resolve()
    for word in words:
        path = (config.invocation_params.dir / word.partition("::")[0]).resolve()
        if path.suffix == ".feature" or path.is_relative_to(features) or features.is_relative_to(path):
            return True
    return False


def allure_directories(config: pytest.Config) -> list[Path]:
    """Return the folder that ``--alluredir`` names, if it names one."""
    named = config.stash.get(ALLURE_DIRECTORY, None)
    return [Path(named).absolute()] if named else []


def unwritable(folder: Path, error: OSError) -> pytest.UsageError:
    """Return the error that says why *folder* takes no reports."""
    otherwise = f"Make {folder} a folder that this user may write, with all that is in it, or remove it."
    return pytest.UsageError(
        f"the run cannot write its reports: {error.filename or folder}: {error.strerror}\n"
        f"  next:  {remedy(error, otherwise)}"
    )


def _problems(folder: Path) -> Iterator[OSError]:
    """Yield what keeps *folder* from being written; it is not made yet, since nothing may have been started."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        yield _problem(errno.ENOTDIR, there)
        return
    paths = [there, *(folder.iterdir() if there == folder else ())]
    for path in paths:
        if not os.access(path, os.W_OK):
            yield _problem(errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES, path)


def _problem(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
