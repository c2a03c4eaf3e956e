"""The verdict: what was proven, of what, from what, and whether Phase 3 may start.

The model is also the published JSON Schema (``docs/phase3-gate.schema.json``): a file that does not fit it is no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from etl_manager.gate.prerequisites import PREREQUISITES
from etl_manager.wording import number_of

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
            "data_filter": {"type": "string"},
            "prerequisites": {"items": {"properties": {"status": {"enum": ["passed", "not-applicable"]}}}},
        }
    },
    "else": {"properties": {"reasons": {"minItems": 1}}},
}
"""What holds between the parts; the schema says it too."""


class Part(BaseModel):
    """A part of the verdict: nothing missing, nothing unknown, nothing converted."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Shortcoming(Part):
    """One thing that keeps a prerequisite from being met."""

    subject: str = Field(description="The database, schema, table, pattern, cluster or integration.")
    problem: str
    remedy: str = Field(description="How to mend it.")


class Proof(Part):
    """A prerequisite, and whether it was proven in this run."""

    id: str = Field(pattern=r"^[a-z][a-z-]*$")
    title: str = Field(description="What holds when it is met.")
    status: Status = Field(description="not-applicable: only AWS itself could answer, and the target is emulated.")
    detail: str = Field(description="What was found, or why it was not proven.")
    findings: tuple[Shortcoming, ...] = Field(default=(), strict=False)


class PhaseChanges(Part):
    """What this run changed before it proved: a repair or a loss never passes unremarked."""

    phase: str
    created: int = Field(ge=0)
    repaired: tuple[str, ...] = Field(strict=False)
    unchanged: int = Field(ge=0)
    lost: tuple[str, ...] = Field(default=(), strict=False)


class Scenarios(Part):
    """The scenarios the features promise, counted against those that ran."""

    promised: int = Field(ge=0)
    passed: int = Field(ge=0)
    failed: int = Field(ge=0)
    not_run: int = Field(ge=0, description="Skipped, deselected, interrupted or never collected.")
    not_applicable: int = Field(ge=0, description="About another kind of target or run.")


class Source(Part):
    """What the proof was made from."""

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")] | None = Field(
        description="Git; null outside a checkout."
    )
    dirty: bool = Field(description="Whether there were changes that the commit does not hold.")
    sql_sha256: Digest = Field(description="find sql -type f | LC_ALL=C sort | xargs sha256sum | sha256sum")
    config: str = Field(description="The configuration, relative to the project's folder.")
    config_sha256: Digest


class Verdict(Part):
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
    prerequisites: tuple[Proof, ...] = Field(strict=False)
    data_filter: str | None = Field(description="As --data-filter takes it; null where data-filter-ready did not pass.")
    phases: tuple[PhaseChanges, ...] = Field(strict=False)
    scenarios: Scenarios
    source: Source
    checked_at: AwareDatetime = Field(strict=False)
    run_id: str = Field(min_length=1)

    def text(self) -> str:
        """Return the verdict as JSON."""
        return self.model_dump_json(indent=2) + "\n"


def shortcomings(
    *,
    tenants: tuple[str, ...],
    emulated: bool,
    data_filter: str | None,
    proofs: tuple[Proof, ...],
    scenarios: Scenarios,
) -> Iterator[str]:
    """Yield why these parts do not make a ready verdict: the one rule, for who makes it and for who relies on it."""
    if not tenants:
        yield "there is no tenant to replicate"
    found = {proof.id: proof for proof in proofs}
    not_run = []
    for prerequisite in PREREQUISITES:
        proof = found.get(prerequisite.id)
        if proof is None or proof.status == "not-run":
            not_run.append(prerequisite.id)
        elif proof.status == "failed":
            yield f"{proof.id} failed: {proof.detail.splitlines()[0]}"
        elif proof.status == "not-applicable" and not (prerequisite.asks_aws and emulated):
            yield f"{proof.id} was not proven, and applies here"
    if not_run:
        yield f"not proven in this run: {', '.join(not_run)}"
    if data_filter is None:
        yield "there is no data filter to give to Phase 3"
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
