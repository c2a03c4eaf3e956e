"""A container as the instance: scripts run in it as root, with its own ``sh``, as on EC2."""

from __future__ import annotations

import errno
import io
import os
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any

from ssm_emulator.hosts import HostUnavailableError, script_folder

# What the agent's service has on Amazon Linux 2023; HOME is not set.
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
# An exec of the engine is a process group of its own and the script replaces this shell, so $$ names the group.
_LAUNCH = 'echo $$ >"$1/pid" || exit; cd -- "$2" || exit; file=$1/_script.sh; shift 2; exec env -i "$@" sh -c "$file"'
# The kill may come before the launch has told its number.
_KILL = 'for i in 1 2 3 4 5 6 7 8 9 10; do [ -s "$1/pid" ] && break; sleep 0.1; done; kill -KILL -- "-$(cat "$1/pid")"'
_KILL_ALL = "kill -KILL -1"  # in its process namespace: all but the container's first process and this one
_KILLED = 137  # what engines say of a process that SIGKILL ended
_NOTED_SECONDS = 1.0


class ContainerHost:
    """Runs scripts inside a container by the engine's exec API.

    Args:
        client: The Docker SDK's client.
        container_id: A running container with ``sh``, ``env`` and what the scripts need.
    """

    def __init__(self, client: Any, container_id: str) -> None:
        self._client = client
        self._container = container_id

    def start(
        self, script: str, working_directory: str, environment: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes]
    ) -> _Exec:
        """Write the script where the agent writes it, and run it as the agent does (AWS: amazon-ssm-agent)."""
        folder = script_folder(environment)
        variables = [f"{name}={value}" for name, value in {**_ENVIRONMENT, **environment}.items()]
        launch = ["sh", "-c", _LAUNCH, "launch", f"/{folder}", working_directory or "/usr/bin", *variables]
        with _present():
            self._client.api.put_archive(self._container, "/", _archive(f"{folder}/_script.sh", script.encode()))
            exec_id = self._client.api.exec_create(self._container, launch, user="root")["Id"]
            stream = self._client.api.exec_start(exec_id, stream=True, demux=True)
        return _Exec(self, exec_id, stream, f"/{folder}", (stdout, stderr))

    def reboot(self) -> None:
        """Kill everything but the container's first process; files stay."""
        with suppress(HostUnavailableError):
            self.run(_KILL_ALL)

    def run(self, script: str, *words: str) -> None:
        """Run a line of shell of our own, and wait for its end.

        Raises:
            HostUnavailableError: When the container is not running.
        """
        with _present():
            exec_id = self._client.api.exec_create(self._container, ["sh", "-c", script, "agent", *words], user="root")
            self._client.api.exec_start(exec_id["Id"])

    def exit_code(self, exec_id: str) -> int:
        """Return the exit status of an exec that has ended.

        Raises:
            HostUnavailableError: When the container, and so what ran in it, was ended from outside.
        """
        with _present():
            status = self._client.api.exec_inspect(exec_id)["ExitCode"]
            gone = status is None or (status == _KILLED and not self._lives())
        if gone:
            raise HostUnavailableError(errno.EHOSTDOWN, os.strerror(errno.EHOSTDOWN), "container")
        return int(status)

    def _lives(self) -> bool:
        """Return whether the container runs and goes on running: an engine notes the end of its processes first."""
        deadline = time.monotonic() + _NOTED_SECONDS
        while self._client.api.inspect_container(self._container)["State"]["Running"]:
            if time.monotonic() > deadline:
                return True
            time.sleep(0.1)
        return False


class _Exec:
    """A script that was started by the engine, and its process group in the container."""

    def __init__(self, host: ContainerHost, exec_id: str, stream: Any, folder: str, to: tuple[IO[bytes], ...]) -> None:
        self._host = host
        self._id = exec_id
        self._folder = folder
        # The caller closes its own ends when the script has started.
        sinks = [os.dup(each.fileno()) for each in to]
        self._pump = threading.Thread(target=_pour, args=(stream, sinks), daemon=True, name=f"exec-{exec_id[:12]}")
        self._pump.start()

    def wait(self, timeout: float) -> int | None:
        self._pump.join(timeout)
        if self._pump.is_alive():
            return None
        return self._host.exit_code(self._id)

    def kill(self) -> None:
        with suppress(HostUnavailableError):
            self._host.run(_KILL, self._folder)


@contextmanager
def _present() -> Iterator[None]:
    """Take a refusal of the engine for what it nearly always is: the container is not running."""
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.APIError, requests.RequestException) as error:
        raise HostUnavailableError(errno.EHOSTDOWN, os.strerror(errno.EHOSTDOWN), "container") from error


def _pour(stream: Any, sinks: list[int]) -> None:
    """Carry both outputs of an exec to *sinks* until they end, however they end."""
    try:
        for parts in stream:
            for part, sink in zip(parts, sinks, strict=True):
                if part:
                    _write(sink, part)
    except Exception:  # noqa: BLE001, S110  # the connection broke; whether the container lives is asked next
        pass
    finally:
        for sink in sinks:
            os.close(sink)


def _write(sink: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(sink, view) :]


def _archive(name: str, content: bytes) -> bytes:
    """Return a tar with one executable file of root's and the folders above it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        parts = name.split("/")
        for depth in range(3, len(parts)):  # /var/lib is the system's own
            folder = tarfile.TarInfo("/".join(parts[:depth]))
            folder.type, folder.mode = tarfile.DIRTYPE, 0o700
            tar.addfile(folder)
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o700
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
