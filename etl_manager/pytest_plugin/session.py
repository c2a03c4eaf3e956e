"""The run of this session: opened when the first scenario needs it, closed with the session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from etl_manager import evidence
from etl_manager.config import Config
from etl_manager.errors import ProvisioningError
from etl_manager.opening import open_run
from etl_manager.provisioning import LOG, Run
from etl_manager.pytest_plugin.collection import project_config
from etl_manager.pytest_plugin.options import SETTINGS, Mode
from etl_manager.pytest_plugin.terminal import PROGRESS
from etl_manager.targets import TargetOptions, open_target


@contextlib.contextmanager
def opened(config: pytest.Config) -> Iterator[Run]:
    """Give a run on the target that the command line names; leave nothing running and nothing on the bastion.

    Raises:
        ProvisioningError: When the target cannot be started, or the environment cannot be found.
    """
    settings, project = config.stash[SETTINGS], project_config(config)
    progress = config.stash[PROGRESS]

    def warn(line: str) -> None:
        progress.say(line)
        LOG.warning("%s", line.removeprefix("[WARNING] "))

    progress.status(f"starting the {settings.target} target")
    options = TargetOptions(
        region=settings.aws_region or project.region,
        profile=settings.aws_profile,
        state=settings.root / ".local",
        reset=settings.reset_local,
        master_username=project.master_username or "postgres",
        instance_id=project.instance_id,
    )
    target = open_target(settings.target, options)
    try:
        run = open_run(
            project,
            target,
            verify_only=settings.mode is Mode.VERIFY_ONLY,
            skip_copy=settings.skip_copy,
            progress=progress,
            attach=evidence.attach,
            warn=warn,
        )
        try:
            yield run
        finally:
            try:
                run.close()
            except ProvisioningError as error:
                warn(f"[WARNING] The clean-up on the bastion did not complete: {error.what}")
            LOG.info("SendCommands of this run: %d", run.batches.bastion.run_command.sent)
    finally:
        target.close()


@pytest.fixture(scope="session")
def project(pytestconfig: pytest.Config) -> Config:
    """The configuration of the project."""
    return project_config(pytestconfig)


@pytest.fixture(scope="session")
def opening(pytestconfig: pytest.Config) -> Iterator[Run | ProvisioningError]:
    """The run, or why there is none: asked once, so that a thousand scenarios do not each wait for a timeout."""
    with contextlib.ExitStack() as stack:
        try:
            run: Run | ProvisioningError = stack.enter_context(opened(pytestconfig))
        except ProvisioningError as error:
            run = error
        yield run


@pytest.fixture
def run(opening: Run | ProvisioningError) -> Run:
    """What the steps talk to."""
    if isinstance(opening, ProvisioningError):
        raise opening
    return opening


def pytest_provisioning_plan(config: pytest.Config) -> list[str]:
    """Make the plan: look, and change nothing in the database."""
    with opened(config) as run:
        return run.plan()
