"""A bastion behind an emulated AWS, and projects whose engine does what a test needs: no database is asked here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from etl_manager.aws.clients import client_config
from etl_manager.aws.discovery import Connection, Credentials
from etl_manager.bastion.session import BastionSession, RunRecords
from etl_manager.bastion.workspace import Archive
from etl_manager.ssm.run_command import RunCommand
from etl_manager.targets.emulated_aws import DEFAULT_INSTANCE
from etl_manager.targets.postgres import programs
from ssm_emulator import SandboxHost, SsmEmulator
from tests.support.transferred import TransferredProject, checkout

REGION = "eu-west-1"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[TransferredProject]:
    """A project whose engine prints which file it was given."""
    with checkout(tmp_path / "project", 'echo "ran $2"') as project:
        yield project


@dataclass
class Host:
    """The emulated AWS with its one bastion, from both sides."""

    aws: SsmEmulator
    root: Path
    client: Any
    told: list[str] = field(default_factory=list)

    @property
    def tmp(self) -> Path:
        """What stands for /tmp there."""
        return self.root / "tmp"

    @property
    def workspace(self) -> Path:
        """What stands for /tmp/workspace there."""
        return self.tmp / "workspace"

    def commands(self) -> list[dict[str, Any]]:
        """Return the commands that AWS was sent, the oldest first."""
        return self.aws.sent_commands()

    def run(self, archive: Archive, *, skip_copy: bool = False, most: int = 20_000) -> BastionSession:
        """Return a run that transfers *archive* in commands of at most *most* bytes."""
        return BastionSession(
            run_command=RunCommand(self.client, self.aws.instance_id, "/tmp/workspace", most),
            archive=archive,
            records=RunRecords(self.root / "records"),
            skip_copy=skip_copy,
            warn=self.told.append,
        )


@pytest.fixture(scope="module")
def _aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SsmEmulator, Path]]:
    root = tmp_path_factory.mktemp("bastion")
    aws = SsmEmulator({DEFAULT_INSTANCE: SandboxHost(root, [programs(16, None) / "psql"])}, region=REGION)
    aws.start()
    yield aws, root
    aws.stop()


@pytest.fixture
def host(_aws: tuple[SsmEmulator, Path]) -> Iterator[Host]:
    """A bastion on which nothing is left of another test."""
    import boto3

    aws, root = _aws
    client = boto3.client(
        "ssm",
        endpoint_url=aws.endpoint_url,
        region_name=REGION,
        aws_access_key_id=aws.access_key_id,
        aws_secret_access_key=aws.secret_access_key,
        config=client_config(1, proxies={}),
    )
    host = Host(aws, root, client)
    yield host
    remove(host.tmp)


def remove(folder: Path) -> None:
    """Empty *folder*, following no link."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            remove(path)
            path.rmdir()
        else:
            path.unlink()


@pytest.fixture
def connection() -> Connection:
    """Where nothing is."""
    return Connection(host="db.example", port=5432, credentials=Credentials("postgres", "a-password-of-the-tests"))


@pytest.fixture
def sent(host: Host) -> Callable[[], list[str]]:
    """Return a function that tells the scripts this test's runs sent."""
    before = len(host.commands())
    return lambda: ["\n".join(command["Parameters"]["commands"]) for command in host.commands()[before:]]
