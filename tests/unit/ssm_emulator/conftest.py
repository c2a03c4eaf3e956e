"""An emulator on a sandbox: what Run Command's own tests need."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from ssm_emulator import SandboxHost, SsmEmulator
from tests.support.aws import Commands

INSTANCE = "i-0123456789abcdef0"
REGION = "eu-west-1"


class Bastion(Commands):
    """An emulator with one instance, and a client of its SSM."""

    def __init__(self, aws: SsmEmulator, root: Path) -> None:
        self.aws = aws
        self.root = root
        self.instance_id = aws.instance_id
        self.ssm = self.client("ssm")

    def client(self, service: str, **config: Any) -> Any:
        """Return a boto3 client that sends every call once."""
        return self.aws.client(service, config=Config(retries={"total_max_attempts": 1}, **config))

    @staticmethod
    def alive(pid: str) -> bool:
        """Return whether process *pid* runs; a zombie does not."""
        try:
            return "\nState:\tZ" not in Path(f"/proc/{pid.strip()}/status").read_text()
        except FileNotFoundError:
            return False


@pytest.fixture(scope="session")
def emulate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Bastion]]:
    """Start emulated AWSs; all are stopped at the end."""
    with contextlib.ExitStack() as started:

        def start(*faults: str, latency: float = 0.0) -> Bastion:
            root = tmp_path_factory.mktemp("bastion")
            host = SandboxHost(root)
            emulator = SsmEmulator({INSTANCE: host}, region=REGION, latency=latency, faults=faults)
            return Bastion(started.enter_context(emulator), root)

        yield start


@pytest.fixture(scope="session")
def bastion(emulate: Callable[..., Bastion]) -> Bastion:
    """One without faults, shared by the tests that leave it as it is."""
    return emulate()
