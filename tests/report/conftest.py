"""Real runs whose reports are looked at: a green one, one that finds the database broken, and ones in trouble."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from etl_manager.targets import TargetOptions
from etl_manager.targets.local import LocalTarget
from tests.acceptance.rig import Cloud, Outcome, Project

REMOTE = "https://operator:hunter2@git.example.com/platform/etl-manager.git"
"""Where the copies of the project say they come from; the credentials in it must not show."""


@dataclass(frozen=True)
class Kept:
    """A run that ended, and a copy of its reports."""

    outcome: Outcome
    reports: Path

    def results(self) -> dict[str, dict]:
        """Return Allure's results by the names of the scenarios."""
        found = [json.loads(path.read_text()) for path in self.reports.glob("allure-results/*-result.json")]
        return {result["name"]: result for result in found}

    def attachments(self, node: dict) -> dict[str, str]:
        """Return the attachments of a result or a step by their names."""
        folder = self.reports / "allure-results"
        return {item["name"]: (folder / item["source"]).read_text() for item in node.get("attachments", [])}


@pytest.fixture(scope="session")
def reported_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An account of its own for the runs that are reported."""
    target = LocalTarget(TargetOptions(region="us-east-1", state=tmp_path_factory.mktemp("cloud")))
    cloud = Cloud(target)
    cloud.execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", database="postgres")
    yield cloud
    target.close()
    target.postgres.forget()


@pytest.fixture(scope="session")
def suite(reported_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A checkout of the project, with a commit and a remote."""
    suite = Project(tmp_path_factory.mktemp("reported") / "suite")
    suite.environment = reported_cloud.environment
    suite.write(".gitignore", "reports/\n.local/\n__pycache__/\n")
    git(suite.path, "init", "--quiet")
    git(suite.path, "add", ".")
    git(suite.path, "commit", "--quiet", "--message", "as delivered")
    git(suite.path, "remote", "add", "origin", REMOTE)
    yield suite
    suite.forget()


def git(folder: Path, *words: str) -> str:
    """Run git in *folder* and return what it prints."""
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com")
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def run(suite: Project, keep: Path, *arguments: str, **environment: str) -> Kept:
    """Run the features, with the reports of earlier runs in place, and keep a copy of the reports."""
    outcome = suite.outcome(suite.start("features/", *arguments, **environment))
    shutil.copytree(suite.path / "reports", keep)
    return Kept(outcome, keep)


@pytest.fixture(scope="session")
def green(suite: Project, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The first run: it builds everything."""
    kept = run(suite, tmp_path_factory.mktemp("green") / "reports")
    assert kept.outcome.status == 0, kept.outcome.terminal
    return kept


@pytest.fixture(scope="session")
def red(green: Kept, suite: Project, reported_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The second: it proves only, and somebody has deleted a row and made a schema since."""
    reported_cloud.execute("DELETE FROM tenant_b.users WHERE user_id = 3", "CREATE SCHEMA tenant_z")
    variables = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.example.com",
        "GITHUB_REPOSITORY": "platform/etl-manager",
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_NUMBER": "12",
        "GITHUB_RUN_ATTEMPT": "2",
        "GITHUB_WORKFLOW": "acceptance",
    }
    kept = run(suite, tmp_path_factory.mktemp("red") / "reports", "--verify-only", **variables)
    assert kept.outcome.status == 1, kept.outcome.terminal
    return kept
