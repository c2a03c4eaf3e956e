"""One PostgreSQL for all these tests, and accounts with bad days in front of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl_manager.targets.postgres import EmbeddedPostgres
from tests.support import aws, cluster
from tests.support.aws import Account
from tests.support.cluster import Cluster
from tests.support.runs import Outcome, full_run


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The cluster."""
    with cluster.server(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def account(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Account]]:
    """Open accounts; they are stopped at the test's end."""
    with aws.accounts(tmp_path_factory.mktemp("accounts"), postgres) as open_:
        yield open_


@pytest.fixture(scope="session")
def first_run(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> tuple[Account, Outcome]:
    """A run where none was before, and its account, which is stopped."""
    Cluster(postgres.conninfo).empty()
    with aws.accounts(tmp_path_factory.mktemp("first"), postgres) as open_:
        made = open_()
        return made, full_run(made, again=False)


@pytest.fixture(scope="session")
def warm(first_run: tuple[Account, Outcome]) -> Path:
    """The root of a bastion that has the workspace, for copies."""
    return first_run[0].host.root


@pytest.fixture
def warmed(account: Callable[..., Account], warm: Path, tmp_path: Path) -> Callable[..., Account]:
    """Open accounts whose bastions have the workspace."""
    numbers = itertools.count()

    def open_(*faults: str) -> Account:
        root = tmp_path / f"bastion{next(numbers)}"
        aws.copy(warm, root)
        return account(*faults, root=root)

    return open_


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[Cluster]:
    """The cluster, with nothing built on it yet; what a killed psql had it do is ended, the next test would wait for it."""
    found = Cluster(postgres.conninfo)
    found.empty()
    yield found
    found.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        database="postgres",
    )
