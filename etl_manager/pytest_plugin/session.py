"""The run of this session: opened when the first scenario needs it, closed with the session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from etl_manager import evidence, phases
from etl_manager.config import Config
from etl_manager.errors import EnvironmentNotOpened, ProvisioningError
from etl_manager.opening import open_run
from etl_manager.provisioning import LOG, Run
from etl_manager.pytest_plugin.collection import project_config
from etl_manager.pytest_plugin.options import SETTINGS, Mode
from etl_manager.pytest_plugin.staging import STAGING
from etl_manager.pytest_plugin.terminal import PROGRESS
from etl_manager.targets import TargetOptions, open_target

RUN = pytest.StashKey[Run]()
"""Where ``pytestconfig.stash`` keeps the `Run` once it was opened."""
TOLD = pytest.StashKey[bool]()
"""Set once a scenario has said why there is no run."""


@contextlib.contextmanager
def opened(config: pytest.Config) -> Iterator[Run]:
    """Give a run on the target that the command line names; leave nothing running and nothing on the bastion.

    Raises:
        ProvisioningError: When another run has the reports, the target cannot be started, or the environment cannot be
            found.
    """
    staging = config.stash.get(STAGING, None)
    if staging is not None and staging.refused is not None:
        raise staging.refused
    settings, project = config.stash[SETTINGS], project_config(config)
    progress = config.stash[PROGRESS]

    def warn(line: str) -> None:
        progress.say(line)
        LOG.warning("%s", line.removeprefix("[WARNING] "))

    progress.status(f"starting the {settings.target} target")
    options = TargetOptions(
        region=settings.aws_region or project.region or None,
        profile=settings.aws_profile,
        state=settings.root / ".local",
        reset=settings.reset_local,
        master_username=project.master_username or "postgres",
        instance_id=project.instance_id,
        keep=settings.keep,
        postgres_image=project.images.postgres,
        bastion_image=project.images.bastion,
        progress=progress,
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
        config.stash[RUN] = run
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
def run(opening: Run | ProvisioningError, pytestconfig: pytest.Config) -> Run:
    """What the steps talk to; where there is none, the first scenario says why and the others say so."""
    if isinstance(opening, ProvisioningError):
        if TOLD in pytestconfig.stash:
            raise EnvironmentNotOpened(opening.what.splitlines()[0])
        pytestconfig.stash[TOLD] = True
        raise opening
    return opening


def pytest_provisioning_plan(config: pytest.Config) -> list[str]:
    """Make the plan: look, and change nothing in the database."""
    with opened(config) as run:
        return run.plan()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Sum up what the run changed: a repair never passes unremarked, and neither does a run that changed nothing."""
    run = config.stash.get(RUN, None)
    if run is None or not run.reports:
        return
    terminalreporter.section("provisioning")
    changes = [change for report in run.reports.values() for change in report.changes]
    repaired = [change for change in changes if change.kind == "repaired"]
    if not changes:
        terminalreporter.write_line("Nothing was changed: everything was as the configuration says.")
    else:
        terminalreporter.write_line(f"{len(changes) - len(repaired)} created, {len(repaired)} repaired.")
    for change in repaired:
        terminalreporter.write_line(str(change), yellow=True)
    for phase in run.reports.keys() - phases.BUILT_IN.keys():
        terminalreporter.write_line(f"{phase}: was run; what it changes is not looked at.")
