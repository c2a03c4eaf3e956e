"""Sentences about the schemas of the tenants and the tables in them."""

from __future__ import annotations

from pytest_bdd import given, parsers, then

from etl_manager.config import Config
from etl_manager.database.snapshot import DatabaseSnapshot
from etl_manager.provisioning.run import ProvisioningRun
from steps.assertions import assert_equal, assert_none, assert_same_set


@given("the tenant schemas exist", target_fixture="snapshot")
def tenant_schemas_exist(run: ProvisioningRun, project: Config) -> DatabaseSnapshot:
    """Build the schemas; verifying only, prove that every tenant has one."""
    snapshot = run.ensure("schema")
    there = {tenant for tenant, state in snapshot.tenants.items() if state.schema_exists}
    assert_same_set("tenant schemas", expected=set(project.tenants), found=set(there))
    return snapshot


@given(parsers.re(r"the schema (?P<tenant>\w+) exists"), target_fixture="snapshot")
def schema_exists(run: ProvisioningRun, tenant: str) -> DatabaseSnapshot:
    """Build the schemas; verifying only, prove that this tenant has one."""
    snapshot = run.ensure("schema")
    state = snapshot.tenants.get(tenant)
    found = "not in config.json" if state is None else "exists" if state.schema_exists else "missing"
    assert_equal(f"schema {tenant}", expected="exists", found=found)
    return snapshot


@then("no tenant schema exists that is not configured")
def no_stray_schema(snapshot: DatabaseSnapshot) -> None:
    """A schema that looks like a tenant's, and is none, is reported and left alone."""
    assert_none("tenant schemas that config.json does not name", snapshot.strays)


@then(parsers.re(r"(?P<tenant>\w+)\.users is a table"))
def users_is_a_table(snapshot: DatabaseSnapshot, tenant: str) -> None:
    """The table is an ordinary one: views and partitioned tables are not replicated."""
    found = "exists" if snapshot.tenants[tenant].table_exists else "missing"
    assert_equal(f"table {tenant}.users", expected="exists", found=found)


@then(parsers.re(r"(?P<tenant>\w+)\.users has the primary key (?P<columns>.+)"))
def users_has_the_primary_key(snapshot: DatabaseSnapshot, tenant: str, columns: str) -> None:
    """Without its key a table is not replicated (AWS: Aurora zero-ETL limitations)."""
    found = ", ".join(snapshot.tenants[tenant].primary_key or ()) or "none"
    assert_equal(f"primary key of {tenant}.users", expected=columns, found=found)


@then(parsers.re(r"(?P<tenant>\w+)\.users has the columns every tenant has"))
def users_has_the_columns(snapshot: DatabaseSnapshot, tenant: str) -> None:
    """The verification names the column that differs."""
    found = "as configured" if snapshot.tenants[tenant].columns_ok else "different (the verification names the column)"
    assert_equal(f"columns of {tenant}.users", expected="as configured", found=found)


@then(parsers.re(r"the schema (?P<tenant>\w+) and its users table belong to the master user"))
def belong_to_the_master_user(snapshot: DatabaseSnapshot, tenant: str) -> None:
    """Whoever else owns a table may change it unseen."""
    state = snapshot.tenants[tenant]
    assert_equal(f"owner of schema {tenant}", expected=snapshot.user, found=state.schema_owner)
    assert_equal(f"owner of {tenant}.users", expected=snapshot.user, found=state.table_owner)
