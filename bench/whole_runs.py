"""Measure whole runs beside their limit and beside the original's way, and write ``docs/performance.md``.

usage: python -m bench.whole_runs   (or: make bench)

Environment: TENANTS, the sizes (default ``3 100 1000``); REPEATS, how often each is measured (default 3); SHOP_TENANTS,
how many tenants have 20 tables (default 1000, 0 for none).

All on one embedded server with PostgreSQL's own limits and with fsync, behind an emulated AWS: this suite (fresh, again,
verify-only), the same four SQL files by plain psql from the workspace (the limit), the original's way (four times three
SSM commands, each waited for with AWS's waiter) at 0 and 1 s of latency, and 1,000 tenants of 20 tables. Ways that are
compared are measured in turn; the load of the machine stands beside each figure, since only ratios can be relied on.
Ends with an error where a run fails.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg

from bench import page
from bench.sql_tenants import Watch, peak
from etl_manager.targets import TargetOptions
from etl_manager.targets.local import LocalTarget
from ssm_emulator import SsmEmulator
from tests.support.project import Project

ROOT = Path(__file__).parents[1]
DATABASE = "multitenant_analytics"
MANY = 10_000
"""From so many tenants on a run takes minutes."""
PHASES = {
    "database/create-multitenant-database": "postgres",
    "schema/create-tenant-schemas": DATABASE,
    "data/insert-sample-data": DATABASE,
    "verification/verify-setup": DATABASE,
}
PAGE = ROOT / "docs/performance.md"
TEMPLATE, SHOP = ROOT / "sql/aurora/tenant", ROOT / "tests/unit/sql/shop"


@dataclass
class Measured:
    """What was measured of one way; a value each time, and the load of the machine after it."""

    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    commands: int | None = None
    calls: int | None = None
    locks: int | None = None
    load: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the seconds."""
        return statistics.median(self.seconds)


class Locks(Watch):
    """Counts the locks that any one session holds, until it is left; looks every 20 ms."""

    def _look(self) -> None:
        query = "SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid() GROUP BY pid ORDER BY 1 DESC LIMIT 1"
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            while not self._done.wait(0.02):
                for (count,) in connection.execute(query):
                    self.locks = max(self.locks, count)


class Bench:
    """A running local target, and a copy of the project that is provisioned on it as on AWS."""

    def __init__(self, folder: Path) -> None:
        self.results: dict[str, dict[str, Measured]] = {}
        self._calls = 0
        self._count_calls()
        self.target = LocalTarget(TargetOptions(region="us-east-1", state=folder / "state"))
        if (aws := self.target.aws) is None:
            sys.exit("the local target did not start")
        self.aws = aws
        self.agent = self.aws.agents[self.aws.instance_id]
        self.bastion = folder / "state" / "bastion"
        self.project = Project(folder / "project").path
        self.tenants = 0
        self._aside = 0

    def _count_calls(self) -> None:
        answer = SsmEmulator.__call__

        def counted(aws: SsmEmulator, environ: Any, start_response: Any) -> Any:
            self._calls += 1
            return answer(aws, environ, start_response)

        SsmEmulator.__call__ = counted  # type: ignore[method-assign]

    def close(self) -> None:
        """Stop everything and forget it."""
        self.target.close()
        self.target.postgres.forget()

    def configure(self, tenants: int) -> None:
        """Let the project have so many tenants, and no history of runs with others: a run reads it."""
        shutil.rmtree(self.project / "reports", ignore_errors=True)
        names = [f"tenant_{number:05}" for number in range(tenants)] if tenants != 3 else None
        content = json.loads((ROOT / "config.json").read_text())
        content["tenants"] = names or ["tenant_a", "tenant_b", "tenant_c"]
        (self.project / "config.json").write_text(json.dumps(content))
        self.tenants = tenants

    def empty(self) -> None:
        """Put the database aside, as before the first run, and write what is not yet written.

        It is not dropped: ext4 without a journal searches past inodes that were freed within the last minutes, so that
        whatever makes files after the drop of a large database pays for it (Linux, fs/ext4/ialloc.c, recently_deleted).
        """
        with psycopg.connect(self.target.postgres.conninfo("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
                self._aside += 1
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [DATABASE]
                )
                connection.execute(f"ALTER DATABASE {DATABASE} RENAME TO aside_{self._aside}")
            connection.execute("CHECKPOINT")

    def measure(self, size: str, way: str, work: Callable[[], float]) -> None:
        """Do *work*, which returns its peak memory in MB, or 0, and add how long it took."""
        measured = self.results.setdefault(size, {}).setdefault(way, Measured())
        calls, commands = self._calls, len(self.aws.sent_commands())
        started = time.monotonic()
        megabytes = work()
        measured.seconds.append(time.monotonic() - started)
        measured.megabytes.append(megabytes)
        measured.commands = len(self.aws.sent_commands()) - commands
        measured.calls = self._calls - calls
        measured.load.append(os.getloadavg()[0])
        print(
            f"{size:12} {way:34} {measured.seconds[-1]:8.2f} s {megabytes:5.0f} MB {measured.commands:3} commands"
            f" {measured.calls:4} calls, load {measured.load[-1]:.1f}",
            flush=True,
        )

    def suite(self, *arguments: str) -> float:
        """Run the suite to its end; return its peak memory in MB."""
        words = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "features/",
            "-q",
            "--target",
            "aws",
            *arguments,
        ]
        environment = os.environ | self.aws.environment | {"AWS_CONFIG_FILE": os.devnull}
        with tempfile.TemporaryFile("w+") as terminal:
            process = subprocess.Popen(words, cwd=self.project, env=environment, stdout=terminal, stderr=terminal)
            megabytes = 0.0
            while process.poll() is None:
                megabytes = max(megabytes, peak(process.pid))
                time.sleep(0.05)
            if process.returncode != 0:
                terminal.seek(0)
                sys.exit(terminal.read())
        return megabytes

    @property
    def connection(self) -> dict[str, str]:
        """The engine's variables."""
        postgres = self.target.postgres
        return {
            "AURORA_ENDPOINT": postgres.host,
            "AURORA_PORT": str(postgres.port),
            "AURORA_USER": postgres.user,
            "AURORA_PASSWORD": postgres.password,
        }

    def psql(self, *files: str) -> float:
        """Run the phases' *files* (all of them where none is named) by plain psql, from the project's folder."""
        postgres = self.target.postgres
        for file in files or PHASES:
            done = subprocess.run(
                [postgres.bin_dir / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", f"sql/aurora/{file}.sql",
                 postgres.conninfo(PHASES.get(file, "postgres"))],
                cwd=self.project, check=False, capture_output=True, text=True,
            )  # fmt: skip
            if done.returncode != 0:
                sys.exit(done.stderr)
        return 0

    def original(self) -> float:
        """Send four times three commands and wait for each as ``aws ssm wait command-executed`` does: every 5 s."""
        ssm = self.target.client("ssm")
        waiter = ssm.get_waiter("command_executed")
        environment = "; ".join(f"export {name}={shlex.quote(value)}" for name, value in self.connection.items())
        for file in PHASES:
            for line in (
                "mkdir -p /tmp/workspace",
                f"test -f /tmp/workspace/sql/aurora/{file}.sql",  # the transfer: two files in the original
                f"cd /tmp/workspace && bash scripts/2-sql-execute.sh config.json sql/aurora/{file}.sql",
            ):
                sent = ssm.send_command(
                    InstanceIds=[self.aws.instance_id],
                    DocumentName="AWS-RunShellScript",
                    Parameters={"commands": [f"{environment}; {line}"]},
                )
                command = sent["Command"]["CommandId"]
                waiter.wait(CommandId=command, InstanceId=self.aws.instance_id)
        return 0

    def forget_workspace(self) -> None:
        """Go back to a bastion where no run was ever."""
        shutil.rmtree(self.bastion / "tmp" / "workspace", ignore_errors=True)

    def size(self, tenants: int, repeats: int) -> None:
        """Measure all ways that depend on the number of tenants, in turn; of many tenants each but once."""
        self.configure(tenants)
        size = f"{tenants:,}"
        self.forget_workspace()
        self.empty()
        self.measure(size, "suite, fresh, with the transfer", self.suite)
        if tenants >= MANY:
            self.measure(size, "suite, verify-only", lambda: self.suite("--verify-only"))
            self.empty()
            self.measure(size, "bare psql, fresh", self.psql)
            return
        for _ in range(repeats):
            self.empty()
            self.measure(size, "bare psql, fresh", self.psql)
            self.measure(size, "bare psql, again", self.psql)
            self.empty()
            self.measure(size, "suite, fresh", self.suite)
            self.measure(size, "suite, again", self.suite)
            self.measure(size, "suite, verify-only", lambda: self.suite("--verify-only"))

    def latencies(self) -> None:
        """Measure this suite beside the original's way, at two latencies; the latter takes a minute, so once each."""
        self.configure(3)
        self.empty()
        self.suite()
        for latency in (0, 1):
            self.agent.latency = float(latency)
            way = f"at {latency} s latency"
            self.measure("3", f"suite, again, {way}", self.suite)
            self.measure("3", f"original's way, {way}", self.original)
        self.agent.latency = 0.0

    def sql_alone(self, tenants: int, template: Path, tables: str, repeats: int) -> None:
        """Measure the SQL alone for tenants of *template*: the same DDL by psql, the build, nothing pending, the proof."""
        self.configure(tenants)
        size = f"{tenants:,} of {tables}"
        shutil.rmtree(self.project / "sql/aurora/tenant")
        shutil.copytree(template, self.project / "sql/aurora/tenant")
        ddl = "".join(
            f"CREATE SCHEMA tenant_{number:05};\nSET search_path = tenant_{number:05};\nBEGIN;\n"
            + "".join(path.read_text() for path in sorted((template / "changes").glob("*.sql")))
            + "\nCOMMIT;\n"
            for number in range(tenants)
        )
        (self.project / "sql/aurora/schema/ddl-of-all.sql").write_text(ddl)
        database, schema, data, proof = PHASES
        PHASES["schema/ddl-of-all"] = DATABASE
        for _ in range(repeats):
            for way, files in (("bare psql, DDL of all tables", ["schema/ddl-of-all"]), ("build", [schema])):
                self.empty()
                self.psql(database)
                self._with_locks(size, way, files)
            self._with_locks(size, "rows", [data])
            self._with_locks(size, "build, nothing pending", [schema])
            self._with_locks(size, "whole proof", [proof])
        del PHASES["schema/ddl-of-all"]

    def _with_locks(self, size: str, way: str, files: list[str]) -> None:
        with Locks(self.target.postgres.conninfo("postgres")) as locks:
            self.measure(size, way, lambda: self.psql(*files))
        measured = self.results[size][way]
        measured.locks = max(measured.locks or 0, locks.locks)

    def server_version(self) -> str:
        """The server's version."""
        with psycopg.connect(self.target.postgres.conninfo("postgres")) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        return str(row[0]) if row else ""


def main() -> None:
    """Measure, and write the page."""
    sizes = [int(word) for word in os.environ.get("TENANTS", "3 100 1000").split()]
    repeats = int(os.environ.get("REPEATS", "3"))
    peers = [name for name in ("sqitch", "alembic", "ansible") if shutil.which(name)]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a server would stay behind
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the server may be another user's
        bench = Bench(Path(folder))
        try:
            machine = {
                "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
                "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
                f"PostgreSQL {bench.server_version()} (embedded, fsync on, default limits)",
                "other tools (Sqitch, Alembic, Ansible)": f"installed but not measured: {', '.join(peers)}"
                if peers
                else "not installed here",
            }
            shops = int(os.environ.get("SHOP_TENANTS", "1000"))
            for work in (
                *(lambda tenants=tenants: bench.size(tenants, repeats) for tenants in sizes),
                bench.latencies,
                lambda: bench.sql_alone(max(sizes), TEMPLATE, "one table", 1),
                *([lambda: bench.sql_alone(shops, SHOP, "20 tables", 1)] if shops else []),
            ):
                work()
                PAGE.write_text(
                    page.text(bench.results, machine), encoding="utf-8"
                )  # what there is, should it be stopped
        finally:
            bench.close()


if __name__ == "__main__":
    main()
