"""The ``local`` target: emulated AWS, a sandbox as the bastion, embedded PostgreSQL as Aurora."""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import shutil
import threading
from pathlib import Path
from typing import IO, Any

from etl_manager.emulator import EmulatedAws, SandboxHost
from etl_manager.emulator.schedule import Schedule
from etl_manager.errors import TargetError
from etl_manager.targets import TargetOptions
from etl_manager.targets.calls import client_config
from etl_manager.targets.embedded_postgres import EmbeddedPostgres
from etl_manager.targets.private_folder import private_folder, private_path


class LocalTarget:
    """Starts everything on loopback ports, with its state in ``options.state``; one user at a time.

    Raises:
        TargetError: When the state is in use, or something does not start.
        ConfigError: When a fault is not known.
    """

    name = "local"
    emulated = True

    def __init__(self, options: TargetOptions) -> None:
        Schedule(options.faults)  # a wrong one is told before anything starts
        self.region = options.region
        self.endpoint_url: str | None = None
        self.aws: EmulatedAws | None = None
        state = options.state.absolute()
        self._lock = _lock(state)
        self.postgres = EmbeddedPostgres(state / "postgres", user=options.master_username)
        atexit.register(self.close)
        try:
            if options.reset:
                _forget(state, self.postgres)
            self._start(state, options)
        except BaseException:
            self.close()
            raise

    def client(self, service: str, *, attempts: int | None = None) -> Any:
        """Return a boto3 client of *service* that talks to this target only, whatever the environment says."""
        import boto3
        import botocore.session

        if self.aws is None:
            raise TargetError("the local target is closed")
        unheard = (None, None, None, None)  # neither the operator's profile nor their files
        variables = {"profile": unheard, "config_file": (None, None, os.devnull, None)}
        session: Any = boto3.session.Session(
            botocore_session=botocore.session.Session(session_vars=variables),
            aws_access_key_id=self.aws.access_key_id,
            aws_secret_access_key=self.aws.secret_access_key,
            region_name=self.region,
        )
        config = client_config(attempts, proxies={})
        return session.client(service, endpoint_url=self.endpoint_url, config=config)

    def witness_conninfo(self, database: str) -> str | None:
        """Return the superuser's connection string for *database*."""
        return self.postgres.conninfo(database)

    def close(self) -> None:
        """Stop the emulated AWS with what its commands left running, then PostgreSQL; the state stays."""
        if self.aws is not None:
            self.aws.stop()
            self.aws = None
        self.postgres.stop()
        self._lock.close()
        atexit.unregister(self.close)

    def _start(self, state: Path, options: TargetOptions) -> None:
        from etl_manager.emulator import moto_account

        loading = threading.Thread(target=moto_account.load, daemon=True)  # while the server starts
        loading.start()
        self.postgres.start()
        root = state / "bastion"
        if not re.fullmatch(r"[\w./-]+", str(root)):
            root = private_folder(root, "bastion")
        self.aws = EmulatedAws(
            SandboxHost(root, self.postgres.bin_dir),
            region=options.region,
            port=options.port,
            latency=options.latency,
            faults=options.faults,
            instance_id=options.instance_id,
        )
        loading.join()
        try:
            self.aws.start()
        except OSError as error:
            raise TargetError(f"port {options.port} is taken", remedy="Take another, or 0 for a free one") from error
        self.endpoint_url = self.aws.endpoint_url
        moto_account.furnish(
            account=self.aws.account,
            region=options.region,
            instance_id=self.aws.instance_id,
            host=self.postgres.host,
            port=self.postgres.port,
            username=self.postgres.user,
            password=self.postgres.password,
        )


def _lock(state: Path) -> IO[str]:
    """Take the state for ourselves; the lock goes with the process, however it ends."""
    state.mkdir(parents=True, exist_ok=True)
    file = (state / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise TargetError(
            f"{state} is in use by process {holder or 'unknown'}",
            remedy="Wait for it, end it, or use a state directory of your own",
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _forget(state: Path, postgres: EmbeddedPostgres) -> None:
    """Remove all state but the lock we hold."""
    postgres.forget()
    shutil.rmtree(private_path(state / "bastion", "bastion"), ignore_errors=True)
    for path in state.iterdir():
        if path.name != "lock":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
