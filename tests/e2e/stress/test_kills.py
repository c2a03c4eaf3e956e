"""Runs that are killed anywhere, and the run after: ``make stress KILLS=100``, or ``-k 'kill[17]'`` for one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from etl_manager.targets import TargetOptions
from etl_manager.targets.local import LocalTarget
from tests.e2e.stress.kills import FIGURES, Kill, Stage, recovered
from tests.support.aws import Cloud
from tests.support.project import ONCE, Project


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stage]]:
    """Give where a kill takes place; one account for all that are on it, as for the projects of a team."""
    target = LocalTarget(TargetOptions(region="us-east-1", state=tmp_path_factory.mktemp("cloud")))
    cloud = Cloud(target)
    stages: dict[tuple[Any, ...], Stage] = {}

    def find(kill: Kill, *words: str) -> Stage:
        key = (kill.target, kill.tenants, words)
        if key not in stages:
            project = Project(tmp_path_factory.mktemp("project") / "suite")
            stages[key] = Stage(project, kill.tenants, cloud if kill.target == "aws" else None, words)
        return stages[key]

    yield find
    target.close()
    target.postgres.forget()
    for each in stages.values():
        each.project.forget()


def proven_after(stage: Callable[..., Stage], seed: int, *words: str) -> dict[str, Any]:
    """Kill as *seed* says; the next run is proven, no row is doubled or lost, nothing is left on the bastion."""
    kill = Kill.of(seed)
    print(kill.told)  # noqa: T201 - shown where it fails
    found = recovered(stage(kill, *words), kill)
    terminal = found.pop("terminal")
    print(found)  # noqa: T201
    found["failed"] = not (found["proven"] and (found["doubled"], found["lost"], found["left"]) == (0, 0, []))
    if found["failed"]:
        print(terminal)  # noqa: T201
    return found


@pytest.mark.stress
def test_kill(kill, stage, record_property):
    """Whatever is killed, and whenever: the next run ends proven."""
    found = proven_after(stage, kill, "features/")
    record_property(FIGURES, json.dumps(found))
    assert not found["failed"], found


@pytest.mark.parametrize("seed", [0, 1])
def test_harness_kills_and_the_next_run_is_proven(seed, stage):
    """Two of the many in every test run, of runs that do not build a second time: what `make stress` does works."""
    found = proven_after(stage, seed, *ONCE)
    assert not found["failed"], found
