"""Real runs of ``pytest features/`` on copies of the project: the developer's own state and reports are not touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.support import aws
from tests.support.aws import Cloud
from tests.support.cluster import DATABASE, PRISTINE
from tests.support.project import ONCE, Project
from tests.support.runs import open_run


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Project]]:
    """Make copies of the project; what they keep outside of their folder goes at the end."""
    made: list[Project] = []

    def make() -> Project:
        made.append(Project(tmp_path_factory.mktemp("project") / "suite"))
        return made[-1]

    yield make
    for project in made:
        project.forget()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One account for the whole session; tests put it into the state they need."""
    with aws.cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def _built(cloud: Cloud, new_project: Callable[[], Project]) -> Project:
    project = new_project()
    project.environment = cloud.environment
    cloud.empty()
    outcome = project.run(*ONCE)
    assert outcome.status == 0, outcome.terminal
    cloud.keep()
    return project


@pytest.fixture(scope="session")
def restored(cloud: Cloud, _built: Project) -> Callable[[], Project]:
    """Give the project whose account is provisioned, as it was before anything was done to it."""

    def restore() -> Project:
        if DATABASE not in cloud.databases() or cloud.snapshot() != cloud.snapshot(PRISTINE):
            cloud.restore()
        return _built

    return restore


@pytest.fixture
def transferred(built: Project, cloud: Cloud) -> Project:
    """A project that is provisioned, and that the workspace on the bastion is of, whoever used it before."""
    with closing(open_run(cloud.target, built.path, verify_only=True)) as run:
        run.ensure("database")
    return built


@pytest.fixture
def built(restored: Callable[[], Project]) -> Project:
    """A project whose account is provisioned; it is again after each test."""
    return restored()
