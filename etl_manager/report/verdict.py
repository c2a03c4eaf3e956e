"""The verdict of a run: the gate's verdict, checked against the results of the scenarios and their completeness."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from etl_manager.config import Config
from etl_manager.errors import VerificationError
from etl_manager.gate import check
from etl_manager.gate.verdict import Verdict
from etl_manager.git import Repository
from etl_manager.provisioning.run import ProvisioningRun
from etl_manager.report import GATE, RESULTS
from etl_manager.report.feature_files import ScenarioId
from etl_manager.report.results import (
    BAD,
    PREREQUISITE,
    Comparison,
    Record,
    Result,
    Results,
    compare,
    earlier_runs,
    read,
)
from etl_manager.wording import number_of

UNKNOWN = "not known: the environment was not opened"


def run_metadata(
    config: Config, target: str, run: ProvisioningRun | None, *, source: Repository, digest: str
) -> dict[str, str]:
    """Return name and value of each fact about the place and the origin of a run, in the order they are shown.

    Args:
        config: The configuration.
        target: The target.
        run: The run; None where the environment was not opened.
        source: The commit.
        digest: That of ``sql/``.
    """
    known = {
        "target": target,
        "emulated": UNKNOWN,
        "account": UNKNOWN,
        "region": config.region,
        "stack": UNKNOWN,
        "cluster": UNKNOWN,
        "database": config.database,
        "tenants": str(len(config.tenants)),
        "postgresql": UNKNOWN,
        "psql": UNKNOWN,
        "bastion": UNKNOWN,
        "commit": str(source),
        "sql-digest": f"sha256:{digest}",
        "python": platform.python_version(),
    }
    if run is not None:
        context = run.environment
        known |= {
            "target": context.target,
            "emulated": "yes: what answered is not AWS" if context.emulated else "no",
            "account": context.account,
            "region": context.region,
            "stack": context.stack or "none: aurora.endpoint",
            "cluster": context.cluster_arn or f"{context.host}:{context.port}",
            "postgresql": run.server_version or "not known: the database did not answer",
            "psql": run.psql_version or "not known: the bastion did not answer",
            "bastion": run.bastion.instance_id,
        }
    return known


State = Literal["ready", "not-ready", "none"]

PHASES_OF = {
    "database-exists": ("database",),
    "tenant-schemas-exist": ("schema",),
    "users-tables-exist": ("schema",),
    "sample-data-complete": ("data", "verification"),
}
"""Phases whose scenarios are evidence for a prerequisite too, beside the scenario that proves it."""


@dataclass(frozen=True)
class Completeness:
    """The results, compared with the scenarios of the feature files; *expected* and *found* are counts."""

    expected: int
    found: int
    missing: tuple[ScenarioId, ...]
    deselected: tuple[ScenarioId, ...]
    unexpected: tuple[ScenarioId, ...]
    duplicates: tuple[ScenarioId, ...]
    unreadable: tuple[str, ...]
    missing_attachments: tuple[str, ...]

    @property
    def damaged(self) -> bool:
        """Whether evidence was lost."""
        return bool(self.missing or self.unreadable or self.missing_attachments)


@dataclass(frozen=True, kw_only=True)
class RunVerdict:
    """All that the verdict's page and the summary show. *gate* is the gate's verdict of this run, if there is one."""

    state: State
    reasons: tuple[str, ...]
    gate: Verdict | None
    record: Record
    results: tuple[Result, ...]
    completeness: Completeness
    comparison: Comparison

    @property
    def emulated(self) -> bool:
        """Whether the gate says that anything but AWS answered."""
        return self.gate is not None and self.gate.emulated

    @property
    def bad(self) -> tuple[Result, ...]:
        """The results that did not hold, in order."""
        return tuple(result for result in self.results if result.status in BAD)

    def evidence(self, prerequisite: str) -> tuple[Result, ...]:
        """Return the results that are evidence for *prerequisite*, those of its own scenario first."""
        phases = PHASES_OF.get(prerequisite, ())
        return (
            *(result for result in self.results if result.labels.get(PREREQUISITE) == prerequisite),
            *(result for result in self.results if result.labels.get("phase") in phases),
        )


def assess(reports: Path) -> RunVerdict:
    """Return the verdict of the run whose files are in the folder *reports*; nothing else is read.

    Raises:
        VerificationError: When there is no record of a run, or it cannot be read.
    """
    record = Record.read(reports)
    results = read(reports / RESULTS, record.expected)
    completeness = _completeness(record, results)
    gate: Verdict | None = None
    state: State = "none"
    try:
        gate = _gate(reports, record)
    except VerificationError as error:
        reasons: Sequence[str] = [error.message.splitlines()[0].rstrip(":")]
    else:
        if gate.ready:
            reasons = [f"the gate says ready, but {reason}" for reason in _contradictions(results.found, completeness)]
        else:
            reasons = gate.reasons or ["the gate says so"]
        state = "not-ready" if reasons else "ready"
    return RunVerdict(
        state=state,
        reasons=tuple(reasons),
        gate=gate,
        record=record,
        results=results.found,
        completeness=completeness,
        comparison=compare(earlier_runs(reports, record), results.found, whole=not record.deselected),
    )


def _completeness(record: Record, results: Results) -> Completeness:
    expected, deselected = Counter(record.expected), Counter(record.deselected)
    found = Counter(result.scenario for result in results.found)
    return Completeness(
        expected=expected.total(),
        found=(expected & found).total(),
        missing=tuple((expected - deselected - found).elements()),
        deselected=record.deselected,
        unexpected=tuple(result.scenario for result in results.found if result.scenario not in expected),
        duplicates=tuple(scenario for scenario in expected if found[scenario] > expected[scenario]),
        unreadable=results.unreadable,
        missing_attachments=results.missing_attachments,
    )


def _gate(reports: Path, record: Record) -> Verdict:
    gate = check.read(reports / GATE)
    if gate.run_id != record.run_id:
        raise VerificationError(f"{GATE} is of another run: {gate.run_id}")
    return gate


def _contradictions(results: Sequence[Result], completeness: Completeness) -> Iterator[str]:
    bad = sum(result.status in BAD for result in results)
    if bad:
        yield f"{number_of(bad, 'scenario')} did not hold"
    if completeness.missing or completeness.deselected:
        missing = completeness.expected - completeness.found
        yield f"{missing} of {number_of(completeness.expected, 'promised scenario')} {'has' if missing == 1 else 'have'} no result"
    if completeness.unreadable:
        yield f"{number_of(len(completeness.unreadable), 'result')} cannot be read"
