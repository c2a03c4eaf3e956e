"""Sentences about the database, the schemas of the tenants, what is in them, and their rows."""

from __future__ import annotations

from typing import NamedTuple

from pytest_bdd import given, parsers, then

from etl_manager.config import Config
from etl_manager.database.difference import Difference
from etl_manager.database.snapshot import DatabaseSnapshot
from etl_manager.provisioning.run import ProvisioningRun
from steps.assertions import assert_equal, assert_none, assert_same_set


@given("the database exists", target_fixture="snapshot")
def database_exists(run: ProvisioningRun) -> DatabaseSnapshot:
    """Create the database where it is missing; verifying only, prove that it exists."""
    return run.ensure("database")


@then(parsers.parse("the database is encoded in {encoding}"))
def database_is_encoded_in(snapshot: DatabaseSnapshot, encoding: str) -> None:
    """Compare the database's encoding."""
    assert_equal(f"encoding of {snapshot.database}", expected=encoding, found=snapshot.encoding)


@given("the tenant schemas exist", target_fixture="snapshot")
def tenant_schemas_exist(run: ProvisioningRun, project: Config) -> DatabaseSnapshot:
    """Build the schemas; verifying only, prove that every tenant has one."""
    snapshot = run.ensure("schema")
    there = {tenant for tenant, state in snapshot.tenants.items() if state.schema_exists}
    assert_same_set("tenant schemas", expected=set(project.tenants), found=set(there))
    return snapshot


class Subject(NamedTuple):
    """The tenant that a scenario is about, in the snapshot of its Given."""

    snapshot: DatabaseSnapshot
    tenant: str


@given(parsers.re(r"the schema (?P<tenant>\w+) exists"), target_fixture="subject")
def schema_exists(run: ProvisioningRun, tenant: str) -> Subject:
    """Build the schemas; verifying only, prove that this tenant has one."""
    snapshot = run.ensure("schema")
    state = snapshot.tenants.get(tenant)
    found = "not in config.json" if state is None else "exists" if state.schema_exists else "missing"
    assert_equal(f"schema {tenant}", expected="exists", found=found)
    return Subject(snapshot, tenant)


@then("no tenant schema exists that is not configured")
def no_stray_schema(snapshot: DatabaseSnapshot) -> None:
    """A schema that looks like a tenant's, and is none, is named and left alone."""
    assert_none("tenant schemas that config.json does not name", snapshot.strays)


@then(parsers.re(r"the schema (?P<tenant>\w+) holds exactly the tables of the template"))
def holds_the_tables(subject: Subject, tenant: str) -> None:
    """No table of the template is missing, and there is no other."""
    assert_none(f"differences in the tables of {tenant}", subject.snapshot.of(tenant, "tables"))


@then("its tables are made as the template says")
def tables_are_made_as_the_template_says(subject: Subject) -> None:
    """Owners, columns, keys, constraints, indexes, triggers, policies, grants; types, functions and views too."""
    found = subject.snapshot.of(subject.tenant, "shape", "schema")
    assert_none(f"differences in what is in {subject.tenant}", found)


@then("its reference rows are there, unaltered")
def reference_rows_are_there(subject: Subject) -> None:
    """Reference rows have known content: one that was edited is no longer the one to compare with."""
    assert_none(f"differences in the rows of {subject.tenant}", subject.snapshot.of(subject.tenant, "rows"))


@then(parsers.re(r"no change is pending in (?P<tenant>\w+)"))
def no_change_is_pending(subject: Subject, tenant: str) -> None:
    """Every change of the template is applied, and its file is the one that was applied."""
    assert_none(f"changes that are not applied to {tenant}", subject.snapshot.of(tenant, "changes"))


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
