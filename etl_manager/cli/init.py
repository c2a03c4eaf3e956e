"""``etl-manager init DIR``: write a project that a team owns, as this version of the package has it."""

from __future__ import annotations

import argparse
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from etl_manager.errors import ConfigError, remedy
from etl_manager.project import ENGINE_SQL, PACKAGED

OWNED = ("features", "steps", "sql", "config.json", "conftest.py", "pytest.ini")
"""Sentences, SQL, configuration. The engine stays in the package, and so comes anew with each version of it."""
TEMPLATES = Path(__file__).parents[1] / "templates"
_PLACES = {"gitignore": ".gitignore", "acceptance.yml": ".github/workflows/acceptance.yml"}
"""The templates, and where in a project they go."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the project is written to *parser*."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a folder that is not there yet, or is empty")


def run(namespace: argparse.Namespace) -> int:
    """Write the project, say what to do next, and return the exit status.

    Raises:
        ConfigError: When the folder holds something already, or cannot be written; nothing is half done.
    """
    directory: Path = namespace.directory
    write(directory)
    print(  # noqa: T201  # what the command is for
        f"A project is in {directory}. Next:\n"
        f"  cd {directory}\n"
        "  pytest features/                    build and prove it on the local target\n"
        "  edit config.json: tenants, and where the cluster is\n"
        "  pytest features/ --target aws --plan"
    )
    return 0


def write(directory: Path) -> None:
    """Write a project into *directory*.

    Raises:
        ConfigError: As `run`.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(
            f"{directory} holds something already; a project is written into a new or empty folder only",
            hint="Name another folder, or compare by hand: etl-manager init elsewhere && diff -r elsewhere "
            f"{directory}",
        )
    # Written beside it and moved in whole: a full disk leaves no half a project.
    part = directory.absolute().with_name(f".{directory.absolute().name}.part")
    try:
        part.mkdir(parents=True)
        _write_into(part)
        if directory.exists():
            directory.rmdir()
        part.rename(directory)
    except OSError as error:
        raise ConfigError(
            f"cannot write {error.filename or directory}: {error.strerror}",
            hint=remedy(error, "Name a folder that can be written: etl-manager init DIR"),
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_into(directory: Path) -> None:
    for name in OWNED:
        source = PACKAGED / name
        if source.is_dir():
            shutil.copytree(source, directory / name, ignore=_not_owned)
        else:
            shutil.copy(source, directory / name)
    for name, place in _PLACES.items():
        target = directory / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TEMPLATES / name, target)
    (directory / "reports").mkdir()
    (directory / "reports/.gitkeep").touch()
    try:
        pinned = f"=={version('etl-manager')}"
    except PackageNotFoundError:  # run from a checkout, which was never installed
        pinned = ""
    (directory / "requirements.txt").write_text(f"etl-manager[local]{pinned}\n", encoding="utf-8")


def _not_owned(folder: str, names: list[str]) -> list[str]:
    """Return which of *names* in *folder* are no team's: the engine's folders and Python's caches."""
    inside = Path(folder).relative_to(PACKAGED)
    return [name for name in names if name == "__pycache__" or (inside / name).as_posix() in ENGINE_SQL]
