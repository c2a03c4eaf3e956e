"""The command line as its users call it: a copy of the project, and ``python -m etl_manager local`` as its AWS."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest

from etl_manager.targets.postgres import EmbeddedPostgres
from tests.support import forks

ROOT = Path(__file__).parents[3]
BARE = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
"""What a shell of the operator's holds before anything of AWS is set."""


@pytest.fixture(scope="session")
def bare() -> dict[str, str]:
    """A shell without anything of AWS."""
    return BARE


@dataclass
class Service:
    """A local target that runs as a service, and a project beside it."""

    project: Path
    state: Path
    process: forks.Process
    exports: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """What the shell of the operator holds."""
        return BARE | {name: value for name, value in self.exports.items() if name.startswith("AWS_")}

    @property
    def tmp(self) -> Path:
        """The bastion's /tmp."""
        return self.state / "bastion/tmp"

    def start(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """Start 2-etl-manager.sh."""
        return subprocess.Popen(
            [self.project / "2-etl-manager.sh", *words], cwd=self.project, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run what 2-etl-manager.sh does once it has a Python, to its end."""
        words = ("-p", "aurora-postgresql", "-c", "config.json", *words)
        return forks.run("etl_manager", *words, cwd=self.project, env=self.environment)

    def client(self, name: str) -> Any:
        """Return a boto3 client of the service's AWS."""
        return boto3.client(
            name,
            endpoint_url=self.exports["AWS_ENDPOINT_URL"],
            region_name=self.exports["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.exports["AWS_SECRET_ACCESS_KEY"],
        )

    def commands(self) -> list[dict[str, Any]]:
        """Return what SSM's history holds, the newest first."""
        pages = self.client("ssm").get_paginator("list_commands").paginate()
        return [command for page in pages for command in page["Commands"]]

    @property
    def password(self) -> str:
        """The master user's, as the secret has it."""
        return (self.state / "postgres/password").read_text()

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """Open a superuser's connection."""
        return psycopg.connect(self.exports["DATABASE_URL"], dbname=database, autocommit=True)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, as a clone that is set up; tests share it, and leave it as it is."""
    project = tmp_path_factory.mktemp("project") / "a clone"
    for name in ("etl_manager", "ssm_emulator", "scripts", "sql"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("2-etl-manager.sh", "config.json"):
        shutil.copy2(ROOT / name, project / name)
    (project / ".venv").symlink_to(sys.prefix)
    return project


@pytest.fixture(scope="session")
def serve(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Return a function that starts services; all are ended, and leave nothing."""
    started: list[Service] = []

    def start(*options: str) -> Service:
        state = tmp_path_factory.mktemp("state")
        process = forks.start("etl_manager", "local", "--state", state, *options, cwd=project, env=BARE)
        exports = {}
        for line in process.lines("ready")[:-1]:
            word, assignment = shlex.split(line)
            assert word == "export"
            name, _, value = assignment.partition("=")
            exports[name] = value
        service = Service(project, state, process, exports)
        started.append(service)
        return service

    yield start
    for service in started:
        service.process.send_signal(signal.SIGTERM)
        service.process.communicate(30)
        assert service.process.returncode == 0
        EmbeddedPostgres(service.state / "postgres").forget()


@pytest.fixture(scope="session")
def service(serve: Callable[..., Service]) -> Service:
    """The service that tests share; its workspace and database come and go."""
    return serve()
