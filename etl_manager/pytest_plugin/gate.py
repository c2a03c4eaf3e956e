"""The gate before Phase 3: every run with feature files ends in a verdict, and ``--require-gate`` makes it count.

What an earlier run left is gone by then: see `etl_manager.pytest_plugin.staging`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime, timezone
from typing import Any, cast

import pytest
from _pytest.junitxml import xml_key

from etl_manager.config import Config
from etl_manager.gate import binding
from etl_manager.gate.facts import Facts
from etl_manager.gate.gate import Gate
from etl_manager.gate.passing import Circumstances, Files, passed
from etl_manager.gate.verdict import ModeName, Source, TargetName, Verdict
from etl_manager.provisioning import Run
from etl_manager.pytest_plugin.collection import SCENARIO, FeatureFile, project_config
from etl_manager.pytest_plugin.options import SETTINGS
from etl_manager.pytest_plugin.session import EMULATED, RUN
from etl_manager.pytest_plugin.staging import STAGING, only_looks
from etl_manager.pytest_plugin.tally import Tally
from etl_manager.redaction import redact

MOST_SHOWN = 10
"""Reasons on the terminal; the verdict holds them all."""

_GATE = pytest.StashKey[Gate]()
_FACTS = pytest.StashKey[Facts]()
_TALLY = pytest.StashKey[Tally]()
_SOURCE = pytest.StashKey[Source]()
_VERDICT = pytest.StashKey[Verdict | None]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing proven."""
    config.stash[_GATE] = Gate()
    config.stash[_TALLY] = Tally(config.rootpath)


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    """Expect a verdict as soon as a feature file is looked at."""
    if isinstance(collector, FeatureFile) and not only_looks(collector.config):
        collector.config.stash[_VERDICT] = None


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """See what the proofs are made from, before the first; where collection failed there will be none, and no verdict."""
    if _VERDICT in session.config.stash and not session.testsfailed:
        settings = session.config.stash[SETTINGS]
        session.config.stash[_SOURCE] = binding.source(settings.root, settings.config_path)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note how each scenario went, as the reports show it."""
    report = yield
    if SCENARIO in item.stash and isinstance(item, pytest.Function):
        item.config.stash[_TALLY].note(item, call.excinfo.value if call.excinfo else None, report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Pass the verdict, write it, and have ``--require-gate`` fail the session unless Phase 3 may start."""
    config = session.config
    verdict = _passed(config)
    config.stash[_VERDICT] = verdict
    required = config.stash[SETTINGS].require_gate
    if verdict is not None:
        Files(config.stash[STAGING].folder).write(verdict)
        _into_junit(config, verdict, required=required)
    if required and session.exitstatus == pytest.ExitCode.OK and not (verdict and verdict.ready):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _passed(config: pytest.Config) -> Verdict | None:
    """Return the verdict, or None where the run never began."""
    if _SOURCE not in config.stash:
        return None
    settings, run, project = config.stash[SETTINGS], config.stash.get(RUN, None), project_config(config)
    facts = config.stash.get(_FACTS, None)
    return passed(
        config.stash[_GATE],
        project,
        Circumstances(
            target=cast(TargetName, settings.target),
            emulated=config.stash.get(EMULATED, settings.target != "aws"),
            mode=cast(ModeName, settings.mode.value),
            region=settings.aws_region or project.region,
            source=config.stash[_SOURCE],
            source_afterwards=binding.source(settings.root, settings.config_path),
            scenarios=config.stash[_TALLY].against(project),
            at=facts.at if facts else datetime.now(timezone.utc),
        ),
        run,
        facts,
    )


def _into_junit(config: pytest.Config, verdict: Verdict, *, required: bool) -> None:
    """Put the verdict into the report of ``--junitxml``: every scenario may pass where too few were run.

    It is a property of the suite, and a test case too where it is required.
    """
    xml: Any = config.stash.get(xml_key, None)
    if xml is None:
        return
    xml.add_global_property("phase3-gate", "ready" if verdict.ready else "not ready")
    if required:
        report = pytest.TestReport(
            nodeid="phase3-gate::Phase 3 may start",
            location=("phase3-gate", 0, "Phase 3 may start"),
            keywords={},
            outcome="passed" if verdict.ready else "failed",
            longrepr=None if verdict.ready else redact("\n".join(verdict.reasons)),
            when="call",
        )
        xml.pytest_runtest_logreport(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say whether Phase 3 may start, and why not."""
    verdict = config.stash.get(_VERDICT, None)
    required = config.stash[SETTINGS].require_gate
    if verdict is None and not required:
        return
    terminalreporter.section("phase 3 gate")
    if verdict is None:
        terminalreporter.write_line("There is no verdict: no scenario was run.", red=True)
        return
    note = " (emulated: this proves nothing about AWS)" if verdict.emulated else ""
    terminalreporter.write_line(
        f"{'Ready' if verdict.ready else 'Not ready'}{note}.", red=required and not verdict.ready
    )
    for reason in verdict.reasons[:MOST_SHOWN]:
        terminalreporter.write_line(f"  {redact(reason)}")
    if len(verdict.reasons) > MOST_SHOWN:
        terminalreporter.write_line(f"  … and {len(verdict.reasons) - MOST_SHOWN} more")


@pytest.fixture
def gate(pytestconfig: pytest.Config) -> Gate:
    """What remembers how the proof of each prerequisite went."""
    return pytestconfig.stash[_GATE]


@pytest.fixture
def gathering(run: Run, project: Config, pytestconfig: pytest.Config) -> Callable[[], Facts]:
    """Gives what the prerequisites are held against: what the last verification of this run found."""

    def gather() -> Facts:
        verification = run.verification()
        known = pytestconfig.stash.get(_FACTS, None)
        if known is None or known.verification is not verification:
            at = datetime.now(timezone.utc)
            known = Facts(project, run.environment, verification, run.catalogue(), at)
            pytestconfig.stash[_FACTS] = known
        return known

    return gather
