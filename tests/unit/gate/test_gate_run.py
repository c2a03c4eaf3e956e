"""Whole runs of ``pytest features/`` under the gate: when it is green, when it is red, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from etl_manager import config as configuration
from etl_manager.report.feature_files import expected_scenarios
from tests.support import forks
from tests.support.outcome import Outcome
from tests.support.project import ROOT, Project, git

JUNIT = "--junitxml=reports/junit.xml"


class Gated(Project):
    """A copy of the project under Git."""

    def __post_init__(self) -> None:
        """Commit the copy."""
        super().__post_init__()
        shutil.copy(ROOT / ".gitignore", self.path)
        git(self.path, "init", "-q")
        self.commit()

    def commit(self) -> None:
        """Commit everything."""
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "--allow-empty", "-m", "a change")

    @property
    def verdict(self) -> dict[str, Any]:
        """The verdict the last run left."""
        loaded: dict[str, Any] = json.loads((self.path / "reports/phase3-gate.json").read_text())
        return loaded

    def left(self) -> list[str]:
        """Return the names of what the gate left in the reports."""
        return sorted(path.name for path in (self.path / "reports").glob("*") if re.search("gate|filter", path.name))

    def statuses(self) -> set[str]:
        """Return the statuses of the prerequisites."""
        return {result["status"] for result in self.verdict["prerequisites"]}

    def check(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Ask whether the verdict may be relied on."""
        command = ("gate", "check", "reports/phase3-gate.json", *words)
        return forks.run("etl_manager", *command, cwd=self.path, env=os.environ)

    def junit(self) -> ElementTree.Element:
        """Return the verdict among the test cases of JUnit's report."""
        tree = ElementTree.parse(self.path / "reports/junit.xml")  # noqa: S314 - our own file
        [case] = [case for case in tree.iter("testcase") if case.get("classname") == "phase3-gate"]
        return case


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    """One project for all runs of this module; a test leaves its files as it found them."""
    made = Gated(tmp_path_factory.mktemp("gated") / "suite")
    yield made
    made.forget()


@pytest.mark.parametrize(("endpoint", "emulated"), [("", False), ("http://127.0.0.1:9", True)])
def test_a_run_that_reached_nothing_is_emulated_only_by_an_endpoint_of_its_own(tmp_path, endpoint, emulated):
    """Where nobody answered it is the target that counts: AWS's own, or something in its place."""
    project = Gated(tmp_path / "suite")
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"} if emulated else {"AWS_PROFILE": "nobody"}
    elsewhere = {"AWS_ENDPOINT_URL": endpoint} if endpoint else {}
    outcome = project.run("features/", "--target", "aws", "--aws-region", "us-east-1", **keys, **elsewhere)
    assert outcome.status == 1, outcome.terminal
    assert outcome.counts["failed"] == 1
    assert (project.verdict["ready"], project.verdict["emulated"]) == (False, emulated)
    assert ("emulated" in outcome.terminal.partition("phase 3 gate")[2].partition("short test")[0]) is emulated


@pytest.fixture(scope="module")
def first(project: Gated) -> Outcome:
    """A run that provisions and proves, under the gate."""
    return project.run("features/", "--require-gate", JUNIT)


def test_whole_run_is_green_and_leaves_a_verdict(project, first):
    """It exits 0; the verdict fits the schema, the filter is the plain list, and JUnit has both."""
    import jsonschema  # it takes seconds, as often as tests are collected

    assert first.status == 0, first.terminal
    verdict = project.verdict
    jsonschema.validate(verdict, json.loads((ROOT / "docs/phase3-gate.schema.json").read_text()))
    assert (verdict["ready"], verdict["emulated"], verdict["target"]) == (True, True, "local")
    assert verdict["tenants"] == ["tenant_a", "tenant_b", "tenant_c"]
    assert verdict["cluster"].startswith("arn:aws:rds:us-east-1:")
    assert [phase["created"] for phase in verdict["phases"]] == [1, 6, 3]
    plain = ", ".join(f"include: multitenant_analytics.tenant_{name}.users" for name in "abc")
    assert verdict["data_filter"] == plain
    assert (project.path / "reports/zero-etl-data-filter.txt").read_text() == plain + "\n"
    assert (project.path / "reports/phase3-gate.md").read_text().startswith("# Phase 3 gate: ready\n")
    assert list(project.junit()) == []
    assert "Ready (emulated: this proves nothing about AWS)." in first.terminal


def test_gate_costs_no_command_of_its_own(first):
    """The catalogue comes with the verification: a whole run on an empty bastion is at most 6 SendCommands."""
    assert int(re.search(r"SendCommands of this run: (\d+)", first.log)[1]) <= 6


def test_verdict_may_be_relied_on_for_its_target(project, first):
    """The command says so by its exit status: for the target that ran, and not for AWS."""
    first.status  # noqa: B018 - the run must have been
    assert project.check().returncode == 0, project.check().stderr
    on_aws = project.check("--target", "aws")
    assert on_aws.returncode == 1
    assert "it is of the target local, not of aws" in on_aws.stderr


def test_verifying_only_is_green_too(project, first):
    """Proving without changing is a whole run, in at most 3 SendCommands."""
    outcome = project.run("features/", "--verify-only", "--require-gate")
    assert outcome.status == 0, outcome.terminal
    assert project.verdict["mode"] == "verify-only"
    assert int(re.search(r"SendCommands of this run: (\d+)", outcome.log)[1]) <= 3


def test_what_did_not_run_turns_the_gate_red(project, first):
    """Deselected or skipped by a plugin: what did run passes, and exit status, verdict, JUnit and terminal are red."""
    skip = "\n\ndef pytest_collection_modifyitems(items):\n    import pytest\n    for item in items:\n"
    skip += "        if '2-schema' in item.nodeid:\n            item.add_marker(pytest.mark.skip('later'))\n"
    original = (project.path / "conftest.py").read_text()
    config = configuration.load(project.path / "config.json", project.path)
    skipped = sum("2-schema" in item.file for item in expected_scenarios(project.path, config))
    one = "features/3-data.feature::<tenant> has its sample users[tenant_b-5]"
    project.write("conftest.py", original + skip)
    try:
        outcome = project.run("features/", "--deselect", one, "--verify-only", "--require-gate", JUNIT)
    finally:
        project.write("conftest.py", original)
    assert outcome.counts.get("failed", 0) == 0, outcome.terminal
    assert outcome.status == 1
    assert project.verdict["ready"] is False
    [reason] = project.verdict["reasons"]
    assert re.fullmatch(rf"{skipped + 1} of \d+ scenarios did not run: only a whole run is a proof", reason)
    assert project.junit().find("failure") is not None
    assert "Not ready" in outcome.terminal
    assert reason in outcome.terminal
    assert project.check().returncode == 1


def test_without_the_demand_a_partial_run_is_no_failure(project, first):
    """Who runs a part of it on purpose is not told off; the verdict is red all the same."""
    outcome = project.run("features/1-database.feature", "--verify-only", JUNIT)
    assert outcome.status == 0, outcome.terminal
    assert project.verdict["ready"] is False
    assert project.statuses() == {"not-run"}
    assert project.left() == ["phase3-gate.json", "phase3-gate.md"]
    assert '<property name="phase3-gate" value="not ready" />' in (project.path / "reports/junit.xml").read_text()


def test_failed_phase_turns_the_gate_red(project, first):
    """What depends on a phase that failed is not run, and nothing of it is proven."""
    name = "sql/aurora/data/insert-sample-data.sql"
    project.write(name, "SELECT 1/0;\n")
    try:
        outcome = project.run("features/", "--require-gate")
    finally:
        shutil.copy(ROOT / name, project.path / name)
    assert outcome.status == 1
    assert project.verdict["ready"] is False
    assert project.statuses() == {"not-run", "not-applicable"}
    assert any(re.fullmatch(r"1 of \d+ scenarios failed", reason) for reason in project.verdict["reasons"])


def test_unmet_prerequisite_turns_the_gate_red_and_names_the_place(project, first):
    """A column that is not the template's, and cannot be replicated: scenarios, verdict and page say which."""
    with project.cluster() as cluster:
        cluster.execute("ALTER TABLE tenant_b.users ADD COLUMN amount numeric")
    try:
        outcome = project.run("features/", "--verify-only", "--require-gate")
    finally:
        with project.cluster() as cluster:
            cluster.execute("ALTER TABLE tenant_b.users DROP COLUMN amount")
    assert outcome.status == 1
    told = "tenant_b.users: column amount is numeric, a numeric without precision"
    assert "Every column in the filter has a type that is replicated" in outcome.failures()
    assert told in outcome.terminal
    assert [result["id"] for result in project.verdict["prerequisites"] if result["status"] == "failed"] == [
        "users-tables-exist",
        "replicable-columns",
    ]
    assert any(told in reason for reason in project.verdict["reasons"])
    assert "❌ failed" in (project.path / "reports/phase3-gate.md").read_text()


def test_repair_is_in_the_verdict(project, first):
    """A row that was put back makes a green gate, and the verdict says that it was."""
    with project.cluster() as cluster:
        cluster.execute("DELETE FROM tenant_b.users WHERE user_id = 3")
    outcome = project.run("features/", "--require-gate")
    assert outcome.status == 0, outcome.terminal
    assert project.verdict["phases"][2]["repaired"] == [
        "repaired tenant_b: sample rows of users: missing 3 → none missing"
    ]


def test_another_workspace_on_the_bastion_proves_nothing(project, first):
    """With --skip-copy the bastion runs what it has: only what this project holds is proven."""
    project.write("sql/redshift/later.sql", "SELECT 1;")
    try:
        outcome = project.run("features/", "--verify-only", "--skip-copy", "--require-gate")
    finally:
        (project.path / "sql/redshift/later.sql").unlink()
    assert outcome.status == 1
    [reason] = project.verdict["reasons"]
    assert reason.endswith("run without --skip-copy")


@pytest.mark.parametrize("breakage", ["no tenants", "no configuration", "broken feature"])
def test_no_earlier_verdict_survives_a_run_that_never_began(project: Gated, breakage: str) -> None:
    """Wrong use ends the run at once, under the gate not with 0, and takes the old verdict along."""
    feature = project.path / "features/3-data.feature"
    original = feature.read_text()
    config = {"no tenants": project.write("bad.json", {"tenants": []}), "no configuration": "none.json"}
    (project.path / "reports").mkdir(exist_ok=True)
    for name in ("phase3-gate.json", "phase3-gate.md", "zero-etl-data-filter.txt"):
        project.write(f"reports/{name}", "old")
    if breakage == "broken feature":
        feature.write_text(original + "\n    Thne nothing\n")
    try:
        words = ["features/", "--require-gate", *(["--config-json", config[breakage]] if breakage in config else [])]
        outcome = project.outcome(project.start(*words))
    finally:
        feature.write_text(original)
        (project.path / "bad.json").unlink()
    assert outcome.status == (4 if breakage in config else 2), outcome.terminal
    assert project.left() == []


def test_looking_and_other_tests_leave_the_verdict_alone(project):
    """--collect-only and a run without a feature file are no runs of the gate; demanded of the latter, it fails."""
    project.write("reports/phase3-gate.json", "old")
    project.write("test_other.py", "def test_it():\n    pass\n")
    try:
        looked = project.outcome(project.start("features/", "--collect-only", "-q"))
        other = project.outcome(project.start("test_other.py"))
        demanded = project.outcome(project.start("test_other.py", "--require-gate"))
    finally:
        (project.path / "test_other.py").unlink()
    assert (looked.status, other.status, demanded.status) == (0, 0, 1)
    assert "There is no verdict: no scenario was run." in demanded.terminal
    assert Path(project.path, "reports/phase3-gate.json").read_text() == "old"
