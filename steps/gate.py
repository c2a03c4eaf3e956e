"""Sentences about the prerequisites of Phase 3."""

from __future__ import annotations

from collections.abc import Callable

from pytest_bdd import given, parsers, then

from etl_manager.gate.inputs import GateInputs
from etl_manager.gate.verdict import ProofLog
from etl_manager.provisioning.run import ProvisioningRun
from etl_manager.report import allure
from steps.assertions import assert_met


@given("the environment as this run found it", target_fixture="inputs")
def environment_as_found(gate_inputs: Callable[[], GateInputs]) -> Callable[[], GateInputs]:
    """Pass on what gets the inputs: the first prerequisite that needs them builds what is missing, and verifies."""
    return gate_inputs


@then(parsers.re(r"the prerequisite (?P<prerequisite>[a-z][a-z0-9-]*) is met"))
def prerequisite_is_met(
    gate: ProofLog, run: ProvisioningRun, inputs: Callable[[], GateInputs], prerequisite: str
) -> None:
    """Prove it; the verdict has the result."""
    allure.label_prerequisite(prerequisite)
    result = gate.prove(prerequisite, run.environment, inputs)
    allure.attach(f"prerequisite {result.id}", result.detail)
    assert_met(result.detail, met=result.status == "passed")
