"""A state that was damaged by hand, by a full disk or by a power cut: it heals, or ends in one message with a remedy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from etl_manager.errors import TargetError
from etl_manager.targets import TargetOptions, open_target
from etl_manager.targets.state import remove


@pytest.fixture(scope="module")
def good():
    """The state of a run that ended well, with a table in the master user's database."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:  # where the server's user may go
        folder = Path(name)
        folder.chmod(0o755)
        target = open_target("local", TargetOptions(state=folder / "state"))
        with connected(target) as connection:
            connection.execute("CREATE TABLE kept ()")
        target.close()
        (folder / "state").rename(folder / "aside")
        yield folder


HEALED = pytest.StashKey[bool]()


@pytest.fixture
def state(good, request):
    """A copy of it, under the same path; one that is whole again serves the next test too."""
    if not (good / "state").exists():
        subprocess.run(["cp", "-a", good / "aside", good / "state"], check=True)
    yield good / "state"
    if not request.node.stash.get(HEALED, False):
        shutil.rmtree(good / "state")


def connected(target) -> psycopg.Connection:
    """Return the master user's connection, with the words that the bastion is given."""
    secret = target.client("secretsmanager").get_secret_value(SecretId="AuroraPostgresSecret")["SecretString"]
    words = {key: value for key, value in json.loads(secret).items() if key in {"host", "port", "password"}}
    return psycopg.connect(**words, user=json.loads(secret)["username"], dbname="postgres")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbage(path: Path) -> None:
    path.write_bytes(b"\xff\x00{garbage\n" * 3)


def missing(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "in it").touch()


def unreadable(path: Path) -> None:
    path.chmod(0)


def foreign(path: Path) -> None:
    os.chown(path, 12345, 12345)


DAMAGES: list[Callable[[Path], None]] = [empty, cut, garbage, missing, folder]
DAMAGES.append(foreign if os.geteuid() == 0 else unreadable)  # root reads everything
HEALS = {
    "lock": {*DAMAGES} - {folder},  # a folder may be somebody's
    "postgres/port": {*DAMAGES},
    "postgres/server.log": {*DAMAGES},
    "postgres/password": {*DAMAGES},
    "postgres/admin-password": {*DAMAGES} - {missing},  # a state of an earlier version
    "postgres/user": {*DAMAGES} - {cut},  # a master user of another name
    "postgres/data/postmaster.pid": {*DAMAGES},
    "postgres/data/pg_hba.conf": {*DAMAGES},
    "postgres/data/PG_VERSION": set(),
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", HEALS)
def test_damaged_state_heals_or_ends_in_one_message(good, state, name, damage, request):
    """What the target can make anew it does; for the rest the message says what to do. The data is never lost."""
    if name == "postgres/data/postmaster.pid":  # of a server that was killed
        (state / name).write_text(f"1\n{state}/postgres/data\n0\n5432\n\n127.0.0.1\n\nready\n")
    file = state / name
    assert file.resolve().is_relative_to(state)  # a link would lead to what is not ours to damage
    damage(file)
    if damage not in HEALS[name]:
        with pytest.raises(TargetError) as failed:
            open_target("local", TargetOptions(state=state))
        assert str(state) in str(failed.value)
        assert failed.value.hint
        remove(file)  # what is refused is left as it is, but for the damage
        subprocess.run(["cp", "-a", good / "aside" / name, file], check=True)
        request.node.stash[HEALED] = True
        return
    target = open_target("local", TargetOptions(state=state))
    try:
        with connected(target) as connection:
            kept = connection.execute("SELECT to_regclass('kept') IS NOT NULL").fetchone()
        assert kept == (not (name == "postgres/password" and damage is missing),)
        with psycopg.connect(target.witness_conninfo("postgres")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        target.close()
    request.node.stash[HEALED] = kept == (True,)
