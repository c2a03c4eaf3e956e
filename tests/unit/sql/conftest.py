"""A real server for the whole room, and databases on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from etl_manager.targets.postgres import EmbeddedPostgres
from tests.support import cluster
from tests.support.engine import Bastion, workspace


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server as on the local target, for the whole room."""
    with cluster.server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def bastion(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Bastion]:
    """A workspace for the default tenants, and a database that is not there yet."""
    with workspace(server, tmp_path) as bastion:
        yield bastion


@pytest.fixture(scope="session")
def original(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a database that the three building phases have built; for copying only."""
    with workspace(server, tmp_path_factory.mktemp("original")) as bastion:
        bastion.build()
        yield bastion.database


@pytest.fixture
def built(bastion: Bastion, original: str) -> Bastion:
    """A workspace for the default tenants, and a database that is built."""
    names = map(sql.Identifier, (bastion.database, original, bastion.server.user))
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(*names)
    with bastion.connect("postgres") as connection:
        connection.execute(copy)
    return bastion


@pytest.fixture
def stranger(bastion: Bastion) -> Iterator[str]:
    """Another role, that owns nothing of ours; the master user is a member of it, and so may take what it owns."""
    bastion.break_things("CREATE ROLE stranger", "GRANT stranger TO postgres", database="postgres")
    yield "stranger"
    with bastion.connect() as connection:
        connection.execute("DROP OWNED BY stranger CASCADE")
        connection.execute("DROP ROLE stranger")


@pytest.fixture
def path_with(tmp_path: Path, server: EmbeddedPostgres) -> Callable[..., str]:
    """Return a function that makes a PATH of just the programs it is given."""

    def make(*names: str, **replaced: str) -> str:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in names:
            found = shutil.which(name, path=f"{server.bin_dir}:/usr/local/bin:/usr/bin:/bin")
            assert found, name
            (folder / name).symlink_to(found)
        for name, script in replaced.items():
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)
        return str(folder)

    return make


def take(bastion: Bastion) -> Mapping[str, Any]:
    """Return everything about a database that a run could change."""
    with bastion.connect() as connection:
        return cluster.snapshot(connection)


@pytest.fixture
def snapshot() -> Callable[[Bastion], Mapping[str, Any]]:
    """Return a function that tells everything about a database that a run could change."""
    return take
