"""Long tests, outside of ``make test``: ``make stress``, or pytest's own ``-m stress``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl_manager.targets.postgres import EmbeddedPostgres
from tests.defects import report
from tests.e2e.stress import pairs
from tests.e2e.stress.kills import FIGURES
from tests.support import aws, cluster, runs
from tests.support.aws import Account

SEEDS = int(os.environ.get("SEEDS", "200"))
"""How many schedules are run."""
KILLS = int(os.environ.get("KILLS", "100"))
"""How many runs are killed."""
PAIRS = int(os.environ.get("PAIRS", "40"))
"""How many times several meet."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out unless they are asked for by their mark."""
    if "stress" not in config.option.markexpr:
        ours = [item for item in items if item.get_closest_marker("stress")]
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each seed."""
    if "kill" in metafunc.fixturenames:
        metafunc.parametrize("kill", range(KILLS))
    elif "pair" in metafunc.fixturenames:
        metafunc.parametrize("pair", range(PAIRS))
    elif metafunc.function.__name__ == "test_schedule":
        metafunc.parametrize("seed", range(SEEDS))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Keep what was measured of the runs that were killed, and of those that met, for docs/reliability.md.

    Of all of them: some that were chosen by ``-k`` are no figures.
    """
    reports = [each for name in ("passed", "failed") for each in terminalreporter.stats.get(name, [])]
    properties = [each for each_report in reports for each in each_report.user_properties]
    met = [json.loads(text) for name, text in properties if name == pairs.FIGURES]
    if len(met) == PAIRS:
        pairs.write(met)
    measured = [json.loads(text) for name, text in properties if name == FIGURES]
    if len(measured) == KILLS:
        lines = ",\n".join(json.dumps(each) for each in sorted(measured, key=lambda each: each["seed"]))
        report.KILLS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The cluster."""
    with cluster.server(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="session")
def built(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a bastion that has the workspace; the database it built is kept as `cluster.PRISTINE`."""
    with aws.accounts(tmp_path_factory.mktemp("built"), postgres) as open_:
        root = runs.warm(open_)
    with cluster.Cluster(postgres.conninfo).connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {cluster.PRISTINE} TEMPLATE {cluster.DATABASE}".encode())
    return root


@pytest.fixture
def account(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Account]]:
    """Open accounts; they are stopped after each test."""
    with aws.accounts(tmp_path_factory.mktemp("accounts"), postgres) as open_:
        yield open_
