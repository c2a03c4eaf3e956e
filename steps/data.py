"""Sentences about the rows of the tenants."""

from __future__ import annotations

from pytest_bdd import given, parsers, then

from etl_manager.database.difference import Difference
from etl_manager.provisioning.run import ProvisioningRun
from steps.assertions import assert_equal, assert_none
from steps.schema import Subject


@given("the sample data is there")
def sample_data_is_there(run: ProvisioningRun) -> None:
    """Insert what is missing; verifying only, look."""
    run.ensure("data")


@given(parsers.re(r"the sample data of (?P<tenant>\w+) is there"), target_fixture="subject")
def sample_data_of_tenant_is_there(run: ProvisioningRun, tenant: str) -> Subject:
    """Insert what is missing; verifying only, prove that the tenant has the tables to hold it."""
    snapshot = run.ensure("data")
    state = snapshot.tenants.get(tenant)
    tables = set(state.tables) if state else set()
    missing = [f"{tenant}.{table}: missing" for table in snapshot.template.data if table not in tables]
    assert_none(f"tables of the sample data that {tenant} has not got", missing)
    return Subject(snapshot, tenant)


@then(parsers.re(r"(?P<schema>\w+)\.(?P<table>\w+) has (?P<count>\d+) rows?"))
def table_has_rows(run: ProvisioningRun, schema: str, table: str, count: str) -> None:
    """Count the rows of any table, once everything is built.

    A tenant's own rows in a table that a data file fills are not counted where ``sampleData.otherRows`` accepts them.
    """
    found = run.rows(schema, table)
    shown: object = "no such table" if found is None else found
    if isinstance(found, Difference):
        shown = found.found_and_remedy
    assert_equal(f"rows of {schema}.{table}", expected=int(count), found=shown)
