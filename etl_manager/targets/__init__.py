"""What answers behind the AWS API. Nothing above asks which one it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from etl_manager.config.model import MASTER
from etl_manager.errors import TargetError
from etl_manager.progress import NullProgress, Progress

NAMES = ("local", "container", "aws")
DEFAULT_REGION = "us-east-1"
"""The region an emulation plays where none is named."""


class Target(Protocol):
    """Something that answers AWS's API."""

    @property
    def name(self) -> str:
        """``local``, ``container`` or ``aws``."""

    @property
    def emulated(self) -> bool:
        """True whenever what answers is not AWS itself."""

    @property
    def region(self) -> str:
        """The region of every client."""

    def client(self, service: str, *, attempts: int | None = None) -> Any:
        """Return a boto3 client of *service*.

        Args:
            service: boto3's name for it, such as ``ssm``.
            attempts: How often botocore sends a call at most; None is botocore's default. 1 is for calls that
                must not be sent twice unseen, as botocore sends again after a connection was lost.
        """

    def witness_conninfo(self, database: str) -> str | None:
        """Return libpq's connection string for the second witness; None where the database is out of reach."""

    def close(self) -> None:
        """Stop whatever was started for it; idempotent."""


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """The options of a target.

    Attributes:
        region: The AWS region; None leaves it to boto3's chain, and an emulation plays `DEFAULT_REGION`.
        profile: The AWS profile, for ``aws``.
        state: Where ``local`` and ``container`` keep their state.
        reset: Whether that is forgotten first.
        master_username: The cluster's master user, where the target makes the cluster.
        instance_id: The id of the bastion, where the target makes it.
        keep: Whether ``container`` leaves its containers when it is closed; a later one then goes on with them.
        postgres_image: What ``container`` makes the cluster of; None is the target's own choice.
        bastion_image: The same for the bastion.
        progress: Shows what takes long, and what was left.
        port: Where the emulated AWS listens; 0 takes a free one.
        latency: Seconds from SendCommand to the start of the command, emulated.
        faults: What is to go wrong, emulated: see `ssm_emulator.faults`.
    """

    region: str | None = None
    profile: str | None = None
    state: Path = Path(".local")
    reset: bool = False
    master_username: str = MASTER
    instance_id: str | None = None
    keep: bool = False
    postgres_image: str | None = None
    bastion_image: str | None = None
    progress: Progress = field(default_factory=NullProgress)
    port: int = 0
    latency: float = 0.0
    faults: tuple[str, ...] = ()


def open_target(name: str, options: TargetOptions) -> Target:
    """Start the target *name*; the caller closes it.

    Raises:
        TargetError: When it cannot be started, is in use, or is not known.
        ConfigError: When a fault is not known.
    """
    if name == "local":
        from etl_manager.targets.local import LocalTarget

        return LocalTarget(options)
    if name == "aws":
        from etl_manager.targets.aws import AwsTarget

        return AwsTarget(options)
    if name == "container":
        from etl_manager.targets.container import ContainerTarget

        return ContainerTarget(options)
    raise TargetError(f"the target {name!r} is not known", hint=f"Use one of: {', '.join(NAMES)}")
