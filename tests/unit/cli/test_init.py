"""A wheel, installed outside of the checkout: what `etl-manager init` writes is a project that runs."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl_manager.cli import init
from etl_manager.errors import ConfigError

ROOT = Path(__file__).parents[3]
OWNED = {
    "features",
    "steps",
    "sql",
    "scripts",
    "config.json",
    "conftest.py",
    "pytest.ini",
    "requirements.txt",
    "reports",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv with the wheel of this checkout and the libraries of this venv, but nothing of the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, capture_output=True)
    [packages] = folder.glob("venv/lib/python*/site-packages")
    packages.joinpath("libraries.pth").write_text(sysconfig.get_path("purelib"))
    [wheel] = folder.glob("*.whl")
    pip = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    return folder


def run(installed: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of that venv, with nothing of the checkout in the way."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST", "AWS_"))}
    program, *rest = words
    return subprocess.run(
        [installed / "venv/bin" / program, *rest], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_project_of_the_wheel_is_built_and_proven(installed):
    """`etl-manager init shop && cd shop && pytest features/` is green."""
    made = run(installed, "etl-manager", "init", "shop", cwd=installed)
    assert made.returncode == 0, made.stderr
    shop = installed / "shop"
    assert {each.name for each in shop.iterdir()} >= OWNED
    assert (shop / ".github/workflows/acceptance.yml").is_file()
    proven = run(installed, "python", "-m", "pytest", "features/", "--require-gate", cwd=shop)
    assert proven.returncode == 0, proven.stdout + proven.stderr
    assert "10 created" in proven.stdout
    again = run(
        installed, "etl-manager", "-p", "aurora-postgresql", "-c", "config.json", "--local", "--skip-copy",
        "--bastion-command", "scripts/2-sql-execute.sh config.json sql/aurora/verification/verify-setup.sql", cwd=shop,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "tenant_c |          5" in again.stdout


def test_other_suites_of_the_venv_are_left_alone(installed, tmp_path):
    """The package adds nothing to a test run that does not name its plugin: no option, no collected feature."""
    (tmp_path / "x.feature").write_text("Feature: x\n  Scenario: y\n    Given z\n")
    (tmp_path / "test_x.py").write_text("def test_x(): pass\n")
    done = run(installed, "python", "-m", "pytest", "-q", cwd=tmp_path)
    assert done.returncode == 0
    assert "1 passed" in done.stdout
    assert "--target" not in run(installed, "python", "-m", "pytest", "--help", cwd=tmp_path).stdout


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds somebody's work."""
    (tmp_path / "work.txt").write_text("mine")
    yield tmp_path
    assert [each.name for each in tmp_path.iterdir()] == ["work.txt"]


def test_folder_with_something_in_it_is_left_alone(taken):
    """Nothing is overwritten, and the message says how to compare."""
    with pytest.raises(ConfigError, match="holds something already") as told:
        init.write(taken)
    assert "diff -r" in str(told.value)


def test_unwritable_place_leaves_nothing(tmp_path):
    """A file in the way is told; no half a project stays."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write"):
        init.write(tmp_path / "file" / "shop")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
