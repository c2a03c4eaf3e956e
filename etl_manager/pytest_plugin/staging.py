"""Whose ``reports/`` are: what an earlier run left goes before this one can fail, and one run at a time writes there."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from etl_manager.pytest_plugin.collection import FeatureFile
from etl_manager.pytest_plugin.options import SETTINGS
from etl_manager.pytest_plugin.writable import unwritable
from etl_manager.report.staging import Staging

STAGING = pytest.StashKey[Staging]()
"""Where ``pytestconfig.stash`` keeps the `Staging` of a run that may change the verdict."""

_LOOKING = ("collectonly", "plan", "showfixtures", "show_fixtures_per_test", "cacheshow")
_LOOKING_WORDS = {"--collect-only", "--co", "--plan"}


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Prepare for wrong use: pytest stops then before any other hook, and an old verdict would be left standing."""
    config: pytest.Config = pluginmanager.get_plugin("pytestconfig")  # type: ignore[assignment]
    config.add_cleanup(partial(_after_wrong_use, config))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin with the session where features are among what it is to run."""
    if not only_looks(session.config) and _concerns_features(session.config, session.config.args):
        _begin(session.config)


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    """Begin with the first feature file at the latest: it may lie anywhere."""
    if isinstance(collector, FeatureFile) and not only_looks(collector.config):
        _begin(collector.config)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Put the reports into their place once everybody has written into them."""
    result = yield
    if STAGING in session.config.stash:
        session.config.stash[STAGING].swap_in()
    return result


def only_looks(config: pytest.Config) -> bool:
    """Return whether nothing is to be run: the verdict stays what it is."""
    return any(getattr(config.option, name, False) for name in _LOOKING)


def _begin(config: pytest.Config) -> None:
    """Take the reports, once a session.

    Raises:
        pytest.UsageError: When they cannot be written.
    """
    if STAGING in config.stash:
        return
    reports = config.stash[SETTINGS].reports
    try:
        staging = config.stash[STAGING] = Staging(reports)
    except OSError as error:
        raise unwritable(reports, f"{error.filename or reports}: {error.strerror}") from error
    config.add_cleanup(staging.close)


def _after_wrong_use(config: pytest.Config) -> None:
    """Remove the last run's reports where this one ended in wrong use before it began."""
    if STAGING in config.stash or not isinstance(sys.exc_info()[1], pytest.UsageError):
        return
    words = config.invocation_params.args
    with suppress(OSError):
        paths = [word for word in words if word.partition("::")[0].endswith(".feature") or Path(word).exists()]
        if not _LOOKING_WORDS & {*words} and _concerns_features(config, paths or config.getini("testpaths")):
            Staging(config.rootpath / "reports").close()


def _concerns_features(config: pytest.Config, words: Iterable[str]) -> bool:
    """Return whether one of the paths in *words* is a feature file, or has to do with the folder of features."""
    features = (config.rootpath / "features").resolve()
    for word in words:
        path = (config.invocation_params.dir / word.partition("::")[0]).resolve()
        if path.suffix == ".feature" or path.is_relative_to(features) or features.is_relative_to(path):
            return True
    return False
