"""One PostgreSQL for all these tests, and accounts with bad days in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from etl_manager.targets.postgres import EmbeddedPostgres
from tests.support import aws, cluster
from tests.support.aws import Account
from tests.support.cluster import Cluster


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The cluster."""
    with cluster.server(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="session")
def account(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Account]]:
    """Open accounts; all are stopped at the end."""
    with aws.accounts(tmp_path_factory.mktemp("accounts"), postgres) as open_:
        yield open_


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Cluster:
    """The cluster, with nothing built on it yet."""
    found = Cluster(postgres.conninfo)
    found.empty()
    return found
