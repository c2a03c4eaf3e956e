"""Sentences about the roles of the tenants: what they may do, and what they are refused."""

from __future__ import annotations

from pytest_bdd import given, parsers, then

from etl_manager.database.difference import RIGHTS
from etl_manager.database.snapshot import Attempts, DatabaseSnapshot
from etl_manager.errors import NotApplicable
from etl_manager.provisioning.run import ProvisioningRun
from steps.assertions import assert_met, assert_none, assert_same_set
from steps.schema import Subject

STATEMENTS = {"SELECT", "INSERT", "UPDATE", "DELETE"}
"""What is tried as each tenant's role, in its own schema and in another's."""


@given("the tenants have roles", target_fixture="snapshot")
def tenants_have_roles(run: ProvisioningRun) -> DatabaseSnapshot:
    """Make the roles and grant what they lack; verifying only, look."""
    return run.ensure("isolation")


@then("everybody may do nothing outside the tenants that a tenant's role should not")
def everybody_may_do_nothing(snapshot: DatabaseSnapshot) -> None:
    """What PUBLIC holds in other schemas and on the database, every tenant's role holds too."""
    found = [
        each for each in snapshot.common if each.aspect == "isolation" or each.kind == "database-privileges-differs"
    ]
    assert_none("privileges of PUBLIC that reach beyond the tenants' schemas", found)


@given(parsers.re(r"the tenant (?P<tenant>\w+) has a role"), target_fixture="subject")
def tenant_has_a_role(run: ProvisioningRun, tenant: str) -> Subject:
    """Make the role and grant what it lacks; verifying only, prove that it is there."""
    snapshot = run.ensure("isolation")
    missing = [
        each for each in snapshot.of(tenant, "schema", "isolation") if each.kind in {"schema-missing", "role-missing"}
    ]
    assert_none(f"what keeps {tenant} from having a role", missing)
    return Subject(snapshot, tenant)


@then(parsers.re(r"the role holds what it needs in the schema of (?P<tenant>\w+), and nothing else"))
def holds_what_it_needs(subject: Subject, tenant: str) -> None:
    """Attributes, memberships and privileges; a privilege too much is a difference like one that is missing."""
    assert_none(f"differences in the role of {tenant}", subject.snapshot.of(tenant, "isolation"))


@then(parsers.re(r"nobody else may do anything in the schema of (?P<tenant>\w+) but what the template says"))
def nobody_else_may(subject: Subject, tenant: str) -> None:
    """Grants, owners, default privileges, policies and row-level security are the template's."""
    found = [each for each in subject.snapshot.of(tenant, "shape") if each.kind in RIGHTS]
    assert_none(f"differences in who may do what in {tenant}", found)


@then(parsers.re(r"the role may read and write the tables of (?P<tenant>\w+)"))
def may_read_and_write(subject: Subject, tenant: str) -> None:
    """It was tried: without this, a refusal elsewhere would prove nothing."""
    attempts = _attempts(subject)
    what = f"statements allowed to {attempts.role} on {tenant}.{attempts.table}"
    assert_same_set(what, expected={*STATEMENTS}, found={*attempts.allowed})


@then("the same is refused to it in the schema of another tenant")
def is_refused_elsewhere(subject: Subject) -> None:
    """The same statements were tried on the same table of the tenant's neighbour."""
    attempts = _attempts(subject)
    if attempts.neighbour is None:
        raise NotApplicable("there is only one tenant, and nobody to keep it from")
    what = f"statements refused to {attempts.role} on {attempts.neighbour}.{attempts.table}"
    assert_same_set(what, expected={*STATEMENTS}, found={*attempts.refused})


def _attempts(subject: Subject) -> Attempts:
    attempts = subject.snapshot.tenants[subject.tenant].attempts
    assert_met(
        f"nothing was tried as the role of {subject.tenant}: it has no table of the template", met=attempts is not None
    )
    assert attempts is not None
    return attempts
