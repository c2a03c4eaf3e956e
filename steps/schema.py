"""Sentences about the schemas of the tenants and what is in them."""

from __future__ import annotations

from typing import NamedTuple

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
