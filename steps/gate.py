"""Sentences about what Phase 3 stands on."""

from __future__ import annotations

from collections.abc import Callable

from pytest_bdd import parsers, then

from etl_manager import evidence
from etl_manager.gate.facts import Facts
from etl_manager.gate.gate import Gate
from etl_manager.provisioning import Run


@then(parsers.re(r"the prerequisite (?P<prerequisite>[a-z][a-z0-9-]*) is met"))
def prerequisite_is_met(gate: Gate, run: Run, facts: Callable[[], Facts], prerequisite: str) -> None:
    """Hold it against what this run found; the verdict remembers how it went."""
    proof = gate.prove(prerequisite, run.environment, facts)
    evidence.attach(f"prerequisite {proof.id}", proof.detail)
    assert proof.status == "passed", proof.detail
