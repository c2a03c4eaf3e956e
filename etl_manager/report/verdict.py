"""Where a run took place and what it was made of: what a reader needs to know before believing a result."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from etl_manager.config import Config
from etl_manager.git import Repository
from etl_manager.provisioning.run import ProvisioningRun
from etl_manager.report import GATE, RESULTS, history
from etl_manager.report.results import BAD, PREREQUISITE, Record, Result, Results, ScenarioId, read
from etl_manager.wording import number_of

UNKNOWN = "not known: the environment was not opened"
EMULATED = "yes: what answered is not AWS"


def facts(
    config: Config, target: str, run: ProvisioningRun | None, *, source: Repository, digest: str
) -> dict[str, str]:
    """Return name and value of each fact, in the order they are read.

    Args:
        config: What was to be there.
        target: The target that was asked for.
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
        place, bastion = run.environment, run.batches.bastion
        known |= {
            "target": place.target,
            "emulated": EMULATED if place.emulated else "no",
            "account": place.account,
            "region": place.region,
            "stack": place.stack or "none: aurora.endpoint",
            "cluster": place.cluster_arn or f"{place.host}:{place.port}",
            "postgresql": run.server_version or "not known: the database did not answer",
            "psql": bastion.known.psql if bastion.known else "not known: the bastion did not answer",
            "bastion": bastion.run_command.instance_id,
        }
    return known


State = Literal["ready", "not-ready", "none"]

PHASES_OF = {
    "database-exists": ("database",),
    "tenant-schemas-exist": ("schema",),
    "users-tables-exist": ("schema",),
    "sample-data-complete": ("data", "verification"),
}
"""Which phases' scenarios are evidence for a prerequisite too, beside the scenario that names it."""
_SLACK = timedelta(seconds=2)


@dataclass(frozen=True)
class Completeness:
    """The results, counted against what the feature files promise."""

    promised: int
    there: int
    lost: tuple[ScenarioId, ...]
    left_out: tuple[ScenarioId, ...]
    surplus: tuple[ScenarioId, ...]
    repeated: tuple[ScenarioId, ...]
    unreadable: tuple[str, ...]
    missing_attachments: tuple[str, ...]

    @property
    def damaged(self) -> bool:
        """Whether something that was made is not there to be seen."""
        return bool(self.lost or self.unreadable or self.missing_attachments)


@dataclass(frozen=True)
class Prerequisite:
    """One thing that Phase 3 stands on, and the results that are evidence for it."""

    id: str
    title: str
    status: str
    detail: str
    evidence: tuple[Result, ...]


@dataclass(frozen=True, kw_only=True)
class RunVerdict:
    """All that the verdict's page and the summary say."""

    state: State
    reasons: tuple[str, ...]
    emulated: bool
    record: Record
    results: tuple[Result, ...]
    completeness: Completeness
    prerequisites: tuple[Prerequisite, ...]
    comparison: history.Comparison
    data_filter: str

    @property
    def bad(self) -> tuple[Result, ...]:
        """The results that did not hold, in order."""
        return tuple(result for result in self.results if result.status in BAD)

    def counts(self) -> Mapping[str, int]:
        """Return how many results ended how."""
        return Counter(result.status for result in self.results)


def assess(reports: Path) -> RunVerdict:
    """Make up the account of the run whose files lie in the folder *reports*; nothing else is looked at.

    Raises:
        VerificationError: When there is no record of a run, or it cannot be read.
    """
    record = Record.read(reports)
    results = read(reports / RESULTS, record.promised)
    completeness = _completeness(record, results)
    gate, trouble = _gate(reports, record)
    state, reasons = _state(gate, trouble, results.found, completeness)
    return RunVerdict(
        state=state,
        reasons=tuple(reasons),
        emulated=record.facts.get("emulated", "").startswith("yes"),
        record=record,
        results=results.found,
        completeness=completeness,
        prerequisites=tuple(_prerequisites(gate, results.found)),
        comparison=history.compare(history.before(reports, record), results.found, whole=not record.left_out),
        data_filter=str(gate.get("data_filter") or ""),
    )


def _completeness(record: Record, results: Results) -> Completeness:
    promised, left_out = Counter(record.promised), Counter(record.left_out)
    there = Counter(result.proof for result in results.found)
    return Completeness(
        promised=promised.total(),
        there=(promised & there).total(),
        lost=tuple((promised - left_out - there).elements()),
        left_out=record.left_out,
        surplus=tuple(result.proof for result in results.found if result.proof not in promised),
        repeated=tuple(proof for proof in promised if there[proof] > promised[proof]),
        unreadable=results.unreadable,
        missing_attachments=results.missing_attachments,
    )


def _gate(reports: Path, record: Record) -> tuple[dict[str, Any], str]:
    """Return the gate's verdict, or why there is none of this run."""
    try:
        gate = json.loads((reports / GATE).read_bytes())
        checked, ready = datetime.fromisoformat(gate["checked_at"].replace("Z", "+00:00")), gate["ready"]
        wrong = not isinstance(ready, bool) or not isinstance(gate["prerequisites"], list)
        begun, ended = (datetime.fromisoformat(text) for text in (record.started, record.finished))
        stale = not begun - _SLACK <= checked <= ended + _SLACK
    except FileNotFoundError:
        return {}, f"the run made no {GATE}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}, f"{GATE} cannot be read"
    if wrong:
        return {}, f"{GATE} is no verdict"
    if stale:
        return {}, f"{GATE} is of another run: it was made at {gate['checked_at']}"
    return gate, ""


def _state(
    gate: Mapping[str, Any], trouble: str, results: Sequence[Result], completeness: Completeness
) -> tuple[State, list[str]]:
    """Return the gate's word; results that contradict it, or are not all there, outweigh it."""
    if trouble:
        return "none", [trouble]
    said = [str(reason) for reason in gate.get("reasons", ())] or [
        f"{item['id']}: {item.get('detail') or item['status']}"
        for item in gate["prerequisites"]
        if item["status"] in ("failed", "not-run")
    ]
    if not gate["ready"]:
        return "not-ready", said or ["the gate says so"]
    against = list(_contradictions(results, completeness))
    return ("not-ready", [f"the gate says ready, but {reason}" for reason in against]) if against else ("ready", [])


def _contradictions(results: Sequence[Result], completeness: Completeness) -> Iterator[str]:
    bad = sum(result.status in BAD for result in results)
    if bad:
        yield f"{number_of(bad, 'scenario')} did not hold"
    if completeness.lost or completeness.left_out:
        missing = completeness.promised - completeness.there
        yield f"{missing} of {number_of(completeness.promised, 'promised scenario')} {'has' if missing == 1 else 'have'} no result"
    if completeness.unreadable:
        yield f"{number_of(len(completeness.unreadable), 'result')} cannot be read"


def _prerequisites(gate: Mapping[str, Any], results: Sequence[Result]) -> Iterator[Prerequisite]:
    for item in gate.get("prerequisites", ()):
        phases = PHASES_OF.get(item["id"], ())
        direct = [result for result in results if result.labels.get(PREREQUISITE) == item["id"]]
        beside = [result for result in results if result.labels.get("phase") in phases]
        yield Prerequisite(
            id=item["id"],
            title=item.get("title") or item["id"].replace("-", " "),
            status=item["status"],
            detail=item.get("detail", ""),
            evidence=(*direct, *beside),
        )
