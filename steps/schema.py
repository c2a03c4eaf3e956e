"""Sentences about the schemas of the tenants and the tables in them."""

from __future__ import annotations

from pytest_bdd import given, parsers, then

from etl_manager.config import Config
from etl_manager.look import Look
from etl_manager.provisioning import Run


@given("the tenant schemas exist", target_fixture="look")
def tenant_schemas_exist(run: Run, project: Config) -> Look:
    """Build the schemas; verifying only, prove that every tenant has one."""
    look = run.ensure("schema")
    missing = [tenant for tenant in project.tenants if not look.tenants[tenant].schema_exists]
    assert not missing, f"expected a schema for every tenant, missing: {', '.join(missing)}"
    return look


@given(parsers.re(r"the schema (?P<tenant>\w+) exists"), target_fixture="look")
def schema_exists(run: Run, tenant: str) -> Look:
    """Build the schemas; verifying only, prove that this tenant has one."""
    look = run.ensure("schema")
    state = look.tenants.get(tenant)
    assert state is not None, f"{tenant} is not among the tenants of config.json"
    assert state.schema_exists, f"{tenant}: expected a schema, found none"
    return look


@then("no tenant schema exists that is not configured")
def no_stray_schema(look: Look) -> None:
    """A schema that looks like a tenant's, and is none, is told and left alone."""
    assert look.strays == (), f"schemas not configured in config.json: {', '.join(look.strays)}"


@then(parsers.re(r"(?P<tenant>\w+)\.users is a table"))
def users_is_a_table(look: Look, tenant: str) -> None:
    """The table is an ordinary one: views and partitioned tables are not replicated."""
    assert look.tenants[tenant].table_exists, f"{tenant}.users: expected an ordinary table, found none"


@then(parsers.re(r"(?P<tenant>\w+)\.users has the primary key (?P<columns>.+)"))
def users_has_the_primary_key(look: Look, tenant: str, columns: str) -> None:
    """Without its key a table is not replicated (AWS: Aurora zero-ETL limitations)."""
    found = ", ".join(look.tenants[tenant].primary_key or ()) or "none"
    assert found == columns, f"{tenant}.users: expected primary key {columns}, found {found}"


@then(parsers.re(r"(?P<tenant>\w+)\.users has the columns every tenant has"))
def users_has_the_columns(look: Look, tenant: str) -> None:
    """The verification names the column that differs."""
    assert look.tenants[tenant].columns_ok, f"{tenant}.users: its columns differ; the verification names them"


@then(parsers.re(r"the schema (?P<tenant>\w+) and its users table belong to the master user"))
def belong_to_the_master_user(look: Look, tenant: str) -> None:
    """Whoever else owns a table may change it unseen."""
    state = look.tenants[tenant]
    found = {"schema": state.schema_owner, "table": state.table_owner}
    assert found == {"schema": look.user, "table": look.user}, (
        f"{tenant}: expected owner {look.user}, found schema of {state.schema_owner}, table of {state.table_owner}"
    )
