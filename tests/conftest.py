"""What all tests share: a secret that one test made known masks nothing in the next, and signals mean what they mean."""

from __future__ import annotations

import signal

import pytest

from etl_manager import redaction


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets a test registered; those of the fixtures it shares with others stay."""
    monkeypatch.setattr(redaction, "_spellings", redaction._spellings)


def pytest_configure() -> None:
    """Hear the signals whose answers are tested: under nohup or in the background they would be inherited as ignored."""
    for each, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(each) is signal.SIG_IGN:
            signal.signal(each, default)
