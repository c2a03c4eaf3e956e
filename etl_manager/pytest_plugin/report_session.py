"""Starts the report of a run with its first test; at the end it is counted, compared, summed up and given a manifest."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import nullcontext
from datetime import datetime, timezone
from pathlib import Path

import pytest

from etl_manager import git
from etl_manager.git import Repository
from etl_manager.pytest_plugin import compat, workers
from etl_manager.pytest_plugin.collection import SCENARIO, has_scenarios, project_config
from etl_manager.pytest_plugin.compat import Scenario, Step
from etl_manager.pytest_plugin.gate import SOURCE, VERDICT, promised, scenario_id
from etl_manager.pytest_plugin.options import SETTINGS, Mode
from etl_manager.pytest_plugin.reporting import RunLog
from etl_manager.pytest_plugin.session import RUN
from etl_manager.pytest_plugin.staging import (
    ALLURE_DIRECTORY,
    RUN_FOLDER,
    STAGING,
    allure_directories,
    unwritable,
)
from etl_manager.report import LOG, RESULTS, SUMMARY, VERDICT_PAGE, allure, folder
from etl_manager.report.page import headline
from etl_manager.report.results import Record
from etl_manager.report.verdict import RunVerdict, run_metadata
from etl_manager.wording import as_csv, number_of


class ReportSession:
    """Closes the report of one run, whose results are written into each of *directories*."""

    def __init__(self, session: pytest.Session, directories: Sequence[Path], made_from: Repository) -> None:
        self._directories = directories
        self._staging = session.config.stash[STAGING]
        self._source, self._digest = made_from, session.config.stash[SOURCE].sql_sha256
        self._started = _now()
        self._promised = promised(session.config)
        selected = Counter(scenario_id(item) for item in session.items if SCENARIO in item.stash)
        self._left_out = tuple((Counter(self._promised) - selected).elements())
        self._closed: tuple[RunVerdict, str] | None = None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Close the report after everybody else has written what is covered by it, and before the terminal sums up."""
        result = yield
        config = session.config
        run, verdict = config.stash.get(RUN, None), config.stash.get(VERDICT, None)
        known = run_metadata(
            project_config(config),
            config.stash[SETTINGS].target,
            run,
            source=self._source,
            digest=self._digest,
        )
        record = Record(
            run_id=verdict.run_id if verdict else secrets.token_hex(6),
            started=self._started,
            finished=_now(),
            exit_status=int(session.exitstatus),
            metadata=known,
            expected=tuple(self._promised),
            deselected=self._left_out,
        )
        with self._staging.writing():
            for directory in self._directories:
                allure.write_environment(directory, known)
            self._closed = folder.close(self._staging.folder, record)
        return result

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """Say where the verdict is, and the digest by which the evidence can be checked."""
        if self._closed is None or self._staging.failure:
            return
        assessment, digest = self._closed
        folder = os.path.relpath(config.stash[SETTINGS].reports, config.invocation_params.dir)
        found = assessment.completeness
        terminalreporter.section("report")
        if self._staging.refused:
            terminalreporter.write_line(f"{folder}/ is left as it is: this run wrote no report and no log there.")
            return
        terminalreporter.write_line(f"{headline(assessment)}: {folder}/{VERDICT_PAGE}, {folder}/{SUMMARY}")
        terminalreporter.write_line(f"Results of {found.found} of {number_of(found.expected, 'promised scenario')}.")
        terminalreporter.write_line(f"manifest sha256:{digest}")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


_log = logging.getLogger("etl_manager.run")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep allure-pytest from starting by itself.

    It would write before it is known whether scenarios are run, and what it writes would not be redacted.
    """
    if config.pluginmanager.has_plugin("allure_pytest"):
        config.stash[ALLURE_DIRECTORY] = compat.take_allure_directory(config)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Start the reports once it is certain that tests are run."""
    config = session.config
    settings = config.stash[SETTINGS]
    if session.testsfailed or config.option.collectonly or settings.mode is Mode.PLAN:
        return (yield)
    if workers.is_worker(config) or not has_scenarios(session):
        _start_allure(session, None)
        return (yield)
    staging = config.stash[STAGING]
    try:
        compat.keep_log_level(session.config)
        log = RunLog(staging.folder / LOG, staging.writing)
        staging.show_log()
        _start_allure(session, log)
    except OSError as error:
        raise unwritable(settings.reports, error) from None
    config.pluginmanager.register(log)
    config.add_cleanup(log.close)
    _log.info("%s on %s, configuration %s", settings.mode.value, settings.target, settings.config_path)
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say why there is no report where there is none."""
    if STAGING in config.stash and (failure := config.stash[STAGING].failure):
        terminalreporter.section("report")
        terminalreporter.write_line(str(unwritable(config.stash[SETTINGS].reports, failure)), red=True)
        terminalreporter.write_line("There is no report and no verdict of this run: not all of it could be written.")
    elif STAGING in config.stash and ALLURE_DIRECTORY not in config.stash:
        terminalreporter.section("report")
        terminalreporter.write_line("There is no report: the plugin allure_pytest, which writes the results, is off.")


def _start_allure(session: pytest.Session, log: RunLog | None) -> None:
    """Have Allure's results written where ``--alluredir`` says, and those of a run into its folder too.

    A run has a *log*, but in a worker, which joins what the process of the run has prepared.
    """
    config = session.config
    if ALLURE_DIRECTORY not in config.stash:
        return
    own = config.stash[RUN_FOLDER] if log or workers.is_worker(config) else None
    results = (config.stash[SETTINGS].reports / RESULTS).resolve()
    directories = [each for each in allure_directories(config) if own is None or each.resolve() != results]
    if own:
        directories.insert(0, own.folder / RESULTS)
    for directory in directories if not workers.is_worker(config) else ():
        if config.option.clean_alluredir:
            shutil.rmtree(directory, ignore_errors=True)
        allure.prepare(directory)
    if not directories:
        return
    source = git.repository(config.rootpath)
    recorder = allure.start_recording(
        config,
        directories,
        source=source,
        tenants=project_config(config).tenants if own else (),
        writing=own.writing if own else nullcontext,
    )
    config.pluginmanager.register(AllureHooks(recorder, log))
    if log:
        config.pluginmanager.register(ReportSession(session, directories, source))


class AllureHooks:
    """Passes pytest's hooks to the recorder. It is registered after Allure's listener, and so sees what that made of them."""

    def __init__(self, recorder: allure.Recorder, log: RunLog | None) -> None:
        """Pass to *recorder*; a scenario that failed gets its part of the *log*."""
        self._recorder, self._log = recorder, log
        self._begun = 0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Name the test as its scenario reads, also when its set-up fails."""
        try:
            return (yield)
        finally:
            if SCENARIO in item.stash:
                self._begun = 0
                path, line, title = item.location
                self._recorder.name(title, scenario_id(item), (path, (line or 0) + 1))

    def pytest_bdd_before_step(self, step: Step) -> None:
        """Open the step."""
        self._begun += 1
        self._recorder.begin_step(_title(step))
        if step.datatable is not None:
            allure.attach("table of the step", as_csv(step.datatable.raw()), "csv")

    def pytest_bdd_after_step(self) -> None:
        """Close a step that passed."""
        self._recorder.end_step()

    def pytest_bdd_step_error(self, exception: Exception) -> None:
        """Close a step that did not pass."""
        self._recorder.end_step(exception)

    def pytest_bdd_after_scenario(self, scenario: Scenario) -> None:
        """Close what a skip or an interrupt left open, for which there is no other hook; record what did not run."""
        self._recorder.end_step(sys.exc_info()[1])
        for step in scenario.steps[self._begun :]:
            self._recorder.skip_step(_title(step))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Say whether the database or the environment is at fault: Allure only knows asserts."""
        report = yield
        if call.when == "teardown" and SCENARIO in item.stash:
            self._recorder.settle_parameters(compat.parameters(item).keys())
        if call.excinfo and SCENARIO in item.stash and call.when != "teardown" and not hasattr(report, "wasxfail"):
            said = "" if report.skipped or self._log is None else self._log.of_scenario()
            self._recorder.set_outcome(call.excinfo.value, report.longreprtext, said)
        return report


def _title(step: Step) -> str:
    return f"{step.keyword} {step.name}"
