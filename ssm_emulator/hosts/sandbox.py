"""A folder of this machine as the instance, with the machine's real programs.

What differs from EC2: scripts run as you and not as root, on your operating system, and ``/tmp`` is a folder of the
sandbox, as are ``/home``, ``/opt``, ``/srv`` and ``/data``. Such a path at the start of a word of a script is
rewritten before it runs; what a script prints is not rewritten back.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ssm_emulator.hosts import script_folder

# A word that begins with one of these: not a part of another path, nor of base64 text.
_OWN = re.compile(r"(?:(?<![\w./~+\])}-])(?<!\$)|(?<=:-))/(?:tmp|home|opt|srv|data)(?![\w.+-])")
_REBOOT_SECONDS = 5
_PLAIN = re.compile(r"[\w./-]+")
# A script whose file another thread's new process still holds open for writing is "busy" and cannot be run.
_starting = threading.Lock()


class SandboxHost:
    """Runs scripts inside *root*, in their own session, with nothing of your environment.

    Args:
        root: The sandbox, made when it is missing; it stands unquoted in scripts, so only plain characters.
        programs: Files that scripts find first on their PATH, each by its own name.

    Raises:
        ValueError: When *root* holds characters that mean something to a shell.
    """

    def __init__(self, root: Path, programs: Iterable[Path] = ()) -> None:
        self.root = root.absolute()
        if not _PLAIN.fullmatch(str(self.root)):
            raise ValueError(f"the sandbox {self.root} has characters in its path that mean something to a shell")
        self._programs = self.root / "usr/bin"
        self._tmp = str(self.root / "tmp")
        self._sessions: set[int] = set()
        for folder in (self._programs, Path(self._tmp)):
            folder.mkdir(parents=True, exist_ok=True)
        for program in programs:
            self._link(program.name, program)
        # Amazon Linux's sh is bash in POSIX mode; Debian's is another shell.
        self._link("sh", Path(shutil.which("bash") or "/bin/bash"))
        self.reboot()  # what a killed run left behind

    def start(
        self, script: str, working_directory: str, environment: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes]
    ) -> _ProcessGroup:
        """Write the script where the agent writes it, and run it as the agent does (AWS: amazon-ssm-agent)."""
        file = self.root / script_folder(environment) / "_script.sh"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o700)
        with _starting:
            file.write_bytes(self.map_paths(script).encode())
            process = subprocess.Popen(
                ["sh", "-c", str(file)],
                executable=self._programs / "sh",
                cwd=self.map_paths(working_directory) or "/usr/bin",
                env={**self._environment(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                umask=0o022,
            )
        self._sessions.add(process.pid)
        return _ProcessGroup(process)

    def reboot(self) -> None:
        """Kill what scripts of this sandbox left running, and wait until it is gone."""
        import psutil

        deadline = time.monotonic() + _REBOOT_SECONDS
        while (leftovers := list(self._leftovers())) and time.monotonic() < deadline:
            for process in leftovers:
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    process.kill()
            time.sleep(0.01)

    def path(self, name: str) -> Path:
        """Return where the file that scripts call *name*, such as ``/tmp/result``, really is."""
        return Path(self.map_paths(name))

    def map_paths(self, text: str) -> str:
        """Return *text* with ``/tmp`` and the like pointing into the sandbox."""
        return _OWN.sub(lambda found: f"{self.root}{found[0]}", text)

    def _environment(self) -> dict[str, str]:
        """HOME is not set, as on EC2, where the agent is a system service."""
        return {
            "PATH": f"{self._programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "TMPDIR": self._tmp,
            "LANG": "C.UTF-8",
        }

    def _leftovers(self) -> Iterator[Any]:
        """Yield the processes that have our environment, or none to be read, in a script's session.

        A process that starts a program, or is dying, shows an empty environment for a moment.
        """
        import psutil

        for process in psutil.process_iter(["environ", "status"], ad_value=None):
            environment = process.info["environ"] or {}
            if environment.get("TMPDIR") == self._tmp and "SSM_COMMAND_ID" in environment:
                yield process
            elif not environment and process.info["status"] != psutil.STATUS_ZOMBIE:
                with suppress(ProcessLookupError, PermissionError):
                    if os.getsid(process.pid) in self._sessions:
                        yield process

    def _link(self, name: str, program: Path) -> None:
        link = self._programs / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)


class _ProcessGroup:
    """A started script and its process group."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def wait(self, timeout: float) -> int | None:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
