"""A wheel, installed outside of the checkout: what `etl-manager init` writes is a project that runs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl_manager import config
from etl_manager.bastion import workspace
from etl_manager.cli import init
from etl_manager.errors import ConfigError
from etl_manager.gate import check
from etl_manager.project import ENGINE, engine_files
from etl_manager.sql_files import check as sql_files
from etl_manager.targets.local import forget
from tests.support.haste import usual_places

ROOT = Path(__file__).parents[3]
OWNED = {
    "features",
    "steps",
    "sql",
    "config.json",
    "conftest.py",
    "pytest.ini",
    "requirements.txt",
    "reports",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A venv with the wheel of this checkout and the libraries of this venv, but nothing of the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    bare = [sys.executable, "-m", "venv", "--without-pip", folder / "venv"]
    subprocess.run(bare, check=True, capture_output=True)
    [packages] = folder.glob("venv/lib/python*/site-packages")
    packages.joinpath("libraries.pth").write_text(sysconfig.get_path("purelib"))
    [wheel] = folder.glob("*.whl")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        folder / "venv",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        wheel,
    ]
    subprocess.run(pip, check=True, capture_output=True)
    yield folder
    with usual_places():
        forget(folder / "shop/.local")


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
    assert {each.name for each in shop.iterdir()} == OWNED | {".github", ".gitignore"}
    assert {each.name for each in (shop / "sql/aurora").iterdir()}.isdisjoint({"shared", "inspection"})
    assert [(shop / "sql/aurora/tenant" / name).is_file() for name in ("changes/0001-users.sql", "data/users.sql")] == [
        True
    ] * 2
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
def shop(tmp_path: Path) -> Path:
    """A project as `etl-manager init` writes it."""
    init.write(tmp_path / "shop")
    return tmp_path / "shop"


def sent(project: Path) -> dict[str, bytes]:
    """Return what a run of *project* sends to the bastion."""
    tar_file = workspace.build(config.load(project / "config.json", project)).tar
    with tarfile.open(fileobj=io.BytesIO(tar_file)) as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member))}


@pytest.mark.parametrize("transfer", [{}, {"directories": ["sql/aurora", "sql/shared"], "files": [ENGINE]}])
def test_engine_is_sent_from_the_package(shop, transfer):
    """A project without a copy of it sends the same workspace as a checkout, also where its lists name the engine."""
    (shop / "config.json").write_text(json.dumps({"bastion": {"autoTransfer": transfer}}))
    files = sent(shop)
    assert {name: files[name] for name in engine_files()} == {
        name: (ROOT / name).read_bytes() for name in engine_files()
    }
    assert sum(name.startswith("sql/aurora/schema/") for name in files)


@pytest.mark.parametrize("name", [ENGINE, "sql/shared/configuration.sql", "sql/aurora/inspection/count-rows.sql"])
def test_own_version_of_an_engine_file_is_refused(shop, name):
    """It would not be the one that runs. A copy that is the same does no harm."""
    before = sent(shop)
    (shop / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / name, shop / name)
    assert sent(shop) == before
    with (shop / name).open("a") as file:
        file.write("-- ours\n")
    with pytest.raises(ConfigError, match=rf"its own version of files that come with etl-manager: {name}"):
        sent(shop)


def test_further_file_beside_the_engines_is_the_teams(shop):
    """What a team puts into sql/shared under a name of its own travels, and may be included."""
    (shop / "sql/shared").mkdir()
    (shop / "sql/shared/ours.sql").write_text("SELECT 1;\n")
    (shop / "sql/aurora/data/more.sql").write_text("\\ir ../../shared/ours.sql\n\\ir ../../shared/configuration.sql\n")
    sql_files.check(config.load(shop / "config.json", shop))
    assert sent(shop)["sql/shared/ours.sql"] == b"SELECT 1;\n"


def test_verdict_is_bound_to_the_sql_that_was_sent(shop):
    """The digest of the verdict is that of the workspace's sql/, the engine's files included."""
    lines = [
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in sorted(sent(shop).items())
        if name.startswith("sql/")
    ]
    assert check.sql_digest(shop) == hashlib.sha256("".join(lines).encode()).hexdigest()


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
