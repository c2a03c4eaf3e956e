"""Phases: their order and their SQL files. A phase is a folder under ``sql/aurora/``; phases are data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from etl_manager.errors import ConfigError

BUILT_IN = {
    "database": "Database creation phase",
    "schema": "Schema creation phase",
    "data": "Sample data phase",
    "verification": "Verification phase",
}
"""The four steps every environment has, in their order, with a description."""

OPTIONAL = {"isolation": "Tenant isolation phase"}
"""Phases of the suite's own that a configuration switches on by naming them; they run between data and verification."""
KNOWN = ("database", "schema", "data", "isolation", "verification")
"""The phases that the suite brings, in their order: they are safe to repeat, and say what they did."""

TENANT_PHASES = ("schema", "data", "verification")
"""The phases that work in the tenants' database."""

SQL_ROOT = PurePosixPath("sql/aurora")
INSPECTION = SQL_ROOT / "inspection/inspect-database.sql"
"""The look: what is there before anything is changed. It is no phase: it changes nothing."""
TENANT = SQL_ROOT / "tenant"
"""The tenant template: ``changes/*.sql``, in order, and ``data/<table>.sql``."""
NO_PHASES = {
    "inspection": "it is the suite's own look at the database",
    "tenant": "it is the template of a tenant, which the phases schema and data apply",
    "teardown": "it destroys; its files are run by name and by hand only (docs/manual.md)",
}
"""Folders of ``sql/aurora/`` that no run enters as a phase, and why."""

READ_ONLY = ("verification", "inspection")
"""What only reads: its files run in a read-only session."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.sql")
"""What ``scripts/2-sql-execute.sh`` takes for the name of an SQL file."""


def execution_order(named: Iterable[str]) -> list[str]:
    """Return all phases in the order they run: the order of the file, with built-in phases it leaves out put in.

    A built-in phase that is left out comes right after the one before it, and verification last: a phase of one's own
    then finds everything there that is built, unless the file says otherwise.
    """
    order = list(named)
    before = 0
    for name in BUILT_IN:
        if name not in order:
            order.insert(len(order) if name == "verification" else before, name)
        before = order.index(name) + 1
    return order


def order_errors(named: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with the order of the phases as the file names them."""
    order = execution_order(named)
    found = [name for name in order if name in KNOWN]
    wanted = sorted(found, key=KNOWN.index)
    if found != wanted:
        yield f"aurora.phases: {', '.join(found)} are out of order; they run as {', '.join(wanted)}"
    elif order[-1] != "verification":
        yield f"aurora.phases.{order[-1]}: stands after verification, which proves what the other phases built"


def missing_files(root: Path, phase: str) -> str:
    """Return what is wrong with the SQL files of *phase*, or an empty string."""
    try:
        sql_files(root, phase)
    except ConfigError as error:
        return error.message
    return ""


def sql_files(root: Path, phase: str) -> tuple[PurePosixPath, ...]:
    """Return the SQL files of *phase* in the order they run, relative to *root*.

    Numbers in names count as numbers: ``V2`` comes before ``V10``.

    Raises:
        ConfigError: When there are none, or one of them could not be run.
    """
    if phase in NO_PHASES:
        raise ConfigError(f"{phase} is no phase: {NO_PHASES[phase]}")
    found = _files_in(root, root / SQL_ROOT / phase)
    if not found:
        known = sorted(path.name for path in (root / SQL_ROOT).glob("*/") if path.name not in NO_PHASES)
        raise ConfigError(
            f"unknown phase {phase!r}: there are no SQL files in {SQL_ROOT}/{phase}/ (phases with files: "
            f"{', '.join(known) or 'none'})"
        )
    return found


def changes(root: Path) -> tuple[PurePosixPath, ...]:
    """Return the changes of the tenant template in the order they are applied, relative to *root*.

    Raises:
        ConfigError: When one of them could not be applied.
    """
    return _files_in(root, root / TENANT / "changes")


def data_files(root: Path) -> tuple[PurePosixPath, ...]:
    """Return the data files of the tenant template, each named as its table, relative to *root*.

    Raises:
        ConfigError: When one of them could not be used.
    """
    return _files_in(root, root / TENANT / "data")


def template_problems(root: Path) -> list[str]:
    """Return what is wrong with the names of the tenant template's files."""
    return [problem for part in ("changes", "data") for problem in _unusable(root, root / TENANT / part)]


def _files_in(root: Path, folder: Path) -> tuple[PurePosixPath, ...]:
    """Return the SQL files of *folder* in order, relative to *root*."""
    if problems := list(_unusable(root, folder)):
        raise ConfigError("; ".join(problems))
    found = sorted((path for path in folder.glob("*.sql") if not _is_litter(path)), key=_natural_order)
    return tuple(PurePosixPath(path.relative_to(root).as_posix()) for path in found)


def _natural_order(path: Path) -> tuple[list[str | int], str]:
    """Return the key that sorts *path*: numbers by their value, and ``V1__x`` (Flyway) before ``V1.1__x``."""
    parts = re.split(r"([0-9]+)", path.stem.replace("__", "\0"))
    return [int(part) if part.isdigit() else part for part in parts], path.name


def _is_litter(path: Path) -> bool:
    """Return whether a program left *path* there for itself: macOS its AppleDouble, Emacs its lock."""
    return path.name.startswith(("._", ".#"))


def _unusable(root: Path, folder: Path) -> Iterator[str]:
    """Yield what is wrong with each entry of *folder* that is, or looks like, an SQL file."""
    for part in (folder.parent, folder):
        if part.is_symlink():
            yield f"{part.relative_to(root)} is a link; what is behind it does not go to the bastion"
    inside = (root / "sql").resolve()
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        name = path.relative_to(root).as_posix()
        if path.suffix.lower() != ".sql" or _is_litter(path):
            continue
        if path.is_symlink() and not path.exists():
            yield f"{name} is a link that leads nowhere"
        elif not path.is_file():
            yield f"{name} is no file"
        elif not path.resolve().is_relative_to(inside):
            yield f"{name} lies outside sql/: {path.resolve()}"
        elif not _NAME.fullmatch(path.name):
            yield (
                f"{name!r} would not be run: a name is made of the letters A to Z, digits and . _ -, does not begin with "
                "a dot, and ends in .sql"
            )
