"""What a run shows and logs: short messages, no secret and no value of a frame, and ``reports/run.log``."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from etl_manager import redaction
from etl_manager.errors import NotApplicable, PhaseSkipped, ProvisioningError
from etl_manager.pytest_plugin import compat, gate
from etl_manager.pytest_plugin.collection import SCENARIO, has_scenarios
from etl_manager.pytest_plugin.compat import Step, without_values
from etl_manager.redaction import redact

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

_library = logging.getLogger("etl_manager")
_log = logging.getLogger("etl_manager.run")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Make log records without secrets; let SIGTERM end pytest as Ctrl-C does, which tears the session down."""
    config.add_cleanup(redaction.install())
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)

        def restore() -> None:
            signal.signal(signal.SIGTERM, before)

        config.add_cleanup(restore)


class _Indented(logging.Formatter):
    """Sets off the further lines of a record: none of them can be taken for a record of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record*, with every line but its first behind a bar."""
        return super().format(record).replace("\n", "\n  | ")


class _LogFile(logging.FileHandler):
    """Writes what is logged; what is only held is written before it, or not at all.

    Errors of writing are taken by *writing*: logging itself would print a traceback for each line.
    """

    def __init__(self, path: Path, writing: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(path, mode="w", encoding="utf-8")
        self.setFormatter(_Indented(FORMAT))
        self._writing = writing
        self._held: list[tuple[float, str]] = []

    def hold(self, text: str) -> None:
        """Keep *text* until it is known whether somebody will want to read it."""
        self._held.append((time.time(), text))

    def drop(self) -> None:
        """Forget what is held."""
        self._held = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*."""
        self.write_held()
        super().emit(record)

    def write_held(self) -> None:
        """Write what is held, with the time at which it was."""
        held, self._held = self._held, []
        for at, text in held:
            values = {
                "created": at,
                "msecs": at % 1 * 1000,
                "levelname": "INFO",
                "name": _log.name,
                "msg": redact(text),
            }
            super().emit(logging.makeLogRecord(values))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Take the error that is being handled, if it is one of writing."""
        if isinstance(error := sys.exc_info()[1], OSError):
            with self._writing():
                raise error
        else:
            super().handleError(record)


class RunLog:
    """Writes what the library logs, and each scenario with its outcome.

    Its steps are written where something was logged meanwhile, and where it failed: of thousands that passed, a line each.
    """

    def __init__(self, path: Path, writing: Callable[[], AbstractContextManager[None]]) -> None:
        """Begin *path* anew; *writing* takes errors of what is written later."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._begun, self._writing = path, 0, writing
        self._file = _LogFile(path, writing)
        self._level = _library.level
        _library.setLevel(logging.DEBUG)
        _library.addHandler(self._file)

    def of_scenario(self) -> str:
        """Return what was logged since the scenario that runs began, with its steps."""
        self._file.write_held()
        with self._path.open("rb") as file:
            file.seek(self._begun)
            return file.read().decode(errors="replace")

    def close(self) -> None:
        """End the log."""
        _library.removeHandler(self._file)
        _library.setLevel(self._level)
        with self._writing():
            self._file.close()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that a scenario begins."""
        self._file.drop()
        self._begun = self._path.stat().st_size
        self._file.hold(f"begin {nodeid}")

    def pytest_bdd_before_step(self, step: Step) -> None:
        """Note the step that begins."""
        self._file.hold(f"  {step.keyword} {step.name}")

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Log how a scenario ended, and why it did not pass."""
        if report.when == "call" or not report.passed:
            if not report.failed:
                self._file.drop()
            _log.info("%s %s (%.2f s)", report.outcome, report.nodeid, report.duration)
        if isinstance(report.longrepr, tuple):
            _log.warning("%s", report.longrepr[2])
        elif report.longrepr is not None:
            _log.error("%s", report.longreprtext)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Log how the run ended; the gate may have made a failure of it meanwhile."""
        _log.info("exit status %d", session.exitstatus)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Show no values in the traceback of what cannot be collected."""
    report = yield
    report.longrepr = without_values(report.longrepr) if report.failed else report.longrepr
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_internalerror(excrepr: Any) -> None:
    """Show no values in the traceback of a defect of pytest's, of a plugin's or of ours, before it is shown."""
    without_values(excrepr)


_FAILED_STEP = pytest.StashKey[Step]()
_FAILURE = pytest.StashKey[pytest.ExceptionInfo[BaseException]]()
"""How a scenario failed, for a plugin that tries it once more."""


def pytest_bdd_step_error(request: pytest.FixtureRequest, step: Step) -> None:
    """Remember the step that failed."""
    request.node.stash[_FAILED_STEP] = step


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make the report of a scenario short, cheap and free of secrets, and that of a test beside scenarios free of them.

    Allure's listener, which is registered later, is given what this makes of it.

    The message is made before pytest would make a traceback: that takes 50 ms, which is minutes where a thousand
    tenants fail.
    """
    if SCENARIO not in item.stash:
        report = yield
        return _redact_report(report) if has_scenarios(item.session) else report
    _keep_first_failure(item, call)
    error = call.excinfo.value if call.excinfo else None
    message = _message(item, error)
    if message is not None:
        compat.set_failure_text(item, message)
    report = yield
    if isinstance(error, PhaseSkipped | NotApplicable):
        report.outcome = "skipped"
        path, line, _ = item.location
        report.longrepr = (path, (line or 0) + 1, f"Skipped: {redact(error.message)}")
    elif message is not None:
        report.longrepr = message
    if call.excinfo and report.failed:
        item.stash[_FAILURE] = call.excinfo
    gate.note_outcome(item, call.excinfo.value if call.excinfo else None, report)
    return _redact_report(report)


@pytest.hookimpl(tryfirst=True)
def pytest_warning_recorded(warning_message: warnings.WarningMessage) -> None:
    """Keep secrets out of the summary of warnings."""
    text = str(warning_message.message)
    if (redacted := redact(text)) != text:
        warning_message.message = warning_message.category(redacted)


def _redact_report(report: pytest.TestReport) -> pytest.TestReport:
    if report.longrepr is not None:
        report.longrepr = without_values(report.longrepr)
    if report.failed and (text := redact(report.longreprtext)) != report.longreprtext:
        report.longrepr = text  # a representation of another kind
    report.sections = [(name, redact(content)) for name, content in report.sections]
    return report


def _keep_first_failure(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Let a scenario that is tried again end as it did before, where what it failed for is not run a second time.

    Plugins that try failed tests again (pytest-rerunfailures, flaky) would else end a failed run with a skip.
    """
    if call.excinfo and isinstance(call.excinfo.value, PhaseSkipped) and _FAILURE in item.stash:
        call.excinfo = item.stash[_FAILURE]


def _message(item: pytest.Item, error: BaseException | None) -> str | None:
    """Return what to show instead of a traceback, or None where pytest should show what it does.

    A failure the suite understands needs no traceback, nor does a proof that failed: its message says it all. A
    defect of the suite keeps its traceback, and so does everything when a style is asked for by ``--tb``.
    """
    if item.config.option.tbstyle != "auto" or item.config.option.fulltrace:
        return None
    if not isinstance(error, ProvisioningError | AssertionError | pytest.fail.Exception):
        return None
    text = str(error) or "the proof failed"
    step = item.stash.get(_FAILED_STEP, None)
    if step is not None:
        path = os.path.relpath(item.path, item.config.invocation_params.dir)
        text += f"\n  step:  {step.keyword} {step.name} ({path}:{step.line_number})"
    return redact(text)
