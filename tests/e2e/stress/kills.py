"""A run of ``pytest features/`` that is killed with SIGKILL at a seeded moment, and what is there after the next one."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from psycopg import sql

from etl_manager.targets.postgres import ADMIN, EmbeddedPostgres
from tests.support.aws import Cloud
from tests.support.cluster import DATABASE, PRISTINE, Cluster
from tests.support.forks import Process
from tests.support.project import Project

VICTIMS = ("suite", "shell", "psql", "postmaster", "backend", "all")
FIGURES = "kill"
"""The property of a test's report that holds what was measured; `conftest.py` collects them."""
NOISE = "sql/shared/noise.sql"
"""A file that only the killed run has: the parts of its archive are of no use to the next one."""
SESSIONS = "SELECT pid, query FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


@dataclass(frozen=True)
class Kill:
    """What is done: all of it is drawn by the seed; *moment* is a part of how long an undisturbed run takes."""

    seed: int
    victim: str
    target: str
    tenants: int
    built: bool
    noise: str
    same_archive: bool
    at_once: bool
    moment: float

    @classmethod
    def of(cls, seed: int) -> Kill:
        """Draw the kill of *seed*; six in a row are one of each victim, every tenth has 300 tenants."""
        dice = random.Random(f"kill {seed}")  # noqa: S311 - it can be repeated
        return cls(
            seed=seed,
            victim=VICTIMS[seed % len(VICTIMS)],
            target=dice.choice(("aws", "aws", "local")),
            tenants=300 if seed % 10 == 9 else 3,
            built=dice.random() < 0.4,
            noise=f"-- {dice.randbytes(30_000).hex()}\n" if dice.random() < 0.5 else "",
            same_archive=dice.random() < 0.5,
            at_once=dice.random() < 0.5,
            moment=dice.random(),
        )

    @property
    def told(self) -> str:
        """In words, for a failure."""
        facts = {**vars(self), "noise": len(self.noise)}
        return ", ".join(f"{name} {value}" for name, value in facts.items())


@dataclass
class Stage:
    """A project with its bastion and its database; *cloud* is the account it runs on, which outlives its runs, or None.

    Each of its runs is asked for *words*.
    """

    project: Project
    tenants: int
    cloud: Cloud | None
    words: tuple[str, ...]
    seconds: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Configure it and measure a run."""
        if self.tenants != 3:
            config = self.project.config | {"tenants": [f"tenant_{number:03}" for number in range(self.tenants)]}
            self.project.write("config.json", config)
        if self.cloud:
            self.project.environment = self.cloud.environment
        self.prepare(built=False)
        started = time.monotonic()
        outcome = self.project.run(*self.words)
        assert outcome.status == 0, outcome.terminal
        self.seconds = time.monotonic() - started
        with self.cluster() as cluster:
            cluster.execute(f"CREATE DATABASE {self.kept} TEMPLATE {DATABASE}", database="postgres")

    @property
    def kept(self) -> str:
        """The database as it was built, kept beside it."""
        return f"{PRISTINE}_{self.tenants}"

    @property
    def tmp(self) -> Path:
        """What stands for /tmp on the bastion."""
        return self.cloud.tmp if self.cloud else self.project.path / ".local/bastion/tmp"

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The server."""
        return self.cloud.target.postgres if self.cloud else EmbeddedPostgres(self.project.path / ".local/postgres")

    @contextmanager
    def cluster(self) -> Iterator[Cluster]:
        """Give the database, while no run is under way."""
        with nullcontext(self.cloud) if self.cloud else self.project.cluster() as found:
            yield found

    def prepare(self, *, built: bool) -> None:
        """Bring the database into the state that a run begins with: nothing, or what a run builds."""
        if self.cloud is None and not (self.project.path / ".local/postgres").exists():
            return
        with self.cluster() as cluster:
            cluster.empty()
            if built:
                cluster.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {self.kept} OWNER postgres", database="postgres")

    def processes(self) -> list[psutil.Process]:
        """Return what runs on the bastion, the oldest first."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                if environment.get("TMPDIR") == str(self.tmp) or process.cwd().startswith(f"{self.tmp}/"):
                    found.append(process)
        return sorted(found, key=lambda process: (process.create_time(), process.pid))

    def servers(self) -> list[psutil.Process]:
        """Return the postmaster and its children."""
        data = str(self.postgres._data)
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cwd() == data:
                    found.append(process)
        pids = {process.pid for process in found}
        return sorted(found, key=lambda process: process.ppid() in pids)

    def victims(self, kind: str, suite: Process) -> list[int]:
        """Return whom to kill now: nobody as long as the victim is not there."""
        with suppress(psutil.NoSuchProcess):
            here, servers = self.processes(), self.servers()
            shells = [each for each in here if any("_script.sh" in word for word in each.cmdline())]
            clients = [
                each
                for each in servers[1:]
                if "127.0.0.1(" in (title := "".join(each.cmdline())) and ADMIN not in title
            ]
            found = {
                "suite": [],
                "shell": shells[:1],
                "psql": [each for each in here if each.name() == "psql"][:1],
                "postmaster": servers[:1],
                "backend": clients[:1],
                "all": [*here, *servers] if shells else [],
            }[kind]
            pids = [each.pid for each in found]
            return [suite.pid, *pids] if kind == "suite" or (kind == "all" and pids) else pids
        return []

    def killed(self, kill: Kill) -> tuple[int, float]:
        """Start a run and kill the victim in it; return the run's exit status, and the second at which it was done.

        Where the run is over before, the moment was too late, and half of it is tried.
        """
        moment = kill.moment * self.seconds
        for _ in range(8):
            suite, started = self.project.start(*self.words), time.monotonic()
            while suite.poll() is None:
                if time.monotonic() - started >= moment and (pids := self.victims(kill.victim, suite)):
                    for pid in pids:
                        with suppress(ProcessLookupError):
                            os.kill(pid, 9)
                    seconds = time.monotonic() - started
                    if self.cloud and kill.victim in {"postmaster", "all"}:  # Aurora restarts its server
                        self.postgres.stop()
                        self.postgres.start()
                    return self.project.outcome(suite).status, seconds
                time.sleep(0.01)
            suite.communicate()
            self.prepare(built=kill.built)
            moment /= 2
        raise AssertionError(f"never met {kill.victim}: {kill.told}")

    def left(self) -> list[str]:
        """Return what a run left on the bastion beside the workspace, and sessions and processes that go on."""
        found = [path.name for path in self.tmp.iterdir() if path.name != "workspace"]
        found += [" ".join(process.cmdline()) for process in self.processes()]
        if self.cloud is None:
            return found + self.project.processes()
        deadline = time.monotonic() + 5  # a server looks every 2 s whether its client is there
        while (sessions := self.cloud.rows(SESSIONS)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found + [str(session) for session in sessions]

    def rows(self) -> dict[str, list[int]]:
        """Return the ids of the users of each tenant."""
        with self.cluster() as cluster, cluster.connect(DATABASE) as connection:
            tables = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'users'").fetchall()
            ids = sql.SQL("SELECT user_id FROM {} ORDER BY 1")
            return {
                schema: [i for (i,) in connection.execute(ids.format(sql.Identifier(schema, "users"))).fetchall()]
                for (schema,) in tables
            }


def recovered(stage: Stage, kill: Kill) -> dict[str, Any]:
    """Do *kill*, run again, and return what was found: the figures of the report."""
    stage.prepare(built=kill.built)
    noise = stage.project.path / NOISE
    try:
        if kill.noise:
            noise.write_text(kill.noise)
        ended, seconds = stage.killed(kill)
        if not kill.same_archive:
            noise.unlink(missing_ok=True)
        if not kill.at_once:
            _settled(stage.processes)
        following = stage.project.run(*stage.words)
    finally:
        noise.unlink(missing_ok=True)
    config = json.loads((stage.project.path / "config.json").read_text())
    wanted = {tenant: [*range(1, config["sampleData"]["usersPerTenant"] + 1)] for tenant in config["tenants"]}
    left, rows = stage.left(), stage.rows() if following.status == 0 or kill.built else {}
    found = {tenant: set(ids) for tenant, ids in rows.items()}
    return {
        "seed": kill.seed,
        "victim": kill.victim,
        "target": kill.target,
        "tenants": kill.tenants,
        "seconds": round(seconds, 2),
        "ended": ended,
        "proven": following.status == 0,
        "doubled": sum(len(ids) - len(found[tenant]) for tenant, ids in rows.items())
        + sum(len(ids - set(wanted.get(tenant, []))) for tenant, ids in found.items()),
        "lost": sum(len(set(ids) - found.get(tenant, set())) for tenant, ids in wanted.items() if rows or kill.built),
        "left": left,
        "why": ""
        if following.status == 0
        else next(iter(re.findall(r"^E +(.+)", following.terminal, re.M)), "see its terminal"),
        "terminal": "" if following.status == 0 else following.terminal[-6000:],
    }


def _settled(processes: Callable[[], list[psutil.Process]]) -> None:
    """Wait until nothing runs on the bastion any more, half a minute at most."""
    deadline = time.monotonic() + 30
    while processes() and time.monotonic() < deadline:
        time.sleep(0.1)
