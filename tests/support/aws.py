"""Emulated accounts with a bastion, as the target ``aws`` meets them: what they were asked, and their bad days."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from etl_manager.targets import TargetOptions, emulated_aws
from etl_manager.targets.local import LocalTarget
from etl_manager.targets.postgres import EmbeddedPostgres
from ssm_emulator import SandboxHost, SsmEmulator
from tests.support.cluster import Cluster

REGION = "us-east-1"


def variables(aws: SsmEmulator) -> dict[str, str]:
    """Return what the shell of an operator of *aws* holds, and nothing of this machine's."""
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return {"PROVISION_TARGET": "aws", **aws.environment, **nowhere}


class Cloud(Cluster):
    """An account that outlives runs: emulated AWS in this process, so that tests see what it was asked."""

    def __init__(self, target: LocalTarget) -> None:
        super().__init__(target.witness_conninfo)  # type: ignore[arg-type]
        self.target = target
        self.ssm = target.client("ssm")
        assert target.aws is not None
        self.environment = variables(target.aws)

    @property
    def workspace(self) -> Path:
        """What stands for /tmp/workspace on the bastion."""
        return self.tmp / "workspace"

    @property
    def tmp(self) -> Path:
        """What stands for /tmp on the bastion."""
        assert self.target.aws is not None
        host = self.target.aws.agents[self.target.aws.instance_id].host
        assert isinstance(host, SandboxHost)
        return host.path("/tmp")

    def commands(self) -> list[dict[str, Any]]:
        """Return every command AWS was ever sent, the oldest first."""
        assert self.target.aws is not None
        return self.target.aws.sent_commands()

    @contextmanager
    def counted(self) -> Iterator[list[dict[str, Any]]]:
        """Give a list that holds, at the end, the commands sent meanwhile."""
        before, sent = len(self.commands()), []
        yield sent
        sent += self.commands()[before:]

    def forget_workspace(self) -> None:
        """Go back to a bastion where no run was ever."""
        for path in self.tmp.iterdir():
            path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)


@contextmanager
def cloud(state: Path) -> Iterator[Cloud]:
    """Give an account whose cluster is the local target's, in *state*."""
    target = LocalTarget(TargetOptions(region=REGION, state=state))
    try:
        yield Cloud(target)
    finally:
        target.close()
        target.postgres.forget()


@dataclass
class Account:
    """An emulated account with a bastion of its own, as the target ``aws`` sees one."""

    aws: SsmEmulator
    host: SandboxHost
    postgres: EmbeddedPostgres
    name: str = "aws"
    emulated: bool = True
    region: str = REGION
    calls: set[str] = field(default_factory=set)

    @property
    def endpoint_url(self) -> str:
        """Where it answers."""
        return self.aws.endpoint_url

    def client(self, service: str, *, attempts: int | None = None) -> Any:
        """Return a client that notes down what it calls."""
        client = emulated_aws.client(self.aws, service, attempts)
        client.meta.events.register("before-call", self._note)
        return client

    def _note(self, model: Any, **_: Any) -> None:
        self.calls.add(f"{model.service_model.service_name}:{model.name}")

    def witness_conninfo(self, database: str) -> str | None:
        """Return how the second witness connects."""
        return self.postgres.conninfo(database)

    def close(self) -> None:
        """Stop it."""
        self.aws.stop()

    @property
    def tmp(self) -> Path:
        """What stands for the bastion's /tmp."""
        return self.host.path("/tmp")

    def left(self) -> list[str]:
        """Return what is in the bastion's /tmp, without the parts of names that are different each time."""
        return sorted(path.name.rpartition("-")[0] or path.name for path in self.tmp.iterdir())

    def commands(self) -> list[dict[str, Any]]:
        """Return the commands SSM was given, the oldest first; no fault meets whoever asks here."""
        return self.aws.sent_commands()

    def idle(self) -> bool:
        """Say whether no command is under way."""
        return self.aws.agents[self.aws.instance_id].idle


def as_aws(account: Account) -> Account:
    """Let *account* pass for AWS itself, with a cluster that is available."""
    account.emulated = False
    rds = account.client("rds")
    while rds.describe_db_clusters()["DBClusters"][0]["Status"] != "available":
        pass
    return account


@contextmanager
def accounts(folder: Path, postgres: EmbeddedPostgres) -> Iterator[Callable[..., Account]]:
    """Give a function that opens accounts with faults; each has a bastion of its own, unless it is given a *root*."""
    opened: list[Account] = []

    def open_(*faults: str, root: Path | None = None, latency: float = 0.0) -> Account:
        host = SandboxHost(root or folder / f"bastion{len(opened)}", [postgres.bin_dir / "psql"])
        options = TargetOptions(region=REGION, faults=tuple(faults), latency=latency)
        opened.append(Account(emulated_aws.start(host, postgres, options), host, postgres))
        return opened[-1]

    try:
        yield open_
    finally:
        for account in opened:
            account.close()


def copy(root: Path, to: Path) -> None:
    """Give the bastion at *to* what is in /tmp of the one at *root*."""
    shutil.copytree(root / "tmp", to / "tmp")


def settled(account: Account) -> None:
    """Wait until nothing is under way on the bastion of *account*, or what is will never end."""
    deadline = time.monotonic() + 5
    while not account.idle() and time.monotonic() < deadline:
        time.sleep(0.02)


UNFINISHED = {"Pending", "InProgress", "Delayed", "Cancelling"}


class Commands:
    """Sends commands to *instance_id* by *ssm* and looks at them; *patience* bounds a wait, in seconds."""

    ssm: Any
    instance_id: str
    patience: float = 20

    def ping_status(self) -> str:
        """Return what SSM says of the agent."""
        [node] = self.ssm.describe_instance_information()["InstanceInformationList"]
        return str(node["PingStatus"])

    @staticmethod
    def eventually(condition: Callable[[], bool]) -> bool:
        """Wait up to 10 s for *condition*."""
        deadline = time.monotonic() + 10
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def send(self, *commands: str, timeout: int = 600, **parameters: str) -> str:
        """Send *commands* and return the command's id."""
        values = {"commands": list(commands)} | {name: [value] for name, value in parameters.items()}
        sent = self.ssm.send_command(
            InstanceIds=[self.instance_id],
            DocumentName="AWS-RunShellScript",
            Parameters=values,
            TimeoutSeconds=timeout,
        )
        return str(sent["Command"]["CommandId"])

    def look(self, command_id: str) -> dict[str, Any]:
        """Return the invocation as it stands."""
        answer: dict[str, Any] = self.ssm.get_command_invocation(CommandId=command_id, InstanceId=self.instance_id)
        return answer

    def wait(self, command_id: str, until: Callable[[dict[str, Any]], bool] | None = None) -> dict[str, Any]:
        """Poll until the command is finished, or *until* holds; fail when the patience is used up."""
        deadline = time.monotonic() + self.patience
        seen: dict[str, Any] = {}
        while time.monotonic() < deadline:
            try:
                seen = self.look(command_id)
            except ClientError as error:
                if error.response["Error"]["Code"] != "InvocationDoesNotExist":
                    raise
            else:
                if until(seen) if until else seen["Status"] not in UNFINISHED:
                    return seen
            time.sleep(0.02)
        pytest.fail(f"still {seen}")

    def run(self, *commands: str, **parameters: str) -> dict[str, Any]:
        """Send *commands* and return the finished invocation."""
        return self.wait(self.send(*commands, **parameters))
