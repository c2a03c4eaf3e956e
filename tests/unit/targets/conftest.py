"""The local target as a service: what a person starts in one terminal, to use it from another."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl_manager.targets.local import forget
from tests.support.haste import usual_places

# The command line is wired elsewhere; this is the command itself.
_COMMAND = """
import argparse
from etl_manager.cli import local as local_service
parser = argparse.ArgumentParser()
local_service.add_arguments(parser)
raise SystemExit(local_service.run(parser.parse_args()))
"""


class Service:
    """A running service and what it printed."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._printed: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def ready(self) -> Service:
        """Wait until it said so."""
        while not self.lines or self.lines[-1] != "ready":
            self.lines.append(self._printed.get(timeout=60))
        return self

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run *script* in a bash that took over the exported lines, and has nothing else of AWS or PostgreSQL."""
        environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "AWS_CONFIG_FILE": os.devnull}
        exports = "\n".join(self.lines[:-1])
        return subprocess.run(
            ["bash", "-euc", f"{exports}\n{script}"],
            env=environment, check=False, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def end(self, sign: int) -> int:
        """Send *sign*, and return the exit status."""
        self.process.send_signal(sign)
        return self.process.wait(30)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._printed.put(line.rstrip("\n"))


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Start services on one state, one after the other; the last is ended and the state forgotten."""
    state = tmp_path_factory.mktemp("service") / "state"
    started: list[Service] = []

    def start(*arguments: str) -> Service:
        started.append(Service("--state", str(state), *arguments))
        return started[-1].ready()

    yield start
    for service in started:
        service.process.terminate()
        service.process.wait(30)
    with usual_places():
        forget(state)
