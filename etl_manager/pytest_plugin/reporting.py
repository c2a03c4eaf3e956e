"""How a scenario's outcome reads: the message of a known failure and the step it happened in, and never a secret."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator
from typing import Any

import pytest
from pytest_bdd.parser import Step

from etl_manager.errors import NotApplicable, PhaseNotRun, ProvisioningError
from etl_manager.pytest_plugin.collection import SCENARIO, has_scenarios
from etl_manager.pytest_plugin.tracebacks import bare
from etl_manager.redaction import redact

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

    The message is made before pytest would make a traceback: that takes 50 ms, which is minutes where a thousand
    tenants fail.
    """
    if SCENARIO not in item.stash:
        report = yield
        return _clean(report) if has_scenarios(item.session) else report
    _stay_failed(item, call)
    error = call.excinfo.value if call.excinfo else None
    message = _message(item, error)
    if message is not None:
        item.repr_failure = lambda excinfo, style=None: message  # type: ignore[method-assign] # noqa: ARG005
    report = yield
    if isinstance(error, PhaseNotRun | NotApplicable):
        report.outcome = "skipped"
        path, line, _ = item.location
        report.longrepr = (path, (line or 0) + 1, f"Skipped: {redact(error.what)}")
    elif message is not None:
        report.longrepr = message
    if call.excinfo and report.failed:
        item.stash[_FAILURE] = call.excinfo
    return _clean(report)


@pytest.hookimpl(tryfirst=True)
def pytest_warning_recorded(warning_message: warnings.WarningMessage) -> None:
    """Keep secrets out of the summary of warnings."""
    text = str(warning_message.message)
    if (redacted := redact(text)) != text:
        warning_message.message = warning_message.category(redacted)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Forget the teardowns that have nothing to show: pytest would search them all for each failure it shows."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    silent = reporter.stats.get("", [])
    silent[:] = [report for report in silent if any("teardown" in name for name, _ in report.sections)]


def _clean(report: pytest.TestReport) -> pytest.TestReport:
    if report.longrepr is not None:
        report.longrepr = bare(report.longrepr)
    if report.failed and (text := redact(report.longreprtext)) != report.longreprtext:
        report.longrepr = text  # a representation of another kind
    report.sections = [(name, redact(content)) for name, content in report.sections]
    return report


def _stay_failed(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Let a scenario that is tried again end as it did before, where what it failed for is not run a second time.

    Plugins that try failed tests again (pytest-rerunfailures, flaky) would else end a failed run with a skip.
    """
    if call.excinfo and isinstance(call.excinfo.value, PhaseNotRun) and _FAILURE in item.stash:
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
