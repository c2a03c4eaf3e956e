"""The second witness: what the verification claims is read again, and a disagreement fails the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from etl_manager.database import crosscheck
from etl_manager.database.difference import Difference
from etl_manager.database.snapshot import Template
from etl_manager.database.verification import Verification
from etl_manager.errors import InfrastructureError, VerificationError
from tests.support.project import TENANTS
from tests.unit.model.snapshots import snapshot, state

FACTS = snapshot(
    *(state(tenant, tables={"users": 5}) for tenant in TENANTS),
    template=Template(changes=("0001-users.sql",), tables=("users",), data=("users",), comparable=True),
)
COUNTS = {(tenant, "users"): 5 for tenant in TENANTS}
TRUE = {"schemas": TENANTS, "tables": dict.fromkeys(COUNTS, "postgres"), "counts": COUNTS, "facts": FACTS}
UNCOUNTED = {name: rows for name, rows in COUNTS.items() if name[0] != "tenant_b"}
LIES = {
    "a row more": ({"counts": COUNTS | {("tenant_b", "users"): 6}}, "rows of tenant_b.users: the verification counts 6, the witness 5"),
    "a tenant less": ({"counts": UNCOUNTED}, "rows of tenant_b.users: the verification counts None, the witness 5"),
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
    crosscheck.check(cloud.target.witness_conninfo("multitenant_analytics"), Verification(**TRUE))


def test_witness_does_not_deny_what_the_verification_says_it_could_not_see(built, cloud):
    """Where the master user may not count, the finding says so: that the witness can is no disagreement."""
    denied = Difference(
        "not-readable", "tenant_b", "table users", "readable", "not readable by postgres", table="users"
    )
    states = FACTS.tenants | {"tenant_b": state("tenant_b", tables={"users": None}, differences=(denied,))}
    unseen = {"counts": UNCOUNTED, "facts": replace(FACTS, tenants=states)}
    crosscheck.check(cloud.target.witness_conninfo("multitenant_analytics"), Verification(**TRUE | unseen))


@pytest.mark.parametrize("lie", LIES)
def test_witness_tells_each_difference(built, cloud, lie):
    """The error names the tenant, what was claimed and what the witness read."""
    claim, told = LIES[lie]
    with pytest.raises(VerificationError, match="a second connection disagree") as disagreement:
        crosscheck.check(cloud.target.witness_conninfo("multitenant_analytics"), Verification(**TRUE | claim))
    assert told in str(disagreement.value)


def test_witness_that_cannot_connect_is_trouble_and_shows_no_password(built, cloud):
    """A witness that cannot speak is no agreement."""
    conninfo = cloud.target.witness_conninfo("no_such_database")
    with pytest.raises(InfrastructureError, match="The second witness cannot read the database") as trouble:
        crosscheck.check(conninfo, Verification(**TRUE))
    assert cloud.target.postgres.password not in str(trouble.value)


def test_lying_verification_fails_the_run(built, cloud):
    """A verification that prints what is not there is found out, by the inspection first.

    The scenario is alone, on a fresh cluster: what is verified is built before.
    """
    cloud.empty()
    true = (built.path / "sql/aurora/verification/verify-setup.sql").read_text()
    lie = true.replace("row_count.rows AS user_count", "row_count.rows + 1 AS user_count")
    assert lie != true
    built.write("sql/aurora/verification/verify-setup.sql", lie)
    try:
        outcome = built.run("features/4-verification.feature::Exactly the configured tenants are shown")
    finally:
        built.write("sql/aurora/verification/verify-setup.sql", true)
    assert outcome.status == 1
    assert "The verification's output and the inspection disagree" in outcome.terminal
    assert "rows: only the verification has tenant_a.users 6" in outcome.terminal
