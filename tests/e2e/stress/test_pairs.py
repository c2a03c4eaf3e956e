"""Two and three at once: ``make stress PAIRS=20``, or ``-k 'pair[7]'`` for one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from etl_manager.targets import TargetOptions
from etl_manager.targets.local import LocalTarget
from tests.e2e.stress.pairs import FIGURES, Place, met
from tests.support.aws import Cloud
from tests.support.project import ONCE, Project


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One account, and two projects of which one has a file more."""
    target = LocalTarget(TargetOptions(region="us-east-1", state=tmp_path_factory.mktemp("cloud")))
    cloud = Cloud(target)
    one, other = (Project(tmp_path_factory.mktemp("project") / name, cloud.environment) for name in ("one", "other"))
    other.write("sql/shared/note.sql", "-- of the other project\n")
    yield Place(one, other, cloud)
    target.close()
    target.postgres.forget()


@pytest.mark.stress
def test_pair(pair, place, record_property):
    """Each run is proven, or is told who was there before it."""
    found = met(place, pair, "features/")
    terminal = found.pop("terminal")
    record_property(FIGURES, json.dumps(found))
    assert found["as wanted"], f"{found}\n{terminal}"


@pytest.mark.parametrize("seed", range(4))
def test_harness_meets_and_all_end_as_wanted(seed, place):
    """One of each kind in every test run, of runs that do not build a second time: what `make stress` does works."""
    found = met(place, seed, *ONCE)
    assert found["as wanted"], f"{found}\n{found['terminal']}"
