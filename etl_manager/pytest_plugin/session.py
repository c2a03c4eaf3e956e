"""The run of this session: started when the first scenario needs it, closed after the last one; or its plan."""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from typing import Any

import pytest

from etl_manager.config import Config
from etl_manager.errors import PhaseSkipped, ProvisioningError, reason
from etl_manager.progress import LiveLine, Progress
from etl_manager.provisioning.run import AGAIN, LOG, VERIFICATION, ProvisioningRun
from etl_manager.provisioning.startup import start_run, target_options
from etl_manager.pytest_plugin import compat, workers
from etl_manager.pytest_plugin.collection import SCENARIO, has_scenarios, project_config, whole_config
from etl_manager.pytest_plugin.options import SETTINGS, Mode
from etl_manager.pytest_plugin.staging import STAGING
from etl_manager.redaction import redact
from etl_manager.report import allure
from etl_manager.targets import open_target
from etl_manager.wording import enumeration, first_of, number_of

RUN = pytest.StashKey[ProvisioningRun]()
"""Where ``pytestconfig.stash`` keeps the run once it was started."""
PROGRESS = pytest.StashKey[Progress]()
"""Where ``pytestconfig.stash`` keeps the `Progress` of the run."""
EMULATED = pytest.StashKey[bool]()
"""Whether the target is something else than AWS; known once it was started, also where no cluster was found."""
NOT_STARTED = "The run could not start"
"""The title of the failure that is no scenario's own."""

TAGGED = {"gate": VERIFICATION, "idempotence": AGAIN}
"""Tags of scenarios that name no phase, and the part of a run that those need."""

_WANTED = pytest.StashKey[Collection[str]]()
_EXIT_STACK = pytest.StashKey[contextlib.ExitStack]()
SETUP_ERROR = pytest.StashKey[BaseException]()
"""Where ``pytestconfig.stash`` keeps what kept the run from starting."""
_FAILURE_REPORTED = pytest.StashKey[bool]()
_log = logging.getLogger("etl_manager.progress")


class TerminalProgress(LiveLine):
    """A `Progress` beside pytest's own dots."""

    def __init__(self, config: pytest.Config, clock: Callable[[], float] = time.monotonic) -> None:
        """Write through the terminal reporter of *config*, past its capturing."""
        super().__init__(self._write_uncaptured, self._is_at_terminal, clock)
        self._config = config

    def say(self, line: str) -> None:
        """Show *line* for good, in the log too."""
        _log.info("%s", line)
        super().say(line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self) -> None:
        """Take the live line away before pytest writes its dot."""
        self.erase()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Take the live line away before pytest sums up."""
        self.erase()

    def _write_uncaptured(self, text: str) -> None:
        with compat.uncaptured_terminal(self._config) as reporter:
            reporter.ensure_newline()
            reporter.write(text, flush=True)

    def _is_at_terminal(self) -> bool:
        with compat.uncaptured_terminal(self._config) as reporter:
            return bool(reporter.isatty())


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set up the progress of the run."""
    progress = config.stash[PROGRESS] = TerminalProgress(config)
    config.pluginmanager.register(progress, "provisioning-progress")


@contextlib.contextmanager
def open_run(config: pytest.Config) -> Iterator[ProvisioningRun]:
    """Start a run on the target that the command line names; at the end nothing is left running or on the bastion.

    A worker of pytest-xdist starts none, and reads what the one of all workers did.

    Raises:
        ProvisioningError: When another run has the reports, the target cannot be started, or the environment cannot be
            found.
    """
    if workers.is_worker(config):
        config.stash[RUN] = ProvisioningRun.replay(workers.record(config), whole_config(config))
        yield config.stash[RUN]
        return
    staging = config.stash.get(STAGING, None)
    if staging is not None and staging.refused is not None:
        raise staging.refused
    settings, project = config.stash[SETTINGS], whole_config(config)
    progress = config.stash[PROGRESS]
    if settings.tenants:
        chosen = f"{enumeration(settings.tenants)} of {number_of(len(project.tenants), 'tenant')}"
        progress.say(f"--tenant: only {chosen} is worked on")

    def warn(line: str) -> None:
        progress.say(line)
        LOG.warning("%s", line.removeprefix("[WARNING] "))

    progress.status(f"starting the {settings.target} target")
    options = target_options(
        project,
        region=settings.aws_region,
        profile=settings.aws_profile,
        reset=settings.reset_local,
        keep=settings.keep,
        postgres_image=project.container.images.postgres,
        bastion_image=project.container.images.bastion,
        progress=progress,
    )
    with contextlib.closing(open_target(settings.target, options)) as target:
        config.stash[EMULATED] = target.emulated
        run = start_run(
            project,
            target,
            verify_only=settings.mode is Mode.VERIFY_ONLY,
            skip_copy=settings.skip_copy,
            progress=progress,
            attach=allure.attach,
            warn=warn,
            wanted=() if config.getvalue("maxfail") else config.stash.get(_WANTED, ()),
            only_tenants=settings.tenants,
        )
        config.stash[RUN] = run
        try:
            yield run
        finally:
            run.close()
            LOG.info("SendCommands of this run: %d", run.commands_sent)


@pytest.fixture(scope="session")
def project(pytestconfig: pytest.Config) -> Config:
    """The configuration of the project."""
    return project_config(pytestconfig)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Close the run after the last scenario, and not with its fixtures: a scenario that is tried again has the same run."""
    session.config.stash[_WANTED] = _wanted(session.items)
    with contextlib.ExitStack() as closing:
        session.config.stash[_EXIT_STACK] = closing
        return (yield)


@pytest.hookimpl(tryfirst=True, specname="pytest_runtestloop")
def pytest_show_plan(session: pytest.Session) -> bool | None:
    """Show the plan instead of running the scenarios; exit 1 when it cannot be made.

    Raises:
        pytest.UsageError: When ``--plan`` is given and no feature file is selected: tests would run instead.
    """
    config = session.config
    if config.stash[SETTINGS].mode is not Mode.PLAN or config.option.collectonly or session.testsfailed:
        return None
    if not has_scenarios(session):
        raise pytest.UsageError("--plan shows what `pytest features/` would do, but no scenario is selected")
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    try:
        with open_run(config) as run:
            lines = run.plan()
    except ProvisioningError as error:
        session.testsfailed = 1
        reporter.write_line(redact(str(error)), red=True)
    else:
        for line in lines:
            reporter.write_line(redact(line))
    return True


def _wanted(items: Iterable[pytest.Item]) -> set[str]:
    """Return the parts of a run that the scenarios *items* need, by their tags."""
    tags = {mark.name for item in items if SCENARIO in item.stash for mark in item.iter_markers()}
    parts = {TAGGED.get(tag, tag) for tag in tags}
    return {VERIFICATION, *parts} if AGAIN in parts else parts


@pytest.fixture
def run(pytestconfig: pytest.Config) -> ProvisioningRun:
    """What the steps call; it is started once, so that a thousand scenarios do not each wait for a timeout."""
    stash = pytestconfig.stash
    if RUN not in stash and SETUP_ERROR not in stash:
        try:
            stash[_EXIT_STACK].enter_context(open_run(pytestconfig))
        except BaseException as error:
            stash[SETUP_ERROR] = error
            if isinstance(error, KeyboardInterrupt | pytest.exit.Exception):
                raise
    if SETUP_ERROR in stash:
        raise PhaseSkipped("the environment", reason(stash[SETUP_ERROR]), how="could not be opened")
    return stash[RUN]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Report what kept the run from starting, once, as a failure of its own: no scenario is at fault."""
    result = yield
    stash = item.config.stash
    if SETUP_ERROR in stash and _FAILURE_REPORTED not in stash and not workers.is_worker(item.config):
        stash[_FAILURE_REPORTED] = True
        _report_setup_error(item.session, stash[SETUP_ERROR])
    return result


def _report_setup_error(session: pytest.Session, error: BaseException) -> None:
    known = isinstance(error, ProvisioningError) or not isinstance(error, Exception)
    message = redact(str(error) if known else "".join(traceback.format_exception(error)))
    session.testscollected += 1
    report = pytest.TestReport(
        nodeid=f"environment::{NOT_STARTED}",
        location=("environment", None, NOT_STARTED),
        keywords={},
        outcome="failed",
        longrepr=message,
        when="call",
    )
    session.config.hook.pytest_runtest_logreport(report=report)
    allure.record_setup_failure(NOT_STARTED, error, message)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int | pytest.ExitCode, config: pytest.Config
) -> None:
    """Show what the run changed, lost and left as it is."""
    run = config.stash.get(RUN, None)
    left = run.not_repaired if run else []
    if run is None or not (run.reports or left):
        return
    terminalreporter.section("provisioning")
    _write_changes(terminalreporter, run, proven=exitstatus == pytest.ExitCode.OK and not left)
    if left:
        terminalreporter.write_line("Not as the configuration says, and left as it is:", red=True)
    for line in first_of([difference.with_hint for difference in left]):
        terminalreporter.write_line(redact(f"  {line}"), red=True)


def _write_changes(terminalreporter: pytest.TerminalReporter, run: ProvisioningRun, *, proven: bool) -> None:
    """Say what the run changed; that all was as it should be is said of a run that is *proven* only."""
    changes = [change for report in run.reports.values() for change in report.changes]
    lost, repaired = ([change for change in changes if change.kind == kind] for kind in ("lost", "repaired"))
    if not changes:
        as_configured = ": everything was as the configuration says" if proven and run.reports else ""
        terminalreporter.write_line(f"Nothing was changed{as_configured}.")
    else:
        counts = f"{len(changes) - len(repaired) - len(lost)} created, {len(repaired)} repaired"
        terminalreporter.write_line(counts + (f", {len(lost)} lost." if lost else "."))
    for change in lost:
        terminalreporter.write_line(str(change), red=True)
    for change in repaired:
        terminalreporter.write_line(str(change), yellow=True)
    for phase in sorted(run.reports.keys() & set(run.config.own_phases)):
        terminalreporter.write_line(f"{phase}: was run; what it changes is not looked at.")
