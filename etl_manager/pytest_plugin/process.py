"""How the process ends: SIGTERM like Ctrl-C, so that what was started is stopped, and a quick exit."""

from __future__ import annotations

import gc
import signal
import threading

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGTERM raise KeyboardInterrupt: pytest then tears the session down as it does on Ctrl-C."""
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)

        def restore() -> None:
            signal.signal(signal.SIGTERM, before)

        config.add_cleanup(restore)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Spare the interpreter a last search for garbage: with thousands of scenarios it takes seconds."""
    gc.freeze()
