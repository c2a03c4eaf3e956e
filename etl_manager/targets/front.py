"""The emulated AWS in front of a bastion that a target made: started, filled with what Phase 1 leaves, and asked."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any, Protocol

from etl_manager.emulator import EmulatedAws
from etl_manager.emulator.host import BastionHost
from etl_manager.emulator.own_session import own_session
from etl_manager.errors import TargetError
from etl_manager.targets import DEFAULT_REGION, TargetOptions
from etl_manager.targets.calls import client_config
from etl_manager.targets.sessions import watch


class Cluster(Protocol):
    """What the emulated account tells of the cluster."""

    host: str
    port: int
    user: str
    password: str


def load() -> threading.Thread:
    """Import moto in the background, about a second's work; join the thread before `start`."""
    from etl_manager.emulator import moto_account

    thread = threading.Thread(target=moto_account.load, daemon=True)
    thread.start()
    return thread


def start(bastion: BastionHost, cluster: Cluster, options: TargetOptions) -> EmulatedAws:
    """Return an emulated AWS that listens, with stacks and secret of *cluster* and the instance *bastion*.

    Raises:
        TargetError: When the port is taken.
    """
    from etl_manager.emulator import moto_account

    aws = EmulatedAws(
        bastion,
        region=options.region or DEFAULT_REGION,
        port=options.port,
        latency=options.latency,
        faults=options.faults,
        instance_id=options.instance_id,
    )
    try:
        aws.start()
    except OSError as error:
        raise TargetError(f"port {options.port} is taken", remedy="Take another, or 0 for a free one") from error
    try:
        moto_account.furnish(
            account=aws.account,
            region=options.region or DEFAULT_REGION,
            instance_id=aws.instance_id,
            host=cluster.host,
            port=cluster.port,
            username=cluster.user,
            password=cluster.password,
        )
    except BaseException:
        aws.stop()
        raise
    return aws


def client(aws: EmulatedAws, service: str, attempts: int | None) -> Any:
    """Return a boto3 client of *service* that talks to *aws* only, whatever the environment says."""
    session = _session(aws.access_key_id, aws.secret_access_key, aws.region)
    return session.client(service, endpoint_url=aws.endpoint_url, config=client_config(attempts, service, proxies={}))


@cache
def _session(access_key_id: str, secret_access_key: str, region: str) -> Any:
    """Return a boto3 session; it is kept, since each new one reads botocore's models anew."""
    import boto3

    return boto3.session.Session(
        botocore_session=watch(own_session()),
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        region_name=region,
    )
