"""The verdict: what was proven, of what, from what, and whether Phase 3 may start.

The model is also the published JSON Schema (``docs/phase3-gate.schema.json``): a file that does not fit it is no verdict.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from etl_manager.config import Config
from etl_manager.errors import ConfigError, NotApplicable, PhaseSkipped, ProvisioningError, VerificationError
from etl_manager.gate.inputs import GateFinding, GateInputs
from etl_manager.gate.prerequisites import PREREQUISITES, Prerequisite
from etl_manager.provisioning.record import RunContext
from etl_manager.provisioning.run import ProvisioningRun
from etl_manager.redaction import redact_all
from etl_manager.wording import enumeration, first_of, number_of

Status = Literal["passed", "failed", "not-run", "not-applicable"]
TargetName = Literal["local", "container", "aws"]
ModeName = Literal["provision", "verify-only"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

_READY: JsonDict = {
    "if": {"properties": {"ready": {"const": True}}},
    "then": {
        "properties": {
            "reasons": {"maxItems": 0},
            "tenants": {"minItems": 1},
            "tables": {"minItems": 1},
            "data_filter": {"type": "string"},
            "prerequisites": {"items": {"properties": {"status": {"enum": ["passed", "not-applicable"]}}}},
        }
    },
    "else": {"properties": {"reasons": {"minItems": 1}}},
}
"""What holds between the parts; the schema says it too."""


class StrictModel(BaseModel):
    """A part of the verdict: nothing missing, nothing unknown, nothing converted."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class PrerequisiteResult(StrictModel):
    """A prerequisite, and whether it was proven in this run."""

    id: str = Field(pattern=r"^[a-z][a-z-]*$")
    title: str = Field(description="What holds when it is met.")
    status: Status = Field(description="not-applicable: only AWS itself could answer, and the target is emulated.")
    detail: str = Field(description="What was found, or why it was not proven.")
    findings: tuple[GateFinding, ...] = Field(default=(), strict=False)


class PhaseChanges(StrictModel):
    """What this run changed before it proved: a repair or a loss never passes unremarked."""

    phase: str
    created: int = Field(ge=0)
    repaired: tuple[str, ...] = Field(strict=False)
    unchanged: int = Field(ge=0)
    lost: tuple[str, ...] = Field(default=(), strict=False)

    @property
    def changed(self) -> bool:
        """Whether it changed anything."""
        return bool(self.created or self.repaired or self.lost)


class Scenarios(StrictModel):
    """The scenarios the features promise, counted against those that ran."""

    promised: int = Field(ge=0)
    passed: int = Field(ge=0)
    failed: int = Field(ge=0)
    not_run: int = Field(ge=0, description="Skipped, deselected, interrupted or never collected.")
    not_applicable: int = Field(ge=0, description="About another kind of target or run.")


class Source(StrictModel):
    """What the proof was made from."""

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")] | None = Field(
        description="Git; null outside a checkout."
    )
    dirty: bool = Field(description="Whether there were changes that the commit does not hold.")
    sql_sha256: Digest = Field(
        description="SQL of project and engine, as in the workspace: find sql -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    )
    config: str = Field(description="The configuration, relative to the project's folder.")
    config_sha256: Digest


class Verdict(StrictModel):
    """Whether Phase 3 may start, and what that rests on. *ready* is never so by default, deselection or a skip."""

    model_config = ConfigDict(json_schema_extra=_READY)

    schema_version: Literal[1]
    ready: bool = Field(description="Every prerequisite that applies to this target was proven in this run.")
    reasons: tuple[str, ...] = Field(strict=False, description="Why not; empty when ready.")
    target: TargetName
    emulated: bool = Field(description="Whether anything but AWS itself answered. Phase 3 demands false.")
    mode: ModeName
    region: str
    account: str = Field(description="The AWS account; empty where it is not known.")
    cluster: str = Field(description="The cluster's ARN; empty where it is not known.")
    endpoint: str = Field(description="host:port; empty where it was not found.")
    database: str
    tenants: tuple[str, ...] = Field(strict=False)
    tables: tuple[str, ...] = Field(strict=False, description="The tables of each tenant that are to be replicated.")
    prerequisites: tuple[PrerequisiteResult, ...] = Field(strict=False)
    data_filter: str | None = Field(description="As --data-filter takes it; null where data-filter-ready did not pass.")
    phases: tuple[PhaseChanges, ...] = Field(strict=False)
    scenarios: Scenarios
    source: Source
    checked_at: AwareDatetime = Field(strict=False)
    run_id: str = Field(min_length=1)


def blocking_reasons(verdict: Verdict) -> Iterator[str]:
    """Yield why the parts of *verdict* do not make it ready: for making a verdict and for checking one."""
    if not verdict.tenants:
        yield "there is no tenant to replicate"
    found = {result.id: result for result in verdict.prerequisites}
    not_run = []
    for prerequisite in PREREQUISITES:
        result = found.get(prerequisite.id)
        if result is None or result.status == "not-run":
            not_run.append(prerequisite.id)
        elif result.status == "failed":
            yield f"{result.id} failed: {result.detail.splitlines()[0]}"
        elif result.status == "not-applicable" and not (prerequisite.asks_aws and verdict.emulated):
            yield f"{result.id} was not proven, and applies here"
    if not_run:
        yield f"not proven in this run: {', '.join(not_run)}"
    if not verdict.data_filter:
        yield "there is no data filter to give to Phase 3"
    scenarios = verdict.scenarios
    accounted = scenarios.passed + scenarios.not_applicable
    if scenarios.failed:
        yield f"{scenarios.failed} of {number_of(scenarios.promised, 'scenario')} failed"
    if scenarios.promised == 0 or scenarios.not_run or accounted + scenarios.failed != scenarios.promised:
        missing = scenarios.promised - accounted - scenarios.failed
        yield f"{missing} of {number_of(scenarios.promised, 'scenario')} did not run: only a whole run is a proof"


def schema() -> dict[str, Any]:
    """Return the JSON Schema that every verdict fits."""
    made = Verdict.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Verdict of the gate before Phase 3",
        **{name: part for name, part in made.items() if name != "title"},
    }


class ProofLog:
    """The result of each prerequisite so far; without a proof it is *not-run*."""

    def __init__(self) -> None:
        """Start without proofs."""
        self._results: dict[str, PrerequisiteResult] = {}
        for item in PREREQUISITES:
            self._note(item, "not-run", "no scenario proved it in this run")
        self.data_filter: str | None = None

    @property
    def results(self) -> tuple[PrerequisiteResult, ...]:
        """Every prerequisite, in order."""
        return tuple(self._results.values())

    def prove(
        self, prerequisite_id: str, environment: RunContext, inputs: Callable[[], GateInputs]
    ) -> PrerequisiteResult:
        """Prove the prerequisite from the *inputs*.

        Raises:
            NotApplicable: When only AWS could answer, and the target is emulated.
            ProvisioningError: When the inputs are not available.
        """
        item = _known(prerequisite_id)
        if item.asks_aws and environment.emulated:
            who = (
                "the endpoint of the target aws" if environment.target == "aws" else f"the target {environment.target}"
            )
            reason = f"emulated: {who} is not AWS, which alone can answer this"
            self._note(item, "not-applicable", reason)
            raise NotApplicable(reason)
        self._note(item, "not-run", "its proof was not completed")
        try:
            found = inputs()
        except ProvisioningError as error:
            cause = error.__cause__ if isinstance(error, PhaseSkipped) else error
            if isinstance(cause, VerificationError) and cause.prerequisite == item.id:
                self._note(item, "failed", str(cause))
            else:
                self._note(item, "not-run", str(error))
            raise
        try:
            findings = tuple(item.findings(found))
            detail = "\n".join(first_of(findings)) if findings else item.evidence(found)
        except ProvisioningError as error:
            self._note(item, "failed", str(error))
            raise
        result = self._note(item, "failed" if findings else "passed", detail, findings)
        if item.id == "data-filter-ready" and result.status == "passed":
            self.data_filter = found.data_filter.text
        return result

    def _note(
        self, item: Prerequisite, status: Status, detail: str, findings: tuple[GateFinding, ...] = ()
    ) -> PrerequisiteResult:
        result = PrerequisiteResult(id=item.id, title=item.title, status=status, detail=detail, findings=findings)
        self._results[item.id] = result
        return result


def _known(prerequisite_id: str) -> Prerequisite:
    for item in PREREQUISITES:
        if item.id == prerequisite_id:
            return item
    known = ", ".join(item.id for item in PREREQUISITES)
    raise ConfigError(f"There is no prerequisite {prerequisite_id!r}", hint=f"Known are: {known}")


@dataclass(frozen=True, kw_only=True)
class SessionInfo:
    """What the verdict says of the session it is of.

    *emulated* is what the target is, whether or not anything answered; *at* is when the inputs were read. Where the
    session worked on some tenants only, *only_tenants* are these.
    """

    target: TargetName
    emulated: bool
    mode: ModeName
    region: str
    source: Source
    source_afterwards: Source
    scenarios: Scenarios
    at: datetime
    only_tenants: tuple[str, ...] = ()


def build_verdict(
    gate: ProofLog, config: Config, session: SessionInfo, run: ProvisioningRun | None, inputs: GateInputs | None
) -> Verdict:
    """Return the verdict of a session; *run* is None where none was opened, *inputs* where nothing was verified."""
    environment = run.environment if run else None
    verdict = Verdict(
        schema_version=1,
        ready=False,
        reasons=(),
        target=session.target,
        emulated=session.emulated,
        mode=session.mode,
        region=environment.region if environment else session.region,
        account=environment.account if environment else "",
        cluster=inputs.cluster_arn if inputs else environment.cluster_arn if environment else "",
        endpoint=f"{environment.host}:{environment.port}" if environment else "",
        database=config.database,
        tenants=config.tenants,
        tables=inputs.tables if inputs else (),
        prerequisites=gate.results,
        data_filter=gate.data_filter,
        phases=tuple(_phases(run)) if run else (),
        scenarios=session.scenarios,
        source=session.source,
        checked_at=session.at,
        run_id=run.bastion.run_id if run else f"{session.at:%Y%m%dT%H%M%S.%fZ}",
    )
    reasons = (*blocking_reasons(verdict), *_uncertainties(session, run))
    return verdict.model_copy(update={"ready": not reasons, "reasons": reasons})


def _uncertainties(session: SessionInfo, run: ProvisioningRun | None) -> Iterator[str]:
    """Yield why the results are not certain, though each of them passed."""
    if session.only_tenants:
        yield f"only {enumeration(session.only_tenants)} was worked on (--tenant): only a whole run is a proof"
    if session.source != session.source_afterwards:
        yield "the project changed while it was proven: run again"
    if run is not None:
        for report in run.reports.values():
            yield from map(str, report.of("lost"))
    if run is not None and not run.bastion.workspace_matches:
        yield "the workspace on the bastion was not known to be what this project holds: run without --skip-copy"


def _phases(run: ProvisioningRun) -> Iterator[PhaseChanges]:
    for name, report in run.reports.items():
        yield PhaseChanges(
            phase=name,
            created=len(report.of("created")),
            repaired=tuple(map(str, report.of("repaired"))),
            unchanged=report.unchanged,
            lost=tuple(map(str, report.of("lost"))),
        )


def write_files(folder: Path, verdict: Verdict, page: str) -> None:
    """Write *verdict* into *folder*, with *page* about it, and the data filter only where it passed its proof."""
    if verdict.data_filter is not None:
        (folder / "zero-etl-data-filter.txt").write_text(verdict.data_filter + "\n", encoding="utf-8")
    (folder / "phase3-gate.md").write_text(page, encoding="utf-8")
    data = redact_all(verdict.model_dump(mode="json"))
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    (folder / "phase3-gate.json").write_text(text, encoding="utf-8")
