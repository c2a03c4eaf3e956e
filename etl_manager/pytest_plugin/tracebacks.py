"""Tracebacks without what the frames held: neither locals nor arguments, whose values nobody could foresee.

Credentials that a library had in its hands when it failed were never registered, so that no redaction knows them.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from etl_manager.redaction import redact


def bare(shown: Any) -> Any:
    """Return *shown*, pytest's representation of a failure, without locals, arguments and secrets."""
    if isinstance(shown, str):
        return redact(shown)
    if isinstance(shown, tuple):  # why a test was skipped
        return (*shown[:2], redact(shown[2]))
    for trace, crash, _ in getattr(shown, "chain", ()) or [(shown, getattr(shown, "reprcrash", None), None)]:
        for entry in getattr(getattr(trace, "reprtraceback", trace), "reprentries", ()):
            ends = "" if entry.style == "native" else "\n"  # a line of a native traceback has its end
            text = redact(ends.join(entry.lines))
            entry.lines = text.split("\n") if ends else text.splitlines(keepends=True)
            if hasattr(entry, "reprfuncargs"):
                entry.reprfuncargs = entry.reprlocals = None
        if crash is not None:
            crash.message = redact(crash.message)
    return shown


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Bare the traceback of what cannot be collected."""
    report = yield
    report.longrepr = bare(report.longrepr) if report.failed else report.longrepr
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_internalerror(excrepr: Any) -> None:
    """Bare the traceback of a defect of pytest's, of a plugin's or of ours, before it is shown."""
    bare(excrepr)
