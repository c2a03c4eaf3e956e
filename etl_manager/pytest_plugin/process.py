"""What holds for the whole process: log records hold no secret, and SIGTERM ends it like Ctrl-C."""

from __future__ import annotations

import signal
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
