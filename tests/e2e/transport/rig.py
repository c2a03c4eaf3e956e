"""Accounts with bad days, on one PostgreSQL, and full runs on them in this process: what the features do, step by step."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from etl_manager import config as configuration
from etl_manager.config import Config
from etl_manager.errors import ProvisioningError
from etl_manager.provisioning.run import AGAIN, VERIFICATION, ProvisioningRun
from etl_manager.provisioning.startup import start_run
from etl_manager.ssm.retry import Timeouts
from etl_manager.targets import emulated_aws
from etl_manager.targets.base import TargetOptions
from etl_manager.targets.postgres import EmbeddedPostgres
from ssm_emulator import SandboxHost, SsmEmulator

ROOT = Path(__file__).parents[3]
REGION = "us-east-1"
DATABASE = "multitenant_analytics"
PRISTINE = "pristine"
"""A copy of the database as it was built, where a test keeps one."""
BRIEF = Timeouts(
    retry_timeout=1.5,
    poll_pauses=(0.02, 1.5, 0.1),
    lookup_delays=(0.05, 0.1, 0.2),
    agent_timeout=1.0,
    cancel_timeout=5.0,
)
"""How long the runs of these tests wait."""


@dataclass
class Account:
    """An emulated account with a bastion of its own, as the target ``aws`` sees one."""

    aws: SsmEmulator
    host: SandboxHost
    postgres: EmbeddedPostgres
    name: str = "aws"
    emulated: bool = True
    region: str = REGION
    calls: set[str] = field(default_factory=set)

    @property
    def endpoint_url(self) -> str:
        """Where it answers."""
        return self.aws.endpoint_url

    def client(self, service: str, *, attempts: int | None = None) -> Any:
        """Return a client that notes down what it calls."""
        client = emulated_aws.client(self.aws, service, attempts)
        client.meta.events.register("before-call", self._note)
        return client

    def _note(self, model: Any, **_: Any) -> None:
        self.calls.add(f"{model.service_model.service_name}:{model.name}")

    def witness_conninfo(self, database: str) -> str | None:
        """Return how the second witness connects."""
        return self.postgres.conninfo(database)

    def close(self) -> None:
        """Stop it."""
        self.aws.stop()

    @property
    def tmp(self) -> Path:
        """What stands for the bastion's /tmp."""
        return self.host.path("/tmp")

    def left(self) -> list[str]:
        """Return what is in the bastion's /tmp, without the parts of names that are different each time."""
        return sorted(path.name.rpartition("-")[0] or path.name for path in self.tmp.iterdir())

    def commands(self) -> list[dict[str, Any]]:
        """Return the commands SSM was given, the oldest first; no fault meets whoever asks here."""
        return self.aws.sent_commands()

    def idle(self) -> bool:
        """Say whether no command is under way."""
        return self.aws.agents[self.aws.instance_id].idle


def as_aws(account: Account) -> Account:
    """Let *account* pass for AWS itself, with a cluster that is available."""
    account.emulated = False
    rds = account.client("rds")
    while rds.describe_db_clusters()["DBClusters"][0]["Status"] != "available":
        pass
    return account


@dataclass(frozen=True)
class Outcome:
    """How a run ended: proven, or with an error; what was said; how many commands were sent."""

    proven: bool
    error: ProvisioningError | None
    said: tuple[str, ...]
    sent: int

    @property
    def message(self) -> str:
        """What the user is told last."""
        return str(self.error or "")


class Told:
    """A `Progress` that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.seen: list[str] = []

    def say(self, line: str) -> None:
        """Remember *line*."""
        self.said.append(line)

    def status(self, line: str) -> None:
        """Remember that *line* was shown."""
        self.seen.append(line)


def project(source: Path = ROOT / "config.json", root: Path = ROOT, **transfer: Any) -> Config:
    """Return the project's configuration, its transfer changed as told."""
    loaded = configuration.load(source, root)
    return loaded.changed(bastion={"auto_transfer": loaded.transfer.model_copy(update=transfer)})


def full_run(account: Account, config: Config | None = None, timeouts: Timeouts = BRIEF) -> Outcome:
    """Build, build again, verify and close, as ``pytest features/ --target aws`` does, and judge as its sentences do."""
    config = config or project()
    told = Told()
    run: ProvisioningRun | None = None
    error: ProvisioningError | None = None
    proven = False
    try:
        run = start_run(
            config,
            account,
            verify_only=False,
            skip_copy=False,
            progress=told,
            attach=lambda *_: None,
            warn=told.say,
            wanted=(VERIFICATION, AGAIN),
            timeouts=timeouts,
        )
        for phase in config.phases[:-1]:
            run.ensure(phase.name)
        run.rerun_all_phases()
        found = run.verification()
        tables = [(tenant, "users") for tenant in config.tenants]
        counts = dict.fromkeys(tables, config.sample_data.users_per_tenant)
        proven = found.counts == counts and not any(found.of(tenant) for tenant in config.tenants)
    except ProvisioningError as caught:
        error = caught
    finally:
        if run is not None:
            run.close()
    return Outcome(proven, error, tuple(told.said), run.commands_sent if run else 0)


class Database:
    """The cluster, seen by a superuser."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres

    @contextmanager
    def connected(self, database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Give an autocommitting connection."""
        with psycopg.connect(self._postgres.conninfo(database), autocommit=True) as connection:
            yield connection

    def empty(self) -> None:
        """Go back to a cluster on which nothing was built."""
        with self.connected("postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)".encode())

    def rows(self) -> dict[str, list[int]] | None:
        """Return the ids of the users of each tenant, in order; None where there is no database."""
        with self.connected("postgres") as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                return None
        with self.connected(DATABASE) as connection:
            tables = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'users'").fetchall()
            ids = sql.SQL("SELECT user_id FROM {} ORDER BY 1")
            return {
                schema: [i for (i,) in connection.execute(ids.format(sql.Identifier(schema, "users"))).fetchall()]
                for (schema,) in sorted(tables)
            }

    def described(self) -> str:
        """Return what is there, in words."""
        rows = self.rows()
        if rows is None:
            return "no database"
        if not rows:
            return "the database, empty"
        return f"{len(rows)} tenants, {sum(map(len, rows.values()))} rows"


@contextmanager
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Give a PostgreSQL, without fsync."""
    postgres = EmbeddedPostgres(folder / "postgres")
    postgres.start()
    try:
        with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield postgres
    finally:
        postgres.stop()
        postgres.forget()


@contextmanager
def accounts(folder: Path, postgres: EmbeddedPostgres) -> Iterator[Callable[..., Account]]:
    """Give a function that opens accounts with faults; each has a bastion of its own, unless it is given a *root*."""
    opened: list[Account] = []

    def open_(*faults: str, root: Path | None = None, latency: float = 0.0) -> Account:
        host = SandboxHost(root or folder / f"bastion{len(opened)}", [postgres.bin_dir / "psql"])
        options = TargetOptions(region=REGION, faults=tuple(faults), latency=latency)
        opened.append(Account(emulated_aws.start(host, postgres, options), host, postgres))
        return opened[-1]

    try:
        yield open_
    finally:
        for account in opened:
            account.close()


def warm(account: Callable[..., Account]) -> Path:
    """Return the root of a bastion that has the workspace of the project."""
    ready = account()
    full_run(ready)
    ready.close()
    return ready.host.root


def copy(root: Path, to: Path) -> None:
    """Give the bastion at *to* what is in /tmp of the one at *root*."""
    shutil.copytree(root / "tmp", to / "tmp")


def settled(account: Account) -> None:
    """Wait until nothing is under way on the bastion of *account*, or what is will never end."""
    deadline = time.monotonic() + 5
    while not account.idle() and time.monotonic() < deadline:
        time.sleep(0.02)
