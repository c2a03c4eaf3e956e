"""Progress on pytest's terminal: a live line beside its dots, and lines that are shown at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest

from etl_manager.progress import LiveLine, Progress
from etl_manager.pytest_plugin import compat
from etl_manager.redaction import redact

PROGRESS = pytest.StashKey[Progress]()
"""Where ``pytestconfig.stash`` keeps the `Progress` of the run."""

_log = logging.getLogger("etl_manager.progress")


class TerminalProgress:
    """A `Progress` beside pytest's own dots: one live line on a terminal, else a line now and then."""

    def __init__(self, config: pytest.Config, clock: Callable[[], float] = time.monotonic) -> None:
        """Write through the terminal reporter of *config*, past its capturing."""
        self._config = config
        self._line = LiveLine(self._write, self._is_terminal, clock)
        self.status = self._line.status

    def say(self, line: str) -> None:
        """Show *line* for good, in the log too."""
        _log.info("%s", line)
        self._line.erase()
        self._write(f"{redact(line)}\n")
        self._line.restart_quiet_time()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self) -> None:
        """Take the live line away before pytest writes its dot."""
        self._line.erase()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Take the live line away before pytest sums up."""
        self._line.erase()

    def _write(self, text: str) -> None:
        with compat.uncaptured_terminal(self._config) as reporter:
            reporter.ensure_newline()
            reporter.write(text, flush=True)

    def _is_terminal(self) -> bool:
        with compat.uncaptured_terminal(self._config) as reporter:
            return bool(reporter.isatty())


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set up the progress of the run."""
    progress = config.stash[PROGRESS] = TerminalProgress(config)
    config.pluginmanager.register(progress, "provisioning-progress")
