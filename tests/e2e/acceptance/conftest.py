"""Real runs of ``pytest features/`` on copies of the project: the developer's own state and reports are not touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.support import aws
from tests.support.aws import Cloud
from tests.support.cluster import PRISTINE
from tests.support.outcome import Outcome
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
def _project(cloud: Cloud, new_project: Callable[[], Project]) -> Project:
    project = new_project()
    project.environment = cloud.environment
    return project


@pytest.fixture(scope="session")
def first_run(cloud: Cloud, _project: Project) -> Outcome:
    """The run that provisions the account, with the least configuration; what it built is kept."""
    cloud.empty()
    minimal = (Path(__file__).parent / "minimal.json").read_text()
    outcome = _project.run(*ONCE, "--config-json", _project.write("minimal.json", minimal))
    assert outcome.status == 0, outcome.terminal
    cloud.keep()
    return outcome


@pytest.fixture(scope="session")
def restored(cloud: Cloud, _project: Project, first_run: Outcome) -> Callable[[], Project]:
    """Give the project whose account is provisioned, as it was before anything was done to it."""
    pristine = cloud.snapshot(PRISTINE)

    def restore() -> Project:
        try:
            touched = cloud.snapshot() != pristine
        except psycopg.OperationalError:  # there is no database
            touched = True
        if touched:
            cloud.restore()
        return _project

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
