"""Sentences about the rows of the tenants."""

from __future__ import annotations

from pytest_bdd import given, parsers, then

from etl_manager.look import Look
from etl_manager.provisioning import Run


@given("the sample data is there", target_fixture="look")
def sample_data_is_there(run: Run) -> Look:
    """Insert what is missing; verifying only, look."""
    return run.ensure("data")


@given(parsers.re(r"the sample data of (?P<tenant>\w+) is there"), target_fixture="look")
def sample_data_of_tenant_is_there(run: Run, tenant: str) -> Look:
    """Insert what is missing; verifying only, prove that the tenant has a table to hold it."""
    look = run.ensure("data")
    state = look.tenants.get(tenant)
    assert state is not None, f"{tenant} is not among the tenants of config.json"
    assert state.table_exists, f"{tenant}.users: expected a table with its sample rows, found no table"
    return look


@then(parsers.re(r"(?P<schema>\w+)\.(?P<table>\w+) has (?P<count>\d+) rows?"))
def table_has_rows(run: Run, schema: str, table: str, count: str) -> None:
    """Count the rows of any table, once everything is built."""
    found = run.rows(schema, table)
    shown = "no such table" if found is None else f"{found} rows"
    assert found == int(count), f"{schema}.{table}: expected {count} rows, found {shown}"


@then(parsers.re(r"the (?P<count>\d+) sample users of (?P<tenant>\w+) are unaltered"))
def sample_users_are_unaltered(look: Look, tenant: str, count: str) -> None:
    """Sample rows have known content: one that was edited is no longer the one to compare with."""
    found = look.tenants[tenant].sample_rows
    assert found == int(count), f"{tenant}.users: expected {count} unaltered sample rows, found {found or 0}"
