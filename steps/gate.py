"""Sentences about what Phase 3 stands on."""

from __future__ import annotations

from collections.abc import Callable

from pytest_bdd import given, parsers, then

from etl_manager.gate.inputs import GateInputs
from etl_manager.gate.verdict import ProofLog
from etl_manager.provisioning.run import ProvisioningRun
from etl_manager.report import allure
from steps.judging import judge_met


@given("the environment as this run found it", target_fixture="facts")
def environment_as_found(gathering: Callable[[], GateInputs]) -> Callable[[], GateInputs]:
    """Hand on what gathers the facts: it verifies, after building what is missing, when a prerequisite first asks."""
    return gathering


@then(parsers.re(r"the prerequisite (?P<prerequisite>[a-z][a-z0-9-]*) is met"))
def prerequisite_is_met(
    gate: ProofLog, run: ProvisioningRun, facts: Callable[[], GateInputs], prerequisite: str
) -> None:
    """Hold it against the facts; the verdict remembers how that went."""
    allure.label_prerequisite(prerequisite)
    proof = gate.prove(prerequisite, run.environment, facts)
    allure.attach(f"prerequisite {proof.id}", proof.detail)
    judge_met(proof.detail, met=proof.status == "passed")
