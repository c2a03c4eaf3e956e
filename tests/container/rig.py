"""The bastion of a container target as tests use it: by Run Command, and behind its back."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from etl_manager import config
from etl_manager.opening import open_run
from etl_manager.progress import Silence
from etl_manager.provisioning import Run
from etl_manager.targets.container import ContainerTarget

ROOT = Path(__file__).parents[2]
UNFINISHED = {"Pending", "InProgress", "Delayed", "Cancelling"}


class Bastion:
    """The bastion container of *target*."""

    def __init__(self, target: ContainerTarget) -> None:
        assert target.aws is not None
        self.target = target
        self.instance_id = target.aws.instance_id
        self.ssm = target.client("ssm")

    def send(self, *commands: str, **parameters: str) -> str:
        """Send *commands* and return the command's id."""
        values = {"commands": list(commands)} | {name: [value] for name, value in parameters.items()}
        sent = self.ssm.send_command(
            InstanceIds=[self.instance_id], DocumentName="AWS-RunShellScript", Parameters=values
        )
        return str(sent["Command"]["CommandId"])

    def look(self, command_id: str) -> dict[str, Any]:
        """Return the invocation as it stands."""
        answer: dict[str, Any] = self.ssm.get_command_invocation(CommandId=command_id, InstanceId=self.instance_id)
        return answer

    def wait(self, command_id: str, until: Callable[[dict[str, Any]], bool] | None = None) -> dict[str, Any]:
        """Poll until the command is finished, or *until* holds; fail after 30 s."""
        deadline = time.monotonic() + 30
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
            time.sleep(0.05)
        pytest.fail(f"still {seen}")

    def run(self, *commands: str, **parameters: str) -> dict[str, Any]:
        """Send *commands* and return the finished invocation."""
        return self.wait(self.send(*commands, **parameters))

    def ping_status(self) -> str:
        """Return what SSM says of the agent."""
        [node] = self.ssm.describe_instance_information()["InstanceInformationList"]
        return str(node["PingStatus"])

    def behind(self, script: str) -> str:
        """Run *script* in the container without SSM, as root, and return what it printed; it must succeed."""
        status, output = self.target.bastion.exec_run(["sh", "-c", script])
        assert status == 0, output.decode()
        return str(output.decode())

    def processes(self, pattern: str) -> list[str]:
        """Return the processes in the container whose command line has *pattern*."""
        listed = self.behind("ps -eo pid,stat,args").splitlines()[1:]
        return [line for line in listed if pattern in line and "ps -eo" not in line and " Z" not in line]

    def eventually(self, condition: Callable[[], bool]) -> bool:
        """Wait up to 10 s for *condition*."""
        deadline = time.monotonic() + 10
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    @contextmanager
    def without(self, *programs: str) -> Iterator[None]:
        """Hide *programs*, wherever they lie in the container."""
        words = shlex.join(programs)
        self.behind(f"for name in {words}; do while p=$(type -P $name); do mv $p $p.hidden; hash -r; done; done")
        try:
            yield
        finally:
            self.behind("for p in /usr/bin/*.hidden /bin/*.hidden; do [ ! -e $p ] || mv $p ${p%.hidden}; done")

    @contextmanager
    def opened(self) -> Iterator[Run]:
        """Open a run of the project's own configuration on the target, and close it."""
        warnings: list[str] = []
        run = open_run(
            config.load(ROOT / "config.json", ROOT),
            self.target,
            verify_only=False,
            skip_copy=False,
            progress=Silence(),
            attach=lambda *_: None,
            warn=warnings.append,
        )
        try:
            yield run
        finally:
            run.close()
