"""A copy of the project for real runs of ``pytest features/``: the developer's own state and reports are not touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etl_manager.targets.postgres import EmbeddedPostgres
from tests.support import forks
from tests.support.cluster import Cluster
from tests.support.forks import Process
from tests.support.outcome import Outcome

ROOT = Path(__file__).parents[2]
TENANTS = ("tenant_a", "tenant_b", "tenant_c")
ONCE = ("features/", "-m", "not idempotence")
"""A run that does not build a second time: half the work, where it is not the second time that is looked at."""
NO_PLUGINS = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""Of those a run finds here, Hypothesis's is the developers' only, and the cache would be left in the project."""


def shell() -> dict[str, str]:
    """Return the variables of this process without those that would lead a run elsewhere."""
    foreign = ("PYTEST", "PROVISION", "AWS", "CI", "BUILD_NUMBER", "COVERAGE")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def git(folder: Path, *words: str) -> str:
    """Run git in *folder*, as nobody in particular, and return what it prints."""
    who = ("user.name=Tester", "user.email=tester@example.com", "commit.gpgsign=false", "init.defaultBranch=main")
    options = [word for each in who for word in ("-c", each)]
    done = subprocess.run(["git", "-C", folder, *options, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class Project:
    """A copy of the project: features, SQL and configuration are its own, the code is the one under test."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Lay the copy out."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name in ("features", "sql", "scripts"):
            shutil.copytree(ROOT / name, self.path / name)
        for name in ("config.json", "conftest.py", "pytest.ini"):
            shutil.copy(ROOT / name, self.path / name)
        for name in ("etl_manager", "ssm_emulator", "steps"):
            (self.path / name).symlink_to(ROOT / name)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as the project has it."""
        loaded: dict[str, Any] = json.loads((ROOT / "config.json").read_text())
        return loaded

    def write(self, name: str, text: str | dict[str, Any]) -> str:
        """Write the file *name* and return its name."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
        return name

    def start(self, *arguments: str, **environment: str) -> Process:
        """Start ``pytest`` here with *arguments*, as a shell would: in a process group of its own."""
        env = {**shell(), "COLUMNS": "120", **self.environment, **environment}
        return forks.start("pytest", *NO_PLUGINS, *arguments, cwd=self.path, env=env)

    def run(self, *arguments: str, **environment: str) -> Outcome:
        """Run ``pytest`` here with *arguments*, to its end; reports of an earlier run are gone before."""
        shutil.rmtree(self.path / "reports", ignore_errors=True)
        return self.outcome(self.start(*(arguments or ("features/",)), **environment))

    def outcome(self, process: Process) -> Outcome:
        """Wait for *process* and return how it ended."""
        terminal, _ = process.communicate()
        return Outcome.read(process.returncode, terminal, self.path / "reports")

    @contextmanager
    def cluster(self) -> Iterator[Cluster]:
        """Start the server of the local target's state, while no run needs it, and stop it again."""
        server = EmbeddedPostgres(self.path / ".local" / "postgres")
        server.start()
        try:
            yield Cluster(server.conninfo)
        finally:
            server.stop()

    def processes(self) -> list[str]:
        """Return the command lines of processes that work here: in the project's folder, or on its data."""
        data = str(EmbeddedPostgres(self.path / ".local" / "postgres")._data)
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                place, words = str((process / "cwd").readlink()), (process / "cmdline").read_bytes()
            except OSError:
                continue
            if place.startswith((str(self.path), data)) or str(self.path).encode() in words:
                found.append(words.replace(b"\0", b" ").decode())
        return found

    def forget(self) -> None:
        """Remove what the local target keeps outside of the project's folder."""
        EmbeddedPostgres(self.path / ".local" / "postgres").forget()
