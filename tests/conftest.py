"""What all tests share: a secret that one test made known masks nothing in the next."""

from __future__ import annotations

import pytest

from etl_manager import redaction


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets a test registered; those of the fixtures it shares with others stay."""
    monkeypatch.setattr(redaction, "_secrets", set(redaction._secrets))
    monkeypatch.setattr(redaction, "_spellings", redaction._spellings)
