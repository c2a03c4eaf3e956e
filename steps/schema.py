"""Sentences about the schemas of the tenants and the tables in them."""

from __future__ import annotations

from pytest_bdd import given, parsers, then

from etl_manager.config import Config
from etl_manager.database.snapshot import DatabaseSnapshot
from etl_manager.provisioning.run import ProvisioningRun
from steps.judging import judge, judge_none, judge_same_set


@given("the tenant schemas exist", target_fixture="look")
def tenant_schemas_exist(run: ProvisioningRun, project: Config) -> DatabaseSnapshot:
    """Build the schemas; verifying only, prove that every tenant has one."""
    look = run.ensure("schema")
    there = {tenant for tenant, state in look.tenants.items() if state.schema_exists}
    judge_same_set("tenant schemas", expected=set(project.tenants), found=set(there))
    return look


@given(parsers.re(r"the schema (?P<tenant>\w+) exists"), target_fixture="look")
def schema_exists(run: ProvisioningRun, tenant: str) -> DatabaseSnapshot:
    """Build the schemas; verifying only, prove that this tenant has one."""
    look = run.ensure("schema")
    state = look.tenants.get(tenant)
    found = "not in config.json" if state is None else "exists" if state.schema_exists else "missing"
    judge(f"schema {tenant}", expected="exists", found=found)
    return look


@then("no tenant schema exists that is not configured")
def no_stray_schema(look: DatabaseSnapshot) -> None:
    """A schema that looks like a tenant's, and is none, is told and left alone."""
    judge_none("tenant schemas that config.json does not name", look.strays)


@then(parsers.re(r"(?P<tenant>\w+)\.users is a table"))
def users_is_a_table(look: DatabaseSnapshot, tenant: str) -> None:
    """The table is an ordinary one: views and partitioned tables are not replicated."""
    found = "exists" if look.tenants[tenant].table_exists else "missing"
    judge(f"table {tenant}.users", expected="exists", found=found)


@then(parsers.re(r"(?P<tenant>\w+)\.users has the primary key (?P<columns>.+)"))
def users_has_the_primary_key(look: DatabaseSnapshot, tenant: str, columns: str) -> None:
    """Without its key a table is not replicated (AWS: Aurora zero-ETL limitations)."""
    found = ", ".join(look.tenants[tenant].primary_key or ()) or "none"
    judge(f"primary key of {tenant}.users", expected=columns, found=found)


@then(parsers.re(r"(?P<tenant>\w+)\.users has the columns every tenant has"))
def users_has_the_columns(look: DatabaseSnapshot, tenant: str) -> None:
    """The verification names the column that differs."""
    found = "as configured" if look.tenants[tenant].columns_ok else "different (the verification names the column)"
    judge(f"columns of {tenant}.users", expected="as configured", found=found)


@then(parsers.re(r"the schema (?P<tenant>\w+) and its users table belong to the master user"))
def belong_to_the_master_user(look: DatabaseSnapshot, tenant: str) -> None:
    """Whoever else owns a table may change it unseen."""
    state = look.tenants[tenant]
    judge(f"owner of schema {tenant}", expected=look.user, found=state.schema_owner)
    judge(f"owner of {tenant}.users", expected=look.user, found=state.table_owner)
