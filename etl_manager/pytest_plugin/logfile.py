"""``reports/run.log``: the detailed log of a run, fresh each time and free of secrets."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pytest_bdd.parser import Step

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

_library = logging.getLogger("etl_manager")
_log = logging.getLogger("etl_manager.run")


class RunLog:
    """Writes what the library logs, and each scenario with its steps and its outcome."""

    def __init__(self, path: Path) -> None:
        """Begin *path* anew."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._begun = path, 0
        self._handler = logging.FileHandler(path, mode="w", encoding="utf-8")
        self._handler.setFormatter(logging.Formatter(FORMAT))
        self._level = _library.level
        _library.setLevel(logging.DEBUG)
        _library.addHandler(self._handler)

    def of_scenario(self) -> str:
        """Return what was logged since the scenario that runs began."""
        with self._path.open("rb") as file:
            file.seek(self._begun)
            return file.read().decode(errors="replace")

    def close(self) -> None:
        """End the log."""
        _library.removeHandler(self._handler)
        _library.setLevel(self._level)
        self._handler.close()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Log that a scenario begins."""
        self._begun = self._path.stat().st_size
        _log.info("begin %s", nodeid)

    def pytest_bdd_before_step(self, step: Step) -> None:
        """Log the step that begins."""
        _log.info("  %s %s", step.keyword, step.name)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Log how a scenario ended, and why it did not pass."""
        if report.when == "call" or not report.passed:
            _log.info("%s %s (%.2f s)", report.outcome, report.nodeid, report.duration)
        if isinstance(report.longrepr, tuple):
            _log.warning("%s", report.longrepr[2])
        elif report.longrepr is not None:
            _log.error("%s", report.longreprtext)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Log how the run ended; the gate may have made a failure of it meanwhile."""
        _log.info("exit status %d", session.exitstatus)
