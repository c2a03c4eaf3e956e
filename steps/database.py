"""Sentences about the database that all tenants share."""

from __future__ import annotations

from pytest_bdd import given, parsers, then

from etl_manager.database.snapshot import DatabaseSnapshot
from etl_manager.provisioning.run import ProvisioningRun
from steps.assertions import assert_equal


@given("the database exists", target_fixture="snapshot")
def database_exists(run: ProvisioningRun) -> DatabaseSnapshot:
    """Create the database where it is missing; verifying only, prove that it exists."""
    return run.ensure("database")


@then(parsers.parse("the database is encoded in {encoding}"))
def database_is_encoded_in(snapshot: DatabaseSnapshot, encoding: str) -> None:
    """Compare the database's encoding."""
    assert_equal(f"encoding of {snapshot.database}", expected=encoding, found=snapshot.encoding)
