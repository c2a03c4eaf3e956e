"""The gate of one run: it proves the prerequisites one by one, remembers how each went."""

from __future__ import annotations

from collections.abc import Callable

from etl_manager.environment import Environment
from etl_manager.errors import ConfigError, NotApplicable, PhaseNotRun, ProvisioningError, VerificationError
from etl_manager.gate.facts import Facts
from etl_manager.gate.prerequisites import PREREQUISITES, Prerequisite
from etl_manager.gate.verdict import Proof, Shortcoming, Status

PROVISION = "pytest features/"
"""How remedies name a run."""
MOST_SHOWN = 20
"""Findings in the detail of one prerequisite; the verdict holds them all."""


class Gate:
    """What was proven so far. What nobody proved is not run, and so not proven."""

    def __init__(self) -> None:
        """Begin with nothing proven."""
        self._proofs = {item.id: _proof(item, "not-run", "no scenario proved it in this run") for item in PREREQUISITES}
        self.data_filter: str | None = None

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """Every prerequisite, in order."""
        return tuple(self._proofs.values())

    def prove(self, prerequisite_id: str, environment: Environment, facts: Callable[[], Facts]) -> Proof:
        """Hold the prerequisite against the *facts*.

        Raises:
            NotApplicable: When only AWS could answer, and the target is emulated.
            ProvisioningError: When the facts cannot be had.
        """
        item = _known(prerequisite_id)
        if item.asks_aws and environment.emulated:
            who = (
                "the endpoint of the target aws" if environment.target == "aws" else f"the target {environment.target}"
            )
            reason = f"emulated: {who} is not AWS, which alone can answer this"
            self._proofs[item.id] = _proof(item, "not-applicable", reason)
            raise NotApplicable(reason)
        self._proofs[item.id] = _proof(item, "not-run", "its proof was not completed")
        try:
            found = facts()
        except ProvisioningError as error:
            cause = error.__cause__ if isinstance(error, PhaseNotRun) else error
            disproven = isinstance(cause, VerificationError) and cause.prerequisite == item.id
            self._proofs[item.id] = _proof(
                item, "failed" if disproven else "not-run", str(cause if disproven else error)
            )
            raise
        try:
            proof = _judged(item, found)
        except ProvisioningError as error:
            self._proofs[item.id] = _proof(item, "failed", str(error))
            raise
        self._proofs[item.id] = proof
        if item.id == "data-filter-ready" and proof.status == "passed":
            self.data_filter = found.data_filter.text
        return proof


def _known(prerequisite_id: str) -> Prerequisite:
    for item in PREREQUISITES:
        if item.id == prerequisite_id:
            return item
    known = ", ".join(item.id for item in PREREQUISITES)
    raise ConfigError(f"There is no prerequisite {prerequisite_id!r}", remedy=f"Known are: {known}")


def _judged(item: Prerequisite, facts: Facts) -> Proof:
    command = f"{PROVISION} --target {facts.environment.target}"  # of the target that ran, not of the default one
    findings = [finding._replace(remedy=finding.remedy.replace(PROVISION, command)) for finding in item.findings(facts)]
    if not findings:
        return _proof(item, "passed", item.evidence(facts))
    shown = [str(finding) for finding in findings[:MOST_SHOWN]]
    if len(findings) > MOST_SHOWN:
        shown.append(f"… and {len(findings) - MOST_SHOWN} more")
    lines = [Shortcoming(**finding._asdict()) for finding in findings]
    return Proof(id=item.id, title=item.title, status="failed", detail="\n".join(shown), findings=tuple(lines))


def _proof(item: Prerequisite, status: Status, detail: str) -> Proof:
    return Proof(id=item.id, title=item.title, status=status, detail=detail)
