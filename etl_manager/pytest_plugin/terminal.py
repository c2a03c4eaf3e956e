"""Progress on the terminal: long work shows that it lives, and what must be seen is said at once."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable

import pytest

from etl_manager.progress import Progress
from etl_manager.pytest_plugin import compat
from etl_manager.redaction import redact

QUIET_SECONDS = 10.0
"""Where no cursor can be moved, a status is shown at most this often, so that logs stay short."""

PROGRESS = pytest.StashKey[Progress]()
"""Where ``pytestconfig.stash`` keeps the `Progress` of the run."""

_log = logging.getLogger("etl_manager.progress")
_CLEAR = "\r\x1b[2K"


class TerminalProgress:
    """A `Progress` beside pytest's own dots: one live line on a terminal, else a line now and then."""

    def __init__(self, config: pytest.Config, clock: Callable[[], float] = time.monotonic) -> None:
        """Write through the terminal reporter of *config*, past its capturing."""
        self._config = config
        self._clock = clock
        self._shown_at = clock()
        self._live = False

    def say(self, line: str) -> None:
        """Show *line* for good, in the log too."""
        _log.info("%s", line)
        with compat.uncaptured_terminal(self._config) as reporter:
            self._erase(reporter)
            reporter.ensure_newline()
            reporter.write_line(redact(line))
            reporter.flush()
        self._shown_at = self._clock()

    def status(self, line: str) -> None:
        """Show what is going on right now; the next call replaces it."""
        with compat.uncaptured_terminal(self._config) as reporter:
            now = self._clock()
            if reporter.isatty() and os.environ.get("TERM") != "dumb":
                self._erase(reporter)
                reporter.ensure_newline()
                width = shutil.get_terminal_size().columns - 1
                reporter.write(redact(line)[:width], flush=True)
                self._live = True
            elif now - self._shown_at >= QUIET_SECONDS:
                reporter.write_line(redact(line))
                reporter.flush()
                self._shown_at = now

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self) -> None:
        """Take the live line away before pytest writes its dot."""
        self._clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Take the live line away before pytest sums up."""
        self._clear()

    def _clear(self) -> None:
        if self._live:
            with compat.uncaptured_terminal(self._config) as reporter:
                self._erase(reporter)

    def _erase(self, reporter: pytest.TerminalReporter) -> None:
        if self._live:
            reporter.write(_CLEAR, flush=True)
            self._live = False


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set up the progress of the run."""
    progress = config.stash[PROGRESS] = TerminalProgress(config)
    config.pluginmanager.register(progress, "provisioning-progress")
