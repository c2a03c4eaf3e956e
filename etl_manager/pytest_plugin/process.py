"""What holds for the whole process: log records hold no secret, SIGTERM ends it like Ctrl-C, and no idle work is done."""

from __future__ import annotations

import gc
import signal
import sys
import threading

import pytest

from etl_manager import redaction


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Make log records without secrets; let SIGTERM raise KeyboardInterrupt, on which pytest tears the session down."""
    config.add_cleanup(redaction.install())
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)

        def restore() -> None:
            signal.signal(signal.SIGTERM, before)

        config.add_cleanup(restore)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave out hypothesis' summary where no test used it: the summary alone would import it, half a second."""
    plugins = session.config.pluginmanager
    plugin = plugins.get_plugin("hypothesispytest")
    if plugin is not None and "hypothesis" not in sys.modules:
        plugins.unregister(plugin)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Spare the interpreter a last search for garbage: with thousands of scenarios it takes seconds."""
    gc.freeze()
