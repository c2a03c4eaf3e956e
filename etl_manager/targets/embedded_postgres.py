"""A PostgreSQL server of our own on a loopback port: what stands for the Aurora cluster on the local target."""

from __future__ import annotations

import atexit
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from etl_manager import redaction
from etl_manager.errors import TargetError
from etl_manager.targets.aurora_cluster import ADMIN, NewCluster
from etl_manager.targets.postgres_binaries import programs, server_account
from etl_manager.targets.private_folder import open_to_others, private_folder, private_path
from etl_manager.targets.stale_server import stop_stale

# Aurora passwords may hold any of these; each has broken somebody's quoting.
_BITING = ":\\'$ \"%@/#&"
_ADMIN_PASSWORD = "admin-password"  # noqa: S105  # the name of its file
_START_SECONDS = 180  # a big cluster that was killed replays its log first
_STOP_SECONDS = 20


class EmbeddedPostgres:
    """One server with one data directory, kept across starts.

    TCP on 127.0.0.1 with SCRAM passwords and no Unix socket, so that everybody connects as they would to
    Aurora, and the master user may do no more than there. The wheel's server has no TLS.

    Args:
        directory: Where passwords, port and log are kept, and the data where the server's user can reach it.
        user: The master user. The superuser is `ADMIN`.
        major: PostgreSQL's major version; the wheel brings 16 and 18.
    """

    host = "127.0.0.1"

    def __init__(self, directory: Path, *, user: str = "postgres", major: int = 16) -> None:
        self.directory = directory.absolute()
        self.user = user
        self.major = major
        self.port = 0
        self.password = ""
        self.admin_password = ""
        self.bin_dir = Path()
        self._account = server_account()
        self._process: subprocess.Popen[bytes] | None = None
        closed = self._account is not None and not open_to_others(self.directory)
        self._home = private_path(self.directory, "data") if closed else self.directory
        self._data = self._home / "data"

    def start(self) -> None:
        """Start the server; a first start makes the cluster, one after a killed run stops what that left.

        Raises:
            TargetError: When the wheel is missing, the data is of another version or user, or the server does not come up.
        """
        self.bin_dir = programs(self.major, self._account)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755 if self._account else 0o700)
        if not self.known:
            self._clear()  # nobody has the password of a cluster that still is there
        if self._home != self.directory:
            private_folder(self.directory, "data")
        stop_stale(self._data)
        if (self._data / "PG_VERSION").exists():
            self._check()
        self.password, self.admin_password = map(self._secret, ("password", _ADMIN_PASSWORD))
        if not (self._data / "PG_VERSION").exists():
            NewCluster(
                bin_dir=self.bin_dir,
                account=self._account,
                environment=self._environment(),
                master=self.user,
                password=self.password,
                admin_password=self.admin_password,
            ).make(self._data)
            (self.directory / "user").unlink(missing_ok=True)  # of a cluster that is gone
            self._kept("user", lambda: self.user)
        atexit.register(self.stop)
        wanted = int(self._kept("port", lambda: "0"))
        while not self._launch(wanted):
            wanted = 0  # somebody took the port between our look and the server's
        (self.directory / "port").write_text(str(self.port))

    def stop(self) -> None:
        """Stop the server, if it runs; connections are cut, committed work is kept."""
        process, self._process = self._process, None
        if process is None:
            return
        for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, and the last word
            process.send_signal(sign)
            try:
                process.wait(_STOP_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
        atexit.unregister(self.stop)

    def forget(self) -> None:
        """Remove cluster, password and port; a server that a killed run left is stopped first."""
        self.stop()
        self._clear()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def known(self) -> bool:
        """Whether there is a cluster from an earlier start, with its password."""
        return (self.directory / "password").exists()

    def conninfo(self, database: str) -> str:
        """Return libpq's connection string for *database*, as superuser; it holds the password."""
        words = {
            "host": self.host,
            "port": self.port,
            "user": ADMIN,
            "password": self.admin_password,
            "dbname": database,
        }
        return " ".join(f"{key}='{_escaped(str(value))}'" for key, value in words.items())

    def _clear(self) -> None:
        """Remove the cluster's data, wherever it is."""
        stop_stale(self._data)
        shutil.rmtree(self._data, ignore_errors=True)
        if self._home != self.directory:
            shutil.rmtree(self._home, ignore_errors=True)

    def _check(self) -> None:
        """See that the cluster of an earlier start is the one that is wanted."""
        found = (self._data / "PG_VERSION").read_text().strip()
        problem = ""
        if found != str(self.major):
            problem = f"is PostgreSQL {found}, wanted is {self.major}"
        elif not (self.directory / _ADMIN_PASSWORD).exists():
            problem = "is of an earlier version of this project: its master user is a superuser, as on Aurora none is"
        elif (user := self._kept("user", lambda: self.user)) != self.user:
            problem = f"has the master user {user}, wanted is {self.user}"
        if problem:
            raise TargetError(
                f"the embedded cluster {problem}",
                where={"data": self._data},
                remedy="Forget it: pytest features/ --reset-local",
            )

    def _launch(self, wanted: int) -> bool:
        """Start the server process and wait until it takes connections; False when its port was just taken."""
        self.port = _free_port(self.host, wanted)
        log = self.directory / "server.log"
        settings = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 20,
            "wal_level": "logical",
        }
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [self.bin_dir / "postgres", "-D", self._data, *(f"--{k}={v}" for k, v in settings.items())],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                cwd="/", env=self._environment(), **(self._account.popen() if self._account else {}),
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None:
            if self._ready(self._process.pid):
                return True
            if time.monotonic() > deadline:
                self.stop()
                break
            time.sleep(0.01)
        said = log.read_text(errors="replace")
        if "could not bind" in said:
            return False
        raise TargetError(
            "the embedded PostgreSQL did not start", where={"log": log}, remedy=redaction.redact(said)[-2000:]
        )

    def _ready(self, pid: int) -> bool:
        """Return what postmaster.pid says: its first line is the process, its eighth the state."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        """Return what the file *name* of the directory holds; made once, for the owner's eyes only."""
        file = self.directory / name
        if not file.exists():
            part = file.with_name(f"{name}.part")
            part.unlink(missing_ok=True)
            part.touch(mode=0o600)
            part.write_text(make())
            part.rename(file)
        return file.read_text()

    def _secret(self, name: str) -> str:
        secret = self._kept(name, lambda: secrets.token_hex(8) + _BITING + secrets.token_hex(8))
        redaction.register(secret)
        return secret

    def _environment(self) -> dict[str, str]:
        """Nothing of the operator's PG* variables may reach the server."""
        return {"PATH": f"{self.bin_dir}:/usr/bin:/bin", "LC_ALL": "C"}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _free_port(host: str, wanted: int) -> int:
    """Return *wanted* when it is free, else a free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError:
            probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
