"""A real container engine, the images where there are none, and a container target to test on.

Where containers cannot run, these tests are skipped with the reason; with CONTAINERS_REQUIRED=1 that is a failure.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etl_manager.errors import TargetError
from etl_manager.progress import NullProgress
from etl_manager.targets import TargetOptions
from etl_manager.targets.container import LABEL, ContainerStack, ContainerTarget, key_of
from etl_manager.targets.container_engine import Engine, ImageResolver
from tests.e2e.container.rig import Bastion
from tests.support.project import ROOT, Project

REQUIRED = "CONTAINERS_REQUIRED"
STATE = ".local/container"
"""Where a project's container target keeps its state."""


def unavailable(reason: str) -> None:
    """Skip, or fail where containers should run."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, and no container can run here: {reason}", pytrace=False)
    pytest.skip(f"no container can run here: {reason}")


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """An engine on which a container runs, with the images the target needs."""
    try:
        engine = Engine.find()
    except TargetError as error:
        unavailable(str(error))
    with pytest.MonkeyPatch.context() as environment:
        # One engine for all: each start of Podman's takes its time.
        environment.setenv("DOCKER_HOST", engine.client_words["environment"]["DOCKER_HOST"])
        try:
            _prepare(engine)
            yield engine
        finally:
            engine.close()


def _prepare(engine: Engine) -> None:
    try:
        ImageResolver(engine, NullProgress().status).postgres(None)
    except TargetError as error:
        built = subprocess.run([ROOT / "containers/base-images.sh"], check=False, capture_output=True, text=True)
        if built.returncode != 0:
            unavailable(f"{error.message}; {built.stderr.strip()[-500:]}")
    try:
        image = ImageResolver(engine, NullProgress().status).bastion(None)
        engine.client.containers.run(image, ["true"], remove=True, network_mode="none")
    except Exception as error:  # noqa: BLE001  # whatever keeps it from running is the reason
        unavailable(str(error))


@pytest.fixture(scope="module")
def start(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., ContainerTarget]]:
    """Start container targets, each with a state of its own; all are closed at the end."""
    with contextlib.ExitStack() as started:

        def start(**options: Any) -> ContainerTarget:
            state = tmp_path_factory.mktemp("state")
            target = ContainerTarget(TargetOptions(region="eu-west-1", **({"state": state} | options)))
            started.callback(target.close)
            return target

        yield start


@pytest.fixture(scope="module")
def target(start: Callable[..., ContainerTarget]) -> ContainerTarget:
    """One that the tests of a module share; each leaves it as it was."""
    return start()


@pytest.fixture(scope="module")
def bastion(target: ContainerTarget) -> Bastion:
    """The shared target's bastion."""
    return Bastion(target)


@pytest.fixture
def left(engine: Engine) -> Callable[[Path], list[str]]:
    """Tell which containers and networks of a project's state are there."""

    def left(project: Path) -> list[str]:
        labelled = {"label": f"{LABEL}={key_of(project / STATE)}"}
        found = engine.client.containers.list(all=True, ignore_removed=True, filters=labelled)
        return sorted(each.name for each in [*found, *engine.client.networks.list(filters=labelled)])

    return left


@pytest.fixture(scope="module")
def project(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the project whose runs use the container target; what a failed test leaves goes at the end."""
    project = Project(tmp_path_factory.mktemp("project") / "suite", {"PROVISION_TARGET": "container"})
    yield project
    ContainerStack(engine, project.path / STATE, kept=False).remove()
