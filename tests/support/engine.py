"""A workspace on a bastion of which nothing but the engine and psql is used."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from etl_manager.targets.postgres import EmbeddedPostgres
from tests.support.project import ROOT

Finding = tuple[str, str, str, str]


@dataclass(kw_only=True)
class Bastion:
    """A workspace, and the way from it to a database of its own."""

    DATABASE = "sql/aurora/database/create-multitenant-database.sql"
    SCHEMA = "sql/aurora/schema/create-tenant-schemas.sql"
    DATA = "sql/aurora/data/insert-sample-data.sql"
    VERIFICATION = "sql/aurora/verification/verify-setup.sql"
    INSPECTION = "sql/aurora/inspection/inspect-database.sql"
    ROWS = "sql/aurora/inspection/count-rows.sql"

    server: EmbeddedPostgres
    workspace: Path
    runtime: Path
    database: str
    config: dict[str, Any] = field(default_factory=dict)
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def configure(self, **settings: Any) -> None:
        """Write config.json anew with *settings* at its top, and this bastion's own database."""
        self.config = {"aurora": {"databaseName": self.database}} | settings
        (self.workspace / "config.json").write_text(json.dumps(self.config), encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """Return what a person's shell on the bastion holds."""
        return {
            "PATH": f"{self.server.bin_dir}:/usr/local/bin:/usr/bin:/bin",
            "TMPDIR": str(self.runtime),
            "AURORA_ENDPOINT": self.server.host,
            "AURORA_PORT": str(self.server.port),
            "AURORA_USER": self.server.user,
            "AURORA_PASSWORD": self.server.password,
        }

    def start(self, *words: str | Path, **changes: str | None) -> subprocess.Popen[str]:
        """Start a command in the workspace; a variable that is changed to None is not set."""
        environment = {name: value for name, value in (self.environment() | changes).items() if value is not None}
        process = subprocess.Popen(
            words, cwd=self.workspace, env=environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.running.append(process)
        return process

    def run(self, *words: str | Path, **changes: str | None) -> subprocess.CompletedProcess[str]:
        """Run a command in the workspace to its end."""
        process = self.start(*words, **changes)
        stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)

    def engine(self, file: str, config: str = "config.json", **changes: str | None) -> subprocess.CompletedProcess[str]:
        """Run the engine on one SQL file."""
        return self.run("scripts/2-sql-execute.sh", config, file, **changes)

    def start_engine(self, file: str, **changes: str | None) -> subprocess.Popen[str]:
        """Start the engine on one SQL file."""
        return self.start("scripts/2-sql-execute.sh", "config.json", file, **changes)

    def succeed(self, *files: str, **changes: str | None) -> str:
        """Run the engine on *files*, all of which must succeed; return the last one's stdout."""
        stdout = ""
        for file in files:
            done = self.engine(file, **changes)
            assert done.returncode == 0, done.stderr
            stdout = done.stdout
        return stdout

    def build(self, **changes: str | None) -> None:
        """Run the three phases that build."""
        self.succeed(self.DATABASE, self.SCHEMA, self.DATA, **changes)

    def connect(self, database: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        """Open an autocommitting superuser's connection."""
        return psycopg.connect(self.server.conninfo(database or self.database), autocommit=True)

    def break_things(self, *statements: str, database: str | None = None) -> None:
        """Execute *statements* behind the suite's back."""
        with self.connect(database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, query: str, *parameters: object, database: str | None = None) -> list[tuple[Any, ...]]:
        """Return what *query* finds, by a connection that has nothing to do with the engine."""
        with self.connect(database) as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()

    def drop_role(self, role: str) -> None:
        """Drop *role* as soon as its sessions have ended: the server removes what was temporary after psql is gone."""
        with self.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE usename = %s", [role]
            )
            for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
                connection.execute(sql.SQL(statement).format(sql.Identifier(role)))

    def findings(self, **changes: str | None) -> list[Finding]:
        """Run the verification; return its fourth result set."""
        return findings(self.succeed(self.VERIFICATION, **changes))

    def inspect(self, **changes: str | None) -> list[dict[str, Any]]:
        """Run the inspection; return its lines."""
        return [json.loads(line) for line in self.succeed(self.INSPECTION, **changes).splitlines()]

    def tenant_rows(self, **changes: str | None) -> dict[str, dict[str, int | None]]:
        """Run the inspection; return the rows it tells of each tenant's tables; None where not all can be seen."""
        return {line["tenant"]: line["tables"] for line in self.inspect(**changes) if line["kind"] == "tenant"}

    def waiting(self, count: int = 1, database: str | None = None) -> None:
        """Return as soon as *count* engines wait for a lock of a client; they do so for as long as the test holds it.

        For the server's own, such as autovacuum, they wait a moment now and then.
        """
        query = (
            "SELECT count(*) FROM pg_stat_activity AS engine"
            " WHERE starts_with(application_name, '2-sql-execute') AND datname = %s AND wait_event_type = 'Lock'"
            " AND EXISTS (SELECT FROM pg_stat_activity AS holder WHERE holder.backend_type = 'client backend'"
            " AND holder.pid = ANY (pg_blocking_pids(engine.pid)))"
        )
        deadline = time.monotonic() + 30
        with self.connect("postgres") as connection:
            while connection.execute(query, [database or self.database]).fetchone() != (count,):
                assert time.monotonic() < deadline, "no engine waits for a lock"
                assert all(process.poll() is None for process in self.running[-count:]), "the engine ended"


def findings(output: str) -> list[Finding]:
    """Return the fourth result set of a verification's *output*, as far as it is for people."""
    return [(tenant, thing, expected, found) for tenant, thing, expected, found, _, _ in _fourth_set(output)]


def kinds(output: str) -> list[tuple[str, str, str]]:
    """Return tenant, kind and remedy of each finding of a verification's *output*."""
    return [(tenant, kind, remedy) for tenant, _, _, _, kind, remedy in _fourth_set(output)]


def _fourth_set(output: str) -> list[list[str]]:
    table = output.split("\n\n")[3].splitlines()
    header, rows = table[0], table[2:-1]
    assert [name.strip() for name in header.split("|")] == ["tenant", "object", "expected", "found", "kind", "remedy"]
    assert table[-1] == f"({len(rows)} row{'' if len(rows) == 1 else 's'})"
    return [[cell.strip() for cell in line.split("|")] for line in rows]


_numbers = itertools.count(1)


@contextmanager
def workspace(server: EmbeddedPostgres, folder: Path) -> Iterator[Bastion]:
    """Make a workspace with the project's SQL and scripts, and in the end drop its database."""
    workspace, runtime = folder / "workspace", folder / "runtime"
    runtime.mkdir()
    for name in ("sql", "scripts"):
        shutil.copytree(ROOT / name, workspace / name)
    bastion = Bastion(
        server=server, workspace=workspace, runtime=runtime, database=f"multitenant_analytics_{next(_numbers)}"
    )
    bastion.configure()
    yield bastion
    for process in bastion.running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    with bastion.connect("postgres") as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(bastion.database)))
