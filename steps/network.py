"""Sentences about how the database can be reached."""

from __future__ import annotations

from pytest_bdd import given, then, when

from etl_manager.errors import NotApplicable
from etl_manager.network import Address, Separation, reached
from etl_manager.provisioning import Run
from steps.judging import judge_none


@given("a network of its own keeps the database", target_fixture="separation")
def own_network(run: Run) -> Separation:
    """Only where the target made such a network can it be proven; elsewhere the scenario says why not."""
    separation = run.environment.separation()
    if separation.absent:
        raise NotApplicable(separation.absent)
    return separation


@when("the operator's machine turns to the database directly", target_fixture="answering")
def turns_directly(separation: Separation) -> list[Address]:
    """Try every address the database has, not only the one that the stack tells."""
    return reached(separation.addresses)


@then("no database answers it")
def no_database_answers(answering: list[Address], separation: Separation) -> None:
    """One answer is one way too many."""
    tried = ", ".join(map(str, separation.addresses))
    judge_none(f"addresses at which the database answers the operator's machine (tried: {tried})", answering)


@then("the bastion is connected to it")
def bastion_is_connected(run: Run) -> None:
    """The first phase runs through the bastion: without a connection it fails."""
    run.ensure("database")
