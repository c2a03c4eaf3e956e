"""The machines behind Run Command: a folder of this machine, or a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Protocol


class HostUnavailableError(OSError):
    """The machine itself is gone: nothing runs on it any more, and nothing can be started."""


class RunningProcess(Protocol):
    """A script that was started, with everything it started in its process group."""

    def wait(self, timeout: float) -> int | None:
        """Return its exit status, negative for a signal; None when it still runs after *timeout* seconds.

        Raises:
            HostUnavailableError: When the machine went away under it.
        """

    def kill(self) -> None:
        """Kill the whole process group at once; harmless when it is over."""


class Host(Protocol):
    """A machine that runs scripts as the SSM agent does: one file, run by ``sh``, no stdin, a process group."""

    def start(
        self, script: str, working_directory: str, environment: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes]
    ) -> RunningProcess:
        """Start *script* with the agent's variables in *environment*.

        Args:
            script: The whole file, newline at its end.
            working_directory: Where to run it; empty is the agent's own choice.
            environment: What the agent adds: ``AWS_SSM_*`` and ``SSM_COMMAND_ID``.
            stdout: Where the output goes; the caller closes it.
            stderr: The same for errors.

        Raises:
            HostUnavailableError: When the machine is gone.
            OSError: When it cannot be started.
        """

    def reboot(self) -> None:
        """Kill everything that scripts started and left in the background; files stay."""


def script_folder(environment: Mapping[str, str]) -> str:
    """Return where the agent writes the script, below the root (AWS: amazon-ssm-agent)."""
    instance, command = environment["AWS_SSM_INSTANCE_ID"], environment["SSM_COMMAND_ID"]
    return f"var/lib/amazon/ssm/{instance}/document/orchestration/{command}/awsrunShellScript/0.awsrunShellScript"
