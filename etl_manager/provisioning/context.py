"""Where a run takes place: target, account, region, cluster."""

from __future__ import annotations

from dataclasses import dataclass, field

from etl_manager.aws.discovery import ClientFor


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
