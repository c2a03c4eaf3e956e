"""Wrong use stops the run before anything starts: exit 4, one clear message, no traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from etl_manager.errors import DiscoveryError

FEATURE = "Feature: F\n  Scenario: S\n    Given the database exists\n    Then tenant_a.users has 5 rows\n"

SHOW_SETTINGS = """

def pytest_collection_finish(session):
    from etl_manager.pytest_plugin.options import SETTINGS
    print(session.config.stash[SETTINGS])
"""


@pytest.fixture
def provisioning(project):
    project.write("features/1.feature", FEATURE)
    return project


@pytest.fixture
def planned(monkeypatch):
    """Return a function that sets what the run plans, or the error that keeps it from starting."""

    def set_plan(lines: list[str], error: Exception | None = None) -> None:
        @contextlib.contextmanager
        def open_run(_: pytest.Config) -> Iterator[SimpleNamespace]:
            if error:
                raise error
            yield SimpleNamespace(plan=lambda: lines)

        monkeypatch.setattr("etl_manager.pytest_plugin.session.open_run", open_run)

    return set_plan


def refused(found, message: str) -> None:
    """Hold that the run was refused with *message*, and nothing else happened."""
    assert (found.status, message in found.err) == (4, True), found.out + found.err
    assert "Traceback" not in found.out + found.err
    assert "passed" not in found.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--verify-only", "--reset-local"], "--verify-only proves what is there; with --reset-local nothing would be"),
        (["--plan", "--verify-only"], "choose one of them"),
        (["--plan", "--reset-local"], "--plan changes nothing"),
        (["--plan", "--require-gate"], "--plan proves nothing"),
        (["--tenant", "tenant_a", "--require-gate"], "--tenant proves some tenants only"),
        (["--reset-local", "--target", "aws"], "the target is aws"),
        (["--aws-profile", "audit"], "--aws-profile audit names an account on AWS; the target is local"),
        (["--target", "azure"], "invalid choice: 'azure'"),
        (["-n", "2", "--dist", "each"], "--dist each has each worker run everything"),
        (["--dist", "load", "--tx", "popen//chdir=elsewhere"], "the workers prove the one run of this machine"),
    ],
    ids=" ".join,
)
def test_contradictions_are_refused(provisioning, arguments, message):
    """Options that cannot go together are refused before anything starts."""
    refused(provisioning.run("features/", *arguments), message)
    assert not (provisioning.path / "reports").exists()


def test_an_unknown_target_in_the_environment_is_refused(provisioning):
    """PROVISION_TARGET is checked like --target."""
    refused(provisioning.run("features/", PROVISION_TARGET="azure"), "PROVISION_TARGET='azure': no such target")


def test_settings_say_what_was_asked_for(provisioning):
    """Options win over the environment; a configuration is looked for where the user stands."""
    provisioning.append("conftest.py", SHOW_SETTINGS)
    provisioning.write("elsewhere.json", (provisioning.path / "config.json").read_text())
    options = ["--config-json", "elsewhere.json", "--skip-copy", "--verify-only", "--require-gate"]
    found = provisioning.run("features/", "-s", *options, "--aws-region", "eu-west-1", PROVISION_TARGET="container")
    for expected in [
        "target='container'",
        f"config_path={provisioning.path / 'elsewhere.json'!r}",
        "mode=<Mode.VERIFY_ONLY: 'verify-only'>",
        "skip_copy=True",
        "require_gate=True",
        "aws_region='eu-west-1'",
    ]:
        assert expected in found.out
    assert "target='aws'" in provisioning.run("features/", "-s", "--target", "aws", PROVISION_TARGET="container").out
    assert "target='local'" in provisioning.run("features/", "-s").out


def test_every_problem_of_the_configuration_is_told(provisioning):
    """An unusable config.json is wrong use: all its problems at once, and nothing starts."""
    provisioning.write("config.json", '{"tenants": ["TENANT A", "b", "b"], "sampleData": {"usersPerTenant": -1}}')
    found = provisioning.run("features/")
    refused(found, "TENANT A")
    assert "usersPerTenant" in found.err
    assert "'b' is named 2 times" in found.err
    assert not (provisioning.path / "reports").exists()


def test_a_missing_configuration_is_told(provisioning):
    """A file that is not there is named."""
    refused(provisioning.run("features/", "--config-json", "missing.json"), "missing.json")


def test_the_plan_is_shown_and_nothing_is_run(provisioning, planned):
    """--plan prints what the run says, runs no step and leaves no report."""
    planned(["schema: 3 tenants", "data: 15 rows"])
    found = provisioning.run("features/", "--plan")
    assert (found.status, "schema: 3 tenants\ndata: 15 rows\n" in found.out) == (0, True), found.out
    assert "passed" not in found.out
    assert not (provisioning.path / "reports").exists()


def test_a_plan_that_cannot_be_made_says_why(provisioning, planned):
    """An error the suite knows ends --plan with exit 1 and its message."""
    planned([], DiscoveryError("no stack", hint="deploy Phase 1"))
    found = provisioning.run("features/", "--plan")
    assert (found.status, "no stack\n  next:  deploy Phase 1\n" in found.out) == (1, True), found.out
    assert "Traceback" not in found.out + found.err


def test_a_plan_without_scenarios_is_refused(provisioning):
    """--plan beside other tests would run them: it is refused."""
    provisioning.write("tests/test_it.py", "def test_it():\n    pass\n")
    refused(provisioning.run("tests/", "--plan"), "no scenario is selected")
