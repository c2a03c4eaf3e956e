"""A project's files: those that a team owns lie in its own folder, and the engine comes with the package.

The engine is what runs the SQL on the bastion: a project needs no copy of it, and gets a new one with the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_INSTALLED = Path(__file__).resolve().with_name("project")
"""Where a wheel has them; in a checkout they are the checkout itself."""
PACKAGED = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[1]
"""The folder with features, steps, SQL, the engine and the images' files as the package brings them."""

ENGINE = "scripts/2-sql-execute.sh"
ENGINE_SQL = ("sql/shared", "sql/aurora/inspection")
"""The SQL that the phases' own files include, and that the suite itself runs."""


def engine_files() -> Iterator[str]:
    """Yield the names of the engine's files, relative to a project."""
    yield ENGINE
    for folder in ENGINE_SQL:
        yield from sorted(path.relative_to(PACKAGED).as_posix() for path in (PACKAGED / folder).glob("*.sql"))


def path_of(root: Path, name: str | PurePosixPath) -> Path:
    """Return where the file *name* of the project in *root* lies: in the package, where it is one of the engine's."""
    packaged = PACKAGED / name
    of_engine = str(name) == ENGINE or str(PurePosixPath(name).parent) in ENGINE_SQL
    return packaged if of_engine and packaged.is_file() else root / name


def altered_engine_files(root: Path) -> list[str]:
    """Return the engine's files of which the project in *root* holds another version than the package's."""
    own = [name for name in engine_files() if (root / name).is_file()]
    return [name for name in own if (root / name).read_bytes() != (PACKAGED / name).read_bytes()]


def root_of(config: Path) -> Path:
    """Return the project's folder for the file *config*: its own folder, else the working directory.

    A checkout's own command also works from elsewhere, with a configuration from elsewhere.
    """
    for folder in (config.absolute().parent, Path.cwd()):
        if (folder / "sql/aurora").is_dir():
            return folder
    return config.absolute().parent if _INSTALLED.is_dir() else PACKAGED
