"""How every target's clients call: time limits, and how often botocore sends a call again."""

from __future__ import annotations

from typing import Any

_ATTEMPTS = 5


def client_config(attempts: int | None, **more: Any) -> Any:
    """Return the botocore configuration of a client that sends a call at most *attempts* times."""
    from botocore.config import Config

    return Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": attempts or _ATTEMPTS},
        **more,
    )
