"""One PostgreSQL for all these tests, and accounts with bad days in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from etl_manager.targets.postgres import EmbeddedPostgres
from tests.e2e.transport import rig
from tests.e2e.transport.rig import Account, Database


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The cluster."""
    with rig.server(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="session")
def account(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Account]]:
    """Open accounts; all are stopped at the end."""
    with rig.accounts(tmp_path_factory.mktemp("accounts"), postgres) as open_:
        yield open_


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Database:
    """The cluster, with nothing built on it yet."""
    found = Database(postgres)
    found.empty()
    return found
