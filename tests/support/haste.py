"""What tests do without, for speed: the disk, rounds of hashing, and reading botocore's models and what is installed again."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import sys
from contextlib import AbstractContextManager
from functools import cache, wraps
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.session

from etl_manager.targets import state
from etl_manager.targets.postgres import NewCluster

MEMORY = Path("/dev/shm")
"""Linux's files in memory, of which a container may have little."""
_ENOUGH = 8 << 30

SERVICES = ("cloudformation", "ec2", "rds", "s3", "secretsmanager", "ssm", "sts")

_statements = NewCluster._statements
_usual_base = state._BASE


def _hasty(cluster: NewCluster) -> list[str]:
    return ["ALTER SYSTEM SET fsync = off", "SET scram_iterations = 1", *_statements(cluster)]


def make_haste() -> None:
    """Have this process read botocore's models once, and make clusters that run without fsync, and in memory for root.

    What a test builds survives no crash of the machine, nor needs to; and each session of boto3 would read a second's
    worth of models that never differ. Databases are made and dropped all the time: a third of a server's time on disks.
    psql hashes a password 4,096 times for each connection: 5 of its 7.5 ms.
    """
    if os.geteuid() == 0 and MEMORY.is_mount() and _holds_clusters():
        state._BASE = MEMORY
    gc.set_threshold(50_000, 20, 20)
    NewCluster._statements = _hasty  # type: ignore[method-assign]
    botocore.session.create_loader = cache(botocore.session.create_loader)
    _read_installed_once()


def _read_installed_once() -> None:
    """Keep what is installed: pytest reads it of all packages for each plugin that a run names, twenty times a run."""
    distributions = importlib.metadata.distributions
    read = importlib.metadata.Distribution.entry_points.fget
    assert read is not None

    @cache
    def found(_: tuple[str, ...]) -> list[importlib.metadata.Distribution]:
        return list(distributions())

    @wraps(distributions)
    def kept(**how: Any) -> Any:
        return distributions(**how) if how else iter(found(tuple(sys.path)))

    importlib.metadata.distributions = kept
    importlib.metadata.Distribution.entry_points = property(cache(read))  # type: ignore[assignment]


def _holds_clusters() -> bool:
    """Return whether there is room, and programs may run from there: a server's are copied, too."""
    found = os.statvfs(MEMORY)
    return found.f_bavail * found.f_frsize > _ENOUGH and not found.f_flag & os.ST_NOEXEC


def usual_places() -> AbstractContextManager[object]:
    """Look for what is kept outside of a state directory where programs keep it that make no haste."""
    return mock.patch.object(state, "_BASE", _usual_base)


def durable_clusters() -> AbstractContextManager[object]:
    """Make clusters as the local target makes them."""
    return mock.patch.object(NewCluster, "_statements", _statements)


def read_models() -> None:
    """Read the models of the services that runs ask, after `make_haste`."""
    import boto3

    from ssm_emulator.own_session import own_session

    for session in (own_session(), botocore.session.Session()):
        clients = boto3.session.Session("x", "x", botocore_session=session, region_name="us-east-1")
        for service in SERVICES:
            clients.client(service)
