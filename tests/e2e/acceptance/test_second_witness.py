"""The second witness: what the verification claims is read again, and a disagreement fails the run."""

from __future__ import annotations

import pytest

from etl_manager.database import crosscheck
from etl_manager.database.verification import Difference, Verification
from etl_manager.errors import InfrastructureError, VerificationError
from tests.e2e.acceptance.rig import TENANTS

TRUE = {
    "schemas": TENANTS,
    "tables": {(tenant, "users"): "postgres" for tenant in TENANTS},
    "counts": dict.fromkeys(TENANTS, 5),
    "findings": (),
}
LIES = {
    "a row more": ({"counts": TRUE["counts"] | {"tenant_b": 6}}, "users of tenant_b: the verification counts 6, the witness 5"),
    "a tenant less": ({"counts": {"tenant_a": 5, "tenant_c": 5}}, "users of tenant_b: the verification counts None, the witness 5"),
    "another owner": (
        {"tables": TRUE["tables"] | {("tenant_c", "users"): "eve"}},
        "owner of tenant_c.users: the verification says eve, the witness postgres",
    ),
    "a table less": (
        {"tables": {("tenant_a", "users"): "postgres", ("tenant_b", "users"): "postgres"}},
        "owner of tenant_c.users: the verification says no table, the witness postgres",
    ),
    "a schema less": ({"schemas": TENANTS[:2]}, "schema tenant_c: the verification does not, the witness lists it"),
    "a schema more": ({"schemas": (*TENANTS, "tenant_d")}, "schema tenant_d: the verification lists it, the witness does not"),
}  # fmt: skip


def test_witness_agrees_with_what_is_true(built, cloud):
    """Where the claim is what is there, nothing is said."""
    crosscheck.check(cloud.target.witness_conninfo("multitenant_analytics"), TENANTS, Verification(**TRUE))


def test_witness_does_not_deny_what_the_verification_says_it_could_not_see(built, cloud):
    """Where the master user may not count, the finding says so: that the witness can is no disagreement."""
    unseen = {
        "counts": {"tenant_a": 5, "tenant_c": 5},
        "findings": (Difference("tenant_b", "table users", "readable", "not readable by postgres", "not-readable"),),
    }
    crosscheck.check(cloud.target.witness_conninfo("multitenant_analytics"), TENANTS, Verification(**TRUE | unseen))


@pytest.mark.parametrize("lie", LIES)
def test_witness_tells_each_difference(built, cloud, lie):
    """The error names the tenant, what was claimed and what the witness read."""
    claim, told = LIES[lie]
    with pytest.raises(VerificationError, match="a second connection disagree") as disagreement:
        crosscheck.check(cloud.target.witness_conninfo("multitenant_analytics"), TENANTS, Verification(**TRUE | claim))
    assert told in str(disagreement.value)


def test_witness_that_cannot_connect_is_trouble_and_shows_no_password(built, cloud):
    """A witness that cannot speak is no agreement."""
    conninfo = cloud.target.witness_conninfo("no_such_database")
    with pytest.raises(InfrastructureError, match="The second witness cannot read the database") as trouble:
        crosscheck.check(conninfo, TENANTS, Verification(**TRUE))
    assert cloud.target.postgres.password not in str(trouble.value)


def test_lying_verification_fails_the_run(new_project):
    """On the local target a verification that prints what is not there is found out."""
    project = new_project()
    lie = (project.path / "sql/aurora/verification/verify-setup.sql").read_text()
    lie = lie.replace("head_count.rows AS user_count", "head_count.rows + 1 AS user_count")
    project.write("sql/aurora/verification/verify-setup.sql", lie)
    outcome = project.run("features/4-verification.feature::Exactly the configured tenants are shown")
    assert outcome.status == 1
    assert "The verification's output and a second connection disagree" in outcome.terminal
    assert "users of tenant_a: the verification counts 6, the witness 5" in outcome.terminal
