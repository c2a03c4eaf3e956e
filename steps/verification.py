"""Sentences about what the verification prints."""

from __future__ import annotations

from pytest_bdd import given, parsers, then, when

from etl_manager.config import Config
from etl_manager.database.drift import PhaseDiff
from etl_manager.database.verification import UNCOUNTED, Verification
from etl_manager.errors import NotApplicable
from etl_manager.provisioning.run import ProvisioningRun
from steps.assertions import assert_equal, assert_none, assert_same_set


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


@then("the verification lists the users tables of all tenants")
def lists_all_tables(verification: Verification, project: Config) -> None:
    """The second result set, as a whole."""
    expected: set[object] = {(tenant, "users") for tenant in project.tenants}
    assert_same_set("tables of the verification", expected=expected, found=set(verification.tables))


@then("the verification counts the users of all tenants")
def counts_all_users(verification: Verification, project: Config) -> None:
    """The third result set, as a whole; more of a tenant's own only where the configuration accepts them."""
    uncounted = [finding for finding in verification.findings if finding.kind in UNCOUNTED]
    assert_none("users tables of which not all rows could be counted", uncounted)
    expected: set[object] = {(tenant, _users(verification, project, tenant)) for tenant in project.tenants}
    assert_same_set("user counts of the verification", expected=expected, found=set(verification.counts.items()))


@then(parsers.re(r"the verification finds no difference in (?P<tenant>\w+)"))
def finds_no_difference(verification: Verification, tenant: str) -> None:
    """No finding concerns this tenant."""
    assert_none(f"differences in {tenant}", verification.of(tenant))


@then(parsers.re(r"the verification reports (?P<count>\d+) users in (?P<tenant>\w+)"))
def reports_users(verification: Verification, project: Config, count: str, tenant: str) -> None:
    """One line of the third result set; more of the tenant's own only where the configuration accepts them."""
    expected = max(int(count), _users(verification, project, tenant))
    found: object = verification.counts.get(tenant, "no users table")
    if tenant in verification.uncounted:
        found = "; ".join(finding.found for finding in verification.of(tenant) if finding.kind in UNCOUNTED)
    assert_equal(f"users of {tenant}", expected=expected, found=found)


def _users(verification: Verification, project: Config, tenant: str) -> int:
    """Return how many users *tenant* is to have: its sample rows, and what is there beside them where that is accepted."""
    wanted = project.sample_data.users_per_tenant
    return max(wanted, verification.counts.get(tenant, wanted)) if project.sample_data.accept_other_rows else wanted


@then("the verification finds no tenant schema that is not configured")
def finds_no_stray(verification: Verification, project: Config) -> None:
    """A schema that is not configured is reported, and left alone."""
    assert_none("tenant schemas that config.json does not name", verification.strays(project.tenants))
