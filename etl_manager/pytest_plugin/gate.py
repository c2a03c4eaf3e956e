"""The gate before Phase 3: counts what ran against what the features promise, makes the verdict, shows and writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from datetime import datetime, timezone
from typing import cast

import pytest

from etl_manager.config import Config
from etl_manager.errors import NotApplicable
from etl_manager.gate import check
from etl_manager.gate.inputs import GateInputs
from etl_manager.gate.verdict import (
    ModeName,
    ProofLog,
    Scenarios,
    SessionInfo,
    Source,
    TargetName,
    Verdict,
    build_verdict,
    write_files,
)
from etl_manager.provisioning.run import ProvisioningRun
from etl_manager.pytest_plugin import workers
from etl_manager.pytest_plugin.collection import ROW, SCENARIO, FeatureFile, project_config, whole_config
from etl_manager.pytest_plugin.options import SETTINGS
from etl_manager.pytest_plugin.session import EMULATED, RUN
from etl_manager.pytest_plugin.staging import STAGING, runs_nothing
from etl_manager.redaction import redact
from etl_manager.report.feature_files import ScenarioId, expected_scenarios, row
from etl_manager.report.page import gate_contents, markdown
from etl_manager.wording import MOST_NAMED, first_of

NOT_APPLICABLE = "not applicable"
"""pytest's category of scenarios that this target, or this kind of run, cannot answer."""
WORST_FIRST = ("failed", "skipped", "passed", "not-applicable")


_ID = pytest.StashKey[ScenarioId]()


def scenario_id(item: pytest.Item) -> ScenarioId:
    """Return what the scenario *item* is the proof of."""
    if _ID not in item.stash:
        inside = item.path.is_relative_to(item.config.rootpath)
        file = item.path.relative_to(item.config.rootpath).as_posix() if inside else str(item.path)
        name = item.originalname if isinstance(item, pytest.Function) else item.name
        item.stash[_ID] = ScenarioId(file, name, row({str(key): str(value) for key, value in item.stash[ROW].items()}))
    return item.stash[_ID]


def promised(config: pytest.Config) -> list[ScenarioId]:
    """Return what the project's feature files promise; they are read once a run."""
    if _PROMISED not in config.stash:
        config.stash[_PROMISED] = expected_scenarios(config.rootpath, whole_config(config))
    return config.stash[_PROMISED]


def _count(outcomes: dict[ScenarioId, set[str]], expected: Sequence[ScenarioId]) -> Scenarios:
    """Count the *outcomes* of the parts and tries of each *expected* scenario, of which the worst stays.

    A scenario that is not expected proves nothing.
    """
    counts = Counter(
        next((outcome for outcome in WORST_FIRST if outcome in outcomes.get(scenario, ())), "skipped")
        for scenario in expected
    )
    return Scenarios(
        promised=len(expected),
        passed=counts["passed"],
        failed=counts["failed"],
        not_run=counts["skipped"],
        not_applicable=counts["not-applicable"],
    )


_GATE = pytest.StashKey[ProofLog]()
_INPUTS = pytest.StashKey[GateInputs]()
_PROMISED = pytest.StashKey[list[ScenarioId]]()
_OUTCOMES = pytest.StashKey[dict[ScenarioId, set[str]]]()
"""How the parts and tries of each scenario of this session went."""
SOURCE = pytest.StashKey[Source]()
_SPREAD = pytest.StashKey[dict[str, ScenarioId]]()
_RECORD_PROPERTY = pytest.StashKey[Callable[[str, object], None]]()
_NO_GATE_CASE = ("terminalreporter", "session", "lfplugin", "stepwiseplugin")
"""pytest's plugins for which the verdict is no test."""
VERDICT = pytest.StashKey[Verdict | None]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing proven."""
    config.stash[_GATE] = ProofLog()
    config.stash[_OUTCOMES] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    """Expect a verdict as soon as a feature file is collected."""
    if isinstance(collector, FeatureFile) and not runs_nothing(collector.config):
        collector.config.stash[VERDICT] = None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Note commit, SQL and configuration before the first proof; where collection failed there is no verdict."""
    config = session.config
    if VERDICT in config.stash and not session.testsfailed and not workers.is_worker(config):
        settings = config.stash[SETTINGS]
        config.stash[SOURCE] = check.source_of(settings.root, settings.config_path)
        if workers.spreads(config):
            config.stash[_SPREAD] = {item.nodeid: scenario_id(item) for item in session.items if SCENARIO in item.stash}
    return (yield)


def note_outcome(item: pytest.Item, error: BaseException | None, report: pytest.TestReport) -> None:
    """Count how the scenario *item* went, as *report* shows it, and mark the report of one that does not apply."""
    if isinstance(error, NotApplicable):
        report.user_properties.append((NOT_APPLICABLE, redact(error.message)))
    if not (outcome := _outcome(error, report)):
        return
    if workers.is_worker(item.config):
        report.scenario_outcome = outcome  # type: ignore[attr-defined] # a report may have attributes of its own
    else:
        item.config.stash[_OUTCOMES].setdefault(scenario_id(item), set()).add(outcome)


def _outcome(error: BaseException | None, report: pytest.TestReport) -> str:
    """Return how a part of a test went; empty for a part that tells nothing."""
    if isinstance(error, NotApplicable):
        return "not-applicable"
    if report.failed or report.skipped:
        return report.outcome
    return "passed" if report.when == "call" else ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count how a scenario went in a worker, as that noted it; one that died with its worker failed."""
    if (node := getattr(report, "node", None)) is None:
        return
    scenario = node.config.stash.get(_SPREAD, {}).get(report.nodeid)
    outcome = getattr(report, "scenario_outcome", "failed" if report.failed else "")
    if scenario is not None and outcome:
        node.config.stash[_OUTCOMES].setdefault(scenario, set()).add(outcome)


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """Show a scenario that does not apply as that: unlike a skip, it needs no attention."""
    return (NOT_APPLICABLE, "n", "NOT APPLICABLE") if report.skipped and _inapplicable(report) else None


def _inapplicable(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Return why the scenario of *report* does not apply to this run; empty where it does."""
    return str(dict(getattr(report, "user_properties", ())).get(NOT_APPLICABLE, ""))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make the verdict and write it; with ``--require-gate`` the session fails unless Phase 3 may start."""
    config = session.config
    if workers.is_worker(config):
        return
    verdict = _verdict(config)
    config.stash[VERDICT] = verdict
    required = config.stash[SETTINGS].require_gate
    if verdict is not None:
        staging = config.stash[STAGING]
        with staging.writing():
            write_files(staging.folder, verdict, markdown(gate_contents(verdict)))
        _into_junit(config, verdict, required=required)
    if required and session.exitstatus == pytest.ExitCode.OK and not (verdict and verdict.ready):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _verdict(config: pytest.Config) -> Verdict | None:
    """Return the verdict, or None where the run never began."""
    if SOURCE not in config.stash:
        return None
    settings, run, project = config.stash[SETTINGS], config.stash.get(RUN, None), project_config(config)
    facts = config.stash.get(_INPUTS, None)
    return build_verdict(
        config.stash[_GATE],
        project,
        SessionInfo(
            target=cast(TargetName, settings.target),
            emulated=config.stash.get(EMULATED, settings.target != "aws"),
            mode=cast(ModeName, settings.mode.value),
            region=settings.aws_region or project.region,
            source=config.stash[SOURCE],
            source_afterwards=check.source_of(settings.root, settings.config_path),
            scenarios=_count(config.stash[_OUTCOMES], promised(config)),
            at=facts.at if facts else datetime.now(timezone.utc),
            only_tenants=settings.tenants,
        ),
        run,
        facts,
    )


def _into_junit(config: pytest.Config, verdict: Verdict, *, required: bool) -> None:
    """Put the verdict into the report of ``--junitxml``: every scenario may pass where too few were run.

    It is a property of the suite, and a test case too where it is required: not for the terminal, which has a section
    of its own, nor for what counts or repeats tests.
    """
    if _RECORD_PROPERTY in config.stash:
        config.stash[_RECORD_PROPERTY]("phase3-gate", "ready" if verdict.ready else "not ready")
    if required:
        report = pytest.TestReport(
            nodeid="phase3-gate::Phase 3 may start",
            location=("phase3-gate", 0, "Phase 3 may start"),
            keywords={},
            outcome="passed" if verdict.ready else "failed",
            longrepr=None if verdict.ready else redact("\n".join(verdict.reasons)),
            when="call",
        )
        plugins = config.pluginmanager
        others = [plugin for name in _NO_GATE_CASE if (plugin := plugins.get_plugin(name)) is not None]
        plugins.subset_hook_caller("pytest_runtest_logreport", others)(report=report)


@pytest.fixture(scope="session", autouse=True)
def _suite_property(record_testsuite_property: Callable[[str, object], None], pytestconfig: pytest.Config) -> None:
    """Keep what records a property of the suite: when the verdict is known, fixtures are gone."""
    pytestconfig.stash[_RECORD_PROPERTY] = record_testsuite_property


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say whether Phase 3 may start, and why not."""
    verdict = config.stash.get(VERDICT, None)
    required = config.stash[SETTINGS].require_gate
    if (verdict is None and not required) or (STAGING in config.stash and config.stash[STAGING].failure):
        return
    terminalreporter.section("phase 3 gate")
    if verdict is None:
        terminalreporter.write_line("There is no verdict: no scenario was run.", red=True)
        return
    note = " (emulated: this proves nothing about AWS)" if verdict.emulated else ""
    terminalreporter.write_line(
        f"{'Ready' if verdict.ready else 'Not ready'}{note}.", red=required and not verdict.ready
    )
    for reason in first_of(verdict.reasons, MOST_NAMED):
        terminalreporter.write_line(f"  {redact(reason)}")
    why = Counter(map(_inapplicable, terminalreporter.getreports(NOT_APPLICABLE)))
    for reason, count in why.items():
        terminalreporter.write_line(f"{count} not applicable: {reason}")


@pytest.fixture
def gate(pytestconfig: pytest.Config) -> ProofLog:
    """The result of each prerequisite."""
    return pytestconfig.stash[_GATE]


@pytest.fixture
def gate_inputs(run: ProvisioningRun, project: Config, pytestconfig: pytest.Config) -> Callable[[], GateInputs]:
    """Return a function that gives what the prerequisites are checked against: the last verification of this run."""

    def gather() -> GateInputs:
        verification = run.verification()
        known = pytestconfig.stash.get(_INPUTS, None)
        if known is None or known.verification is not verification:
            at = datetime.now(timezone.utc)
            known = GateInputs(project, run.environment, verification, run.catalogue(), at)
            pytestconfig.stash[_INPUTS] = known
        return known

    return gather
