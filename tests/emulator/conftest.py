"""An emulated AWS on a sandbox, without a database: what Run Command's own tests need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from etl_manager.emulator import EmulatedAws, SandboxHost
from etl_manager.targets.postgres_binaries import programs
from tests.commands import Commands

REGION = "eu-west-1"


class Bastion(Commands):
    """An emulated AWS and a client of its SSM."""

    def __init__(self, aws: EmulatedAws, root: Path) -> None:
        self.aws = aws
        self.root = root
        self.instance_id = aws.instance_id
        self.ssm = self.client("ssm")

    def client(self, service: str, **config: Any) -> Any:
        """Return a boto3 client that sends every call once."""
        return boto3.client(
            service,
            endpoint_url=self.aws.endpoint_url,
            region_name=REGION,
            aws_access_key_id=self.aws.access_key_id,
            aws_secret_access_key=self.aws.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}, proxies={}, **config),
        )

    @staticmethod
    def alive(pid: str) -> bool:
        """Return whether process *pid* runs; a zombie does not."""
        try:
            return "\nState:\tZ" not in Path(f"/proc/{pid.strip()}/status").read_text()
        except FileNotFoundError:
            return False

    @staticmethod
    def eventually(condition: Callable[[], bool]) -> bool:
        """Wait up to 10 s for *condition*."""
        deadline = time.monotonic() + 10
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def ping_status(self) -> str:
        """Return what SSM says of the agent."""
        [node] = self.ssm.describe_instance_information()["InstanceInformationList"]
        return node["PingStatus"]


@pytest.fixture(scope="session")
def emulate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Bastion]]:
    """Start emulated AWSs; all are stopped at the end."""
    started: list[EmulatedAws] = []

    def start(*faults: str, latency: float = 0.0) -> Bastion:
        root = tmp_path_factory.mktemp("bastion")
        aws = EmulatedAws(SandboxHost(root, programs(16, None)), region=REGION, latency=latency, faults=faults)
        started.append(aws)
        aws.start()
        return Bastion(aws, root)

    yield start
    for aws in started:
        aws.stop()


@pytest.fixture(scope="session")
def bastion(emulate: Callable[..., Bastion]) -> Bastion:
    """One without faults, shared by the tests that leave it as it is."""
    return emulate()
