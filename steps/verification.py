"""Sentences about what the verification prints."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pytest_bdd import given, parsers, then, when

from etl_manager.config import Config
from etl_manager.drift import PhaseReport
from etl_manager.provisioning import Run
from etl_manager.verification import Verification

MOST_SHOWN = 20
"""Differences shown in one message: the rest is counted."""


@when("everything is provisioned again", target_fixture="reports")
def provisioned_again(run: Run) -> list[PhaseReport]:
    """Run every phase once more."""
    if run.verify_only:
        pytest.skip("--verify-only changes nothing, and so repeats nothing")
    return run.again()


@then("nothing was created or repaired")
def nothing_was_changed(reports: list[PhaseReport]) -> None:
    """Each phase says itself that it changed nothing."""
    changes = [str(change) for report in reports for change in report.changes]
    assert not changes, "the second run changed what the first had built:\n" + _shown(changes)


@given("the environment is verified", target_fixture="verification")
def environment_is_verified(run: Run) -> Verification:
    """Build what is missing, then have the verification print what is there, and the second witness read it again."""
    return run.verification()


@then("the verification lists the schemas of all tenants")
def lists_all_schemas(verification: Verification, project: Config) -> None:
    """The first result set, as a whole."""
    _same_set(set(verification.schemas), set(project.tenants), "schemas")


@then("the verification lists the users tables of all tenants")
def lists_all_tables(verification: Verification, project: Config) -> None:
    """The second result set, as a whole."""
    _same_set(set(verification.tables), {(tenant, "users") for tenant in project.tenants}, "users tables")


@then("the verification counts the users of all tenants")
def counts_all_users(verification: Verification, project: Config) -> None:
    """The third result set, as a whole."""
    expected: Mapping[str, int] = dict.fromkeys(project.tenants, project.users_per_tenant)
    _same_set(set(verification.counts.items()), set(expected.items()), "user counts")


@then(parsers.re(r"the verification reports (?P<count>\d+) users in (?P<tenant>\w+)"))
def reports_users(verification: Verification, count: str, tenant: str) -> None:
    """One line of the third result set."""
    found = verification.counts.get(tenant)
    shown = "no users table" if found is None else f"{found} users"
    assert found == int(count), f"{tenant}: expected {count} users, found {shown}"


@then(parsers.re(r"the verification finds no difference in (?P<tenant>\w+)"))
def finds_no_difference(verification: Verification, tenant: str) -> None:
    """No finding concerns this tenant."""
    findings = [str(finding) for finding in verification.of(tenant)]
    assert not findings, f"{len(findings)} differences:\n" + _shown(findings)


@then("the verification finds no tenant schema that is not configured")
def finds_no_stray(verification: Verification, project: Config) -> None:
    """What nobody configured is told, and left alone."""
    findings = [str(finding) for finding in verification.strays(project.tenants)]
    assert not findings, f"{len(findings)} schemas not configured:\n" + _shown(findings)


def _same_set(found: set[object], expected: set[object], what: str) -> None:
    """Compare whole sets: one too many fails like one too few."""
    lines = [f"missing {_name(item)}" for item in sorted(expected - found, key=str)]
    lines += [f"not expected {_name(item)}" for item in sorted(found - expected, key=str)]
    assert not lines, f"{what} of the verification differ:\n" + _shown(lines)


def _name(item: object) -> str:
    return " ".join(map(str, item)) if isinstance(item, tuple) else str(item)


def _shown(lines: list[str]) -> str:
    more = [f"… and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
    return "\n".join(f"  - {line}" for line in [*lines[:MOST_SHOWN], *more])
