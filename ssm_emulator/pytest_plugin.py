"""The fixture ``ssm_emulator``, for tests of code that calls Run Command; nothing happens where it is not asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ssm_emulator import Host, SsmEmulator


@pytest.fixture
def ssm_emulator_hosts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Host]:
    """The instances of `ssm_emulator`, by id: one, in a folder of its own. Override it for others."""
    from ssm_emulator import SandboxHost

    return {"i-0123456789abcdef0": SandboxHost(tmp_path_factory.mktemp("instance"))}


@pytest.fixture
def ssm_emulator(ssm_emulator_hosts: Mapping[str, Host], monkeypatch: pytest.MonkeyPatch) -> Iterator[SsmEmulator]:
    """An emulated AWS for one test; clients that the test makes by boto3's defaults, or by the AWS CLI, talk to it."""
    import boto3

    from ssm_emulator import SsmEmulator

    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with SsmEmulator(ssm_emulator_hosts) as emulator:
        settings = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "NO_PROXY": "127.0.0.1"}
        for name, value in {**emulator.environment, **settings}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the credentials it began with
        yield emulator
