"""Sentences about what the verification prints."""

from __future__ import annotations

from pytest_bdd import given, parsers, then, when

from etl_manager.config import Config
from etl_manager.database.drift import PhaseDiff
from etl_manager.database.verification import Verification
from etl_manager.errors import NotApplicable
from etl_manager.provisioning.run import ProvisioningRun
from steps.assertions import assert_none, assert_same_set


@when("everything is provisioned again", target_fixture="reports")
def provisioned_again(run: ProvisioningRun) -> list[PhaseDiff]:
    """Run every phase once more."""
    if run.verify_only:
        raise NotApplicable("--verify-only changes nothing, and so repeats nothing")
    return run.rerun_all_phases()


@then("nothing was created or repaired")
def nothing_was_changed(reports: list[PhaseDiff]) -> None:
    """Each phase says itself that it changed nothing."""
    assert_none("changes by the second run", [change for report in reports for change in report.changes])


@given("the environment is verified", target_fixture="verification")
def environment_is_verified(run: ProvisioningRun) -> Verification:
    """Build what is missing, then have the verification print what is there, and the second witness read it again."""
    return run.verification()


@then("the verification lists the schemas of all tenants")
def lists_all_schemas(verification: Verification, project: Config) -> None:
    """The first result set, as a whole."""
    assert_same_set("schemas of the verification", expected=set(project.tenants), found=set(verification.schemas))


@then("the verification lists the tables of all tenants")
def lists_all_tables(verification: Verification, project: Config) -> None:
    """The second result set, as a whole."""
    assert_same_set(
        "tables of the verification", expected=_tables(verification, project), found=set(verification.tables)
    )


@then("the verification counts the rows of all tenants")
def counts_all_rows(verification: Verification, project: Config) -> None:
    """The third result set, as a whole; how many rows there are to be is what the differences say."""
    uncounted = [difference for difference in verification.differences if difference.aspect == "rows"]
    assert_none("tables whose rows are not those that they should have", uncounted)
    assert_same_set(
        "row counts of the verification", expected=_tables(verification, project), found=set(verification.counts)
    )


@then(parsers.re(r"the verification finds no difference in (?P<tenant>\w+)"))
def finds_no_difference(verification: Verification, tenant: str) -> None:
    """No difference concerns this tenant."""
    assert_none(f"differences in {tenant}", verification.of(tenant))


@then("the verification finds nothing out of order outside the tenants")
def finds_nothing_outside(verification: Verification) -> None:
    """No schema that is not configured, and nothing that keeps the tenants from being compared."""
    facts = verification.facts
    assert_none("differences outside the tenants", [*facts.strays, *facts.common])


def _tables(verification: Verification, project: Config) -> set[object]:
    """Return the tables that there are to be."""
    return {(tenant, table) for tenant in project.tenants for table in verification.facts.template.tables}
