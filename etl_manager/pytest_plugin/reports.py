"""What a run leaves in ``reports/``: the log and the Allure results. A run of other tests leaves nothing there."""

from __future__ import annotations

import csv
import io
import logging
import shutil
import sys
from collections.abc import Generator

import pytest
from pytest_bdd.parser import Scenario, Step

from etl_manager import evidence, provenance
from etl_manager.pytest_plugin.closing import begin
from etl_manager.pytest_plugin.collection import SCENARIO, has_scenarios, project_config
from etl_manager.pytest_plugin.logfile import RunLog
from etl_manager.pytest_plugin.options import SETTINGS, Mode
from etl_manager.pytest_plugin.staging import STAGING
from etl_manager.pytest_plugin.tally import proof
from etl_manager.pytest_plugin.writable import ALLURE_DIRECTORY, asked_directories, unwritable
from etl_manager.report import LOG, RESULTS

_log = logging.getLogger("etl_manager.run")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep allure-pytest from starting by itself.

    It would write before it is known whether scenarios are run, and what it writes would not be redacted.
    """
    if config.pluginmanager.has_plugin("allure_pytest"):
        config.stash[ALLURE_DIRECTORY] = config.option.allure_report_dir
        config.option.allure_report_dir = None


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Start the reports once it is certain that tests are run."""
    config = session.config
    settings = config.stash[SETTINGS]
    if session.testsfailed or config.option.collectonly or settings.mode is Mode.PLAN:
        return (yield)
    if not has_scenarios(session):
        _start_allure(session, None)
        return (yield)
    staging = config.stash[STAGING]
    try:
        log = RunLog(staging.folder / LOG)
        staging.show_log()
        _start_allure(session, log)
    except OSError as error:
        raise unwritable(settings.reports, str(error)) from None
    config.pluginmanager.register(log)
    config.add_cleanup(log.close)
    _log.info("%s on %s, configuration %s", settings.mode.value, settings.target, settings.config_path)
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say why there is no report where there is none."""
    if STAGING in config.stash and ALLURE_DIRECTORY not in config.stash:
        terminalreporter.section("report")
        terminalreporter.write_line("There is no report: the plugin allure_pytest, which writes the results, is off.")


def _start_allure(session: pytest.Session, log: RunLog | None) -> None:
    """Have Allure's results written where ``--alluredir`` says, and those of a run with a *log* into its report too."""
    config = session.config
    if ALLURE_DIRECTORY not in config.stash:
        return
    directories = [config.stash[STAGING].folder / RESULTS] if log else []
    for asked in asked_directories(config):
        if not (log and asked.resolve() == (config.stash[SETTINGS].reports / RESULTS).resolve()):
            directories.append(asked)
            if config.option.clean_alluredir:
                shutil.rmtree(asked, ignore_errors=True)
    if not directories:
        return
    config.option.allure_report_dir = str(directories[0])
    source = provenance.source(config.rootpath)
    tenants = project_config(config).tenants if log else ()
    recorder = evidence.start(config, directories, source=source, tenants=tenants)
    config.pluginmanager.register(Recording(recorder, log))
    if log:
        begin(session, directories, source)


class Recording:
    """Tells the recorder what happens. It is registered after Allure's listener, and so sees what that made of it."""

    def __init__(self, recorder: evidence.Recorder, log: RunLog | None) -> None:
        """Tell *recorder*; a scenario that did not hold gets its part of the *log*."""
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
                self._recorder.name(title, proof(item), (path, (line or 0) + 1))

    def pytest_bdd_before_step(self, step: Step) -> None:
        """Open the step."""
        self._begun += 1
        self._recorder.begin_step(_title(step))
        if step.datatable is not None:
            table = io.StringIO()
            csv.writer(table).writerows(step.datatable.raw())
            evidence.attach("table of the step", table.getvalue(), "csv")

    def pytest_bdd_after_step(self) -> None:
        """Close a step that passed."""
        self._recorder.end_step()

    def pytest_bdd_step_error(self, exception: Exception) -> None:
        """Close a step that did not pass."""
        self._recorder.end_step(exception)

    def pytest_bdd_after_scenario(self, scenario: Scenario) -> None:
        """Close what a skip or an interrupt left open, which no other hook tells of; write down what did not run."""
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
            self._recorder.settle_parameters(item.callspec.params if hasattr(item, "callspec") else ())
        if call.excinfo and SCENARIO in item.stash and call.when != "teardown" and not hasattr(report, "wasxfail"):
            said = "" if report.skipped or self._log is None else self._log.of_scenario()
            self._recorder.judge(call.excinfo.value, report.longreprtext, said)
        return report


def _title(step: Step) -> str:
    return f"{step.keyword} {step.name}"
