"""Passing the verdict at the end of a run, and the three files it is written to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from etl_manager.config import Config
from etl_manager.gate.facts import Facts
from etl_manager.gate.gate import Gate
from etl_manager.gate.summary import markdown
from etl_manager.gate.verdict import ModeName, PhaseChanges, Scenarios, Source, TargetName, Verdict, shortcomings
from etl_manager.provisioning import Run
from etl_manager.redaction import redact, redact_all


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What the verdict says of the session it is of.

    *emulated* is what the target is, whether or not anything answered; *at* is when the proven facts were read.
    """

    target: TargetName
    emulated: bool
    mode: ModeName
    region: str
    source: Source
    source_afterwards: Source
    scenarios: Scenarios
    at: datetime


def passed(gate: Gate, config: Config, session: Circumstances, run: Run | None, facts: Facts | None) -> Verdict:
    """Return the verdict of a session; *run* is None where none could be opened, *facts* where none were gathered."""
    environment = run.environment if run else None
    emulated = session.emulated
    cluster = facts.cluster_arn if facts else environment.cluster_arn if environment else ""
    reasons = [
        *shortcomings(
            tenants=config.tenants,
            emulated=emulated,
            data_filter=gate.data_filter,
            proofs=gate.proofs,
            scenarios=session.scenarios,
        ),
        *_doubts(session, run),
    ]
    return Verdict(
        schema_version=1,
        ready=not reasons,
        reasons=tuple(reasons),
        target=session.target,
        emulated=emulated,
        mode=session.mode,
        region=environment.region if environment else session.region,
        account=cluster.split(":")[4] if cluster.count(":") >= 5 else "",
        cluster=cluster,
        endpoint=f"{environment.host}:{environment.port}" if environment else "",
        database=config.database,
        tenants=config.tenants,
        prerequisites=gate.proofs,
        data_filter=gate.data_filter,
        phases=tuple(_phases(run)) if run else (),
        scenarios=session.scenarios,
        source=session.source,
        checked_at=session.at,
        run_id=run.batches.bastion.run_id if run else f"{session.at:%Y%m%dT%H%M%SZ}",
    )


def _doubts(session: Circumstances, run: Run | None) -> Iterator[str]:
    """Yield what makes the proofs doubtful although each of them passed."""
    if session.source != session.source_afterwards:
        yield "the project changed while it was proven: run again"
    if run is not None:
        for report in run.reports.values():
            yield from map(str, report.of("lost"))
    if run is not None and not run.batches.bastion.has_this_project:
        yield "the workspace on the bastion was not known to be what this project holds: run without --skip-copy"


def _phases(run: Run) -> Iterator[PhaseChanges]:
    for name, report in run.reports.items():
        yield PhaseChanges(
            phase=name,
            created=len(report.of("created")),
            repaired=tuple(map(str, report.of("repaired"))),
            unchanged=report.unchanged,
            lost=tuple(map(str, report.of("lost"))),
        )


class Files:
    """The verdict as files: JSON, the data filter by itself, and a page of Markdown."""

    def __init__(self, folder: Path) -> None:
        """Keep them in *folder*."""
        self._folder = folder
        self._verdict = folder / "phase3-gate.json"
        self._filter = folder / "zero-etl-data-filter.txt"
        self._page = folder / "phase3-gate.md"

    def write(self, verdict: Verdict) -> None:
        """Write them, each whole or not at all, and the verdict last; the filter only where it passed its proof."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if verdict.data_filter is not None:
            _write(self._filter, verdict.data_filter + "\n")
        _write(self._page, redact(markdown(verdict)))
        _write(
            self._verdict, json.dumps(redact_all(verdict.model_dump(mode="json")), indent=2, ensure_ascii=False) + "\n"
        )


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
