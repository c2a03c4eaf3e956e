"""How long the SQL takes for many tenants, and what it costs the server.

usage: python -m bench.sql_tenants [TENANTS] (default 10000)

Builds a cluster of its own with default limits, runs every phase twice through the engine, and prints for each run
the wall time, the server process's peak memory and the most locks it held. Ends with an error if the proof fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg

from etl_manager.targets.postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[1]
PHASES = [
    "inspection/inspect-database",
    "database/create-multitenant-database",
    "schema/create-tenant-schemas",
    "data/insert-sample-data",
    "verification/verify-setup",
]


class Watch:
    """Looks at the engine's server process until it is told to stop."""

    def __init__(self, conninfo: str) -> None:
        self.memory_mb = 0.0
        self.locks = 0
        self._conninfo = conninfo
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        query = (
            "SELECT pid, (SELECT count(*) FROM pg_locks WHERE pg_locks.pid = activity.pid)"
            " FROM pg_stat_activity AS activity WHERE starts_with(application_name, '2-sql-execute')"
        )
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            while not self._done.wait(0.05):
                for pid, locks in connection.execute(query):
                    self.locks = max(self.locks, locks)
                    self.memory_mb = max(self.memory_mb, peak(pid))


def peak(pid: int) -> float:
    """Return VmHWM in MB, of a server process with the shared buffers it touched; 0 where the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def main() -> None:
    """Run the measurement."""
    tenants = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        config.write_text(json.dumps({"tenants": [f"tenant_{number:05}" for number in range(tenants)]}))
        server = EmbeddedPostgres(Path(folder) / "server")
        server.start()
        try:
            measure(server, config, tenants)
        finally:
            server.forget()


def measure(server: EmbeddedPostgres, config: Path, tenants: int) -> None:
    """Run every phase twice, print each run, and check the proof."""
    environment = os.environ | {
        "PATH": f"{server.bin_dir}:{os.environ['PATH']}",
        "AURORA_ENDPOINT": server.host,
        "AURORA_PORT": str(server.port),
        "AURORA_USER": server.user,
        "AURORA_PASSWORD": server.password,
    }
    print(f"{tenants} tenants\n{'phase':14} {'run':>3} {'s':>7} {'MB':>6} {'locks':>6} {'output bytes':>13}")
    for run in (1, 2):
        for phase in PHASES:
            with Watch(server.conninfo("postgres")) as watch:
                started = time.monotonic()
                done = subprocess.run(
                    ["scripts/2-sql-execute.sh", config, f"sql/aurora/{phase}.sql"],
                    cwd=ROOT, env=environment, check=False, capture_output=True, text=True,
                )  # fmt: skip
                seconds = time.monotonic() - started
            if done.returncode:
                sys.exit(done.stderr)
            name = phase.partition("/")[0]
            print(f"{name:14} {run:3} {seconds:7.2f} {watch.memory_mb:6.0f} {watch.locks:6} {len(done.stdout):13}")
    if not done.stdout.endswith("+----------+-------\n(0 rows)\n\n"):
        sys.exit("the verification found differences")


if __name__ == "__main__":
    main()
