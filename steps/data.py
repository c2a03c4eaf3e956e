"""Sentences about the rows of the tenants."""

from __future__ import annotations

from pytest_bdd import given, parsers, then

from etl_manager.database.snapshot import DatabaseSnapshot, Unreadable
from etl_manager.provisioning.run import ProvisioningRun
from steps.assertions import assert_equal


@given("the sample data is there", target_fixture="snapshot")
def sample_data_is_there(run: ProvisioningRun) -> DatabaseSnapshot:
    """Insert what is missing; verifying only, read it."""
    return run.ensure("data")


@given(parsers.re(r"the sample data of (?P<tenant>\w+) is there"), target_fixture="snapshot")
def sample_data_of_tenant_is_there(run: ProvisioningRun, tenant: str) -> DatabaseSnapshot:
    """Insert what is missing; verifying only, prove that the tenant has a table to hold it."""
    snapshot = run.ensure("data")
    state = snapshot.tenants.get(tenant)
    found = "not in config.json" if state is None else "exists" if state.table_exists else "missing"
    assert_equal(f"table {tenant}.users", expected="exists", found=found)
    return snapshot


@then(parsers.re(r"(?P<schema>\w+)\.(?P<table>\w+) has (?P<count>\d+) rows?"))
def table_has_rows(run: ProvisioningRun, schema: str, table: str, count: str) -> None:
    """Count the rows of any table, once everything is built.

    A tenant's own rows in its users table are not counted where ``sampleData.otherRows`` accepts them.
    """
    found = run.rows(schema, table)
    shown = "no such table" if found is None else str(found) if isinstance(found, Unreadable) else found
    assert_equal(f"rows of {schema}.{table}", expected=int(count), found=shown)


@then(parsers.re(r"the (?P<count>\d+) sample users of (?P<tenant>\w+) are unaltered"))
def sample_users_are_unaltered(snapshot: DatabaseSnapshot, tenant: str, count: str) -> None:
    """Sample rows have known content: one that was edited is no longer the one to compare with."""
    unreadable = snapshot.unreadable(tenant)
    found: object = str(unreadable) if unreadable else snapshot.tenants[tenant].sample_rows or 0
    assert_equal(f"unaltered sample rows of {tenant}.users", expected=int(count), found=found)
