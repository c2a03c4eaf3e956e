"""A copy of the project for real runs of ``pytest features/``: the developer's own state and reports are not touched."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from etl_manager.targets.local import LocalTarget
from etl_manager.targets.postgres import EmbeddedPostgres
from ssm_emulator import SandboxHost
from tests.support import forks
from tests.support.forks import Process

ROOT = Path(__file__).parents[3]
DATABASE = "multitenant_analytics"
PRISTINE = "pristine"
"""A copy of the database as it was built; `Cluster.restore` goes back to it."""
NO_PLUGINS = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""Of those a run finds here, Hypothesis's is the developers' only, and the cache would be left in the project."""
TENANTS = ("tenant_a", "tenant_b", "tenant_c")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its exit status, what the terminal showed, run.log, and all that Allure was given."""

    status: int
    terminal: str
    log: str
    evidence: str

    @classmethod
    def read(cls, status: int, terminal: str, reports: Path) -> Outcome:
        """Read what a run left in *reports*; what it did not leave is empty."""
        log = reports / "run.log"
        evidence = [path.read_text(errors="replace") for path in sorted(reports.glob("allure-results/*"))]
        return cls(status, terminal, log.read_text() if log.exists() else "", "\n".join(evidence))

    @property
    def counts(self) -> dict[str, int]:
        """The counts of the terminal's last line, as in ``2 passed, 1 failed``."""
        last = self.terminal.rstrip().splitlines()[-1]
        return {
            word: int(count) for count, word in re.findall(r"(\d+) (not applicable|\w+)", last.partition(" in ")[0])
        }

    def failures(self) -> dict[str, str]:
        """Return what the terminal shows of each scenario that failed, by its title."""
        parts = re.split(r"^_{3,} (.+?) _{3,}$", self.terminal.partition("= FAILURES =")[2], flags=re.M)
        return dict(zip(parts[1::2], parts[2::2], strict=True))


class Cluster:
    """What is in the database server, seen and changed by a superuser behind the suite's back."""

    def __init__(self, conninfo: Callable[[str], str]) -> None:
        self._conninfo = conninfo

    def connect(self, database: str = DATABASE) -> psycopg.Connection[tuple[Any, ...]]:
        """Open an autocommitting connection."""
        return psycopg.connect(self._conninfo(database), autocommit=True)

    def execute(self, *statements: str, database: str = DATABASE) -> None:
        """Execute *statements*, each in a transaction of its own; what they make is the superuser's."""
        with self.connect(database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, query: str, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Return what *query* finds."""
        with self.connect(database) as connection:
            return connection.execute(query.encode()).fetchall()

    def databases(self) -> set[str]:
        """Return the names of all databases."""
        return {name for (name,) in self.rows("SELECT datname FROM pg_database", "postgres")}

    def snapshot(self, database: str = DATABASE) -> dict[str, Any]:
        """Return all that a run could change, with the transaction that wrote it last: equal means untouched."""
        with self.connect(database) as connection:
            found: dict[str, Any] = {
                "schemas": connection.execute(
                    "SELECT nspname, nspowner, xmin::text FROM pg_namespace WHERE NOT starts_with(nspname, 'pg_') ORDER BY 1"
                ).fetchall(),
                "relations": connection.execute(
                    "SELECT oid, relname, relowner, relfilenode, xmin::text FROM pg_class WHERE oid >= 16384 ORDER BY 1"
                ).fetchall(),
            }
            for schema, table in connection.execute(
                "SELECT schemaname, tablename FROM pg_tables"
                " WHERE schemaname <> 'information_schema' AND NOT starts_with(schemaname, 'pg_')"
            ).fetchall():
                query = sql.SQL("SELECT xmin::text, ctid::text, t::text FROM {} AS t ORDER BY 2")
                found[f"{schema}.{table}"] = connection.execute(query.format(sql.Identifier(schema, table))).fetchall()
            return found

    def empty(self) -> None:
        """Go back to a cluster on which nothing was built."""
        self.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", database="postgres")

    def keep(self) -> None:
        """Remember the database as it is, for `restore`."""
        self.execute(f"CREATE DATABASE {PRISTINE} TEMPLATE {DATABASE}", database="postgres")

    def restore(self) -> None:
        """Go back to the database as `keep` saw it."""
        self.empty()
        self.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {PRISTINE} OWNER postgres", database="postgres")


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
        foreign = ("PYTEST", "PROVISION", "AWS", "CI", "BUILD_NUMBER", "COVERAGE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        env = {**kept, "COLUMNS": "120", **self.environment, **environment}
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


class Cloud(Cluster):
    """An account that outlives runs: emulated AWS in this process, so that tests see what it was asked."""

    def __init__(self, target: LocalTarget) -> None:
        super().__init__(target.witness_conninfo)  # type: ignore[arg-type]
        self.target = target
        self.ssm = target.client("ssm")
        assert target.aws is not None
        self.environment = {
            "PROVISION_TARGET": "aws",
            "AWS_ENDPOINT_URL": target.aws.endpoint_url,
            "AWS_DEFAULT_REGION": target.region,
            "AWS_ACCESS_KEY_ID": target.aws.access_key_id,
            "AWS_SECRET_ACCESS_KEY": target.aws.secret_access_key,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

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
        pages = self.ssm.get_paginator("list_commands").paginate()
        return [command for page in pages for command in page["Commands"]][::-1]

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
