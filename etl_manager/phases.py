"""Phases: their order and their SQL files. A phase is a folder under ``sql/aurora/``; phases are data."""

from __future__ import annotations

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

TENANT_PHASES = ("schema", "data", "verification")
"""The phases that work in the tenants' database."""

SQL_ROOT = PurePosixPath("sql/aurora")
INSPECTION = SQL_ROOT / "inspection/inspect-database.sql"
"""The look: what is there before anything is changed. It is no phase: it changes nothing."""


def in_order(named: Iterable[str]) -> list[str]:
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


def disorder(named: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with the order of the phases as the file names them."""
    order = in_order(named)
    built_in = [name for name in order if name in BUILT_IN]
    if built_in != list(BUILT_IN):
        yield f"aurora.phases: {', '.join(built_in)} are out of order; they run as {', '.join(BUILT_IN)}"
    elif order[-1] != "verification":
        yield f"aurora.phases.{order[-1]}: stands after verification, which proves what the other phases built"


def missing_files(root: Path, phase: str) -> str:
    """Return what is wrong with the SQL files of *phase*, or an empty string."""
    try:
        sql_files(root, phase)
    except ConfigError as error:
        return error.what
    return ""


def sql_files(root: Path, phase: str) -> tuple[PurePosixPath, ...]:
    """Return the SQL files of *phase* by name, relative to *root*.

    Raises:
        ConfigError: When there are none, or one of them lies outside ``sql/`` by way of a link.
    """
    folder = root / SQL_ROOT / phase
    found = sorted(path for path in folder.glob("*.sql") if path.is_file())
    if not found:
        known = sorted(path.name for path in (root / SQL_ROOT).glob("*/") if path.name != INSPECTION.parent.name)
        raise ConfigError(
            f"unknown phase {phase!r}: there are no SQL files in {SQL_ROOT}/{phase}/ (phases with files: "
            f"{', '.join(known) or 'none'})"
        )
    inside = (root / "sql").resolve()
    for path in found:
        if not path.resolve().is_relative_to(inside):
            raise ConfigError(f"{path.relative_to(root)} lies outside sql/: {path.resolve()}")
    return tuple(PurePosixPath(path.relative_to(root).as_posix()) for path in found)
