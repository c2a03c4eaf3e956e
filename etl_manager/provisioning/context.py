"""Where a run takes place: target, account, region, cluster."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from etl_manager.aws.discovery import ClientFor
from etl_manager.errors import InfrastructureError


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """The target, and what discovery found there.

    Attributes:
        target: ``local``, ``container`` or ``aws``.
        emulated: True whenever what answered is not AWS itself.
        account: The AWS account of the credentials in use.
        region: The AWS region.
        stack: The stack that names the cluster; empty where the configuration does.
        cluster_arn: The cluster's ARN, where the stack has it; else empty.
        host: The cluster's endpoint.
        port: Its port.
        client: Returns the boto3 client of a service.
    """

    target: str
    emulated: bool
    account: str
    region: str
    stack: str
    cluster_arn: str
    host: str
    port: int
    client: ClientFor = field(repr=False, compare=False)

    def offline(self) -> RunContext:
        """Return the same for a process that asks AWS nothing."""
        return replace(self, client=_refuse)


def _refuse(service: str) -> Any:
    raise InfrastructureError(
        f"A worker of pytest-xdist asks AWS nothing: {service}",
        hint="Run without -n, or ask in a scenario that is no tenant's.",
    )
