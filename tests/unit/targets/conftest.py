"""The local target as a service: what a person starts in one terminal, to use it from another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl_manager.targets.local import forget
from tests.support import forks
from tests.support.project import ROOT


class Service:
    """A running service on *state*, and what it printed until it was ready."""

    def __init__(self, state: Path, *arguments: str) -> None:
        self.state = state
        words = ("local", "--state", state, *arguments)
        self.process = forks.start("etl_manager", *words, cwd=ROOT, env=os.environ, errors_apart=True)
        self.lines = self.process.lines("ready")

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run *script* in a bash that took over the exported lines, and has nothing else of AWS or PostgreSQL."""
        environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "AWS_CONFIG_FILE": os.devnull}
        exports = "\n".join(self.lines[:-1])
        return subprocess.run(
            ["bash", "-euc", f"{exports}\n{script}"],
            env=environment, check=False, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def end(self, sign: int = signal.SIGTERM) -> tuple[int | None, str]:
        """Send *sign*; return the exit status, and what it said of trouble."""
        self.process.send_signal(sign)
        _, trouble = self.process.communicate(30)
        return self.process.returncode, trouble


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Start services on one state, one after the other; the last is ended and the state forgotten."""
    state = tmp_path_factory.mktemp("service") / "state"
    started: list[Service] = []

    def start(*arguments: str, state: Path = state) -> Service:
        started.append(Service(state, *arguments))
        return started[-1]

    yield start
    for service in started:
        if service.process.poll() is None:
            service.end()
    forget(state)
