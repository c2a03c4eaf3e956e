"""Commands sent by the SSM client itself, as a stranger's program would: nothing of the suite is between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

UNFINISHED = {"Pending", "InProgress", "Delayed", "Cancelling"}


class Commands:
    """Sends commands to *instance_id* by *ssm* and looks at them; *patience* bounds a wait, in seconds."""

    ssm: Any
    instance_id: str
    patience: float = 20

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
