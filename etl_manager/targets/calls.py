"""How every target's clients call: time limits, and how often botocore sends a call again."""

from __future__ import annotations

from typing import Any

_ATTEMPTS = 5


def client_config(attempts: int | None, service: str = "", **more: Any) -> Any:
    """Return the botocore configuration of a client of *service* that sends a call at most *attempts* times."""
    from botocore.config import Config

    if service == "s3":
        # Otherwise botocore presigns for the endpoint of all regions, which redirects, and which a gateway endpoint of the
        # bastion's VPC does not lead to; and by an older signature.
        more |= {"signature_version": "s3v4", "s3": {"addressing_style": "virtual"}}
    return Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": attempts or _ATTEMPTS},
        **more,
    )
