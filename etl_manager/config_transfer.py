"""What goes to the bastion: what a run needs travels always; the lists of ``autoTransfer`` add to that."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from etl_manager import phases
from etl_manager.config_schema import ConfigFile, TransferSection

ENGINE = "scripts/2-sql-execute.sh"
SHARED = ("sql/shared", str(phases.INSPECTION.parent))
"""The folders of the SQL that the engine and the phases' own files include or run beside a phase."""


def section(parsed: ConfigFile) -> tuple[str, TransferSection]:
    """Return the section that holds, with its JSON path: the phase's own wins."""
    if own := parsed.bastion.phase2.auto_transfer:
        return "bastion.phase2.autoTransfer", own
    return "bastion.autoTransfer", parsed.bastion.auto_transfer


def needed(root: Path, names: Iterable[str]) -> list[str]:
    """Return the files that a run of the phases *names* needs on the bastion, relative to *root*.

    Raises:
        ConfigError: When a phase has no SQL files.
    """
    shared = [path for folder in SHARED for path in sorted((root / folder).glob("*.sql"))]
    return [
        ENGINE,
        *(path.relative_to(root).as_posix() for path in shared),
        *(str(file) for name in names for file in phases.sql_files(root, name)),
    ]


def problems(parsed: ConfigFile, root: Path) -> Iterator[str]:
    """Yield what the file names and is not there, and the patterns that would leave behind what a phase runs."""
    key, transfer = section(parsed)
    named = "directories" in transfer.model_fields_set
    for index, directory in enumerate(transfer.directories if named else ()):
        if not (root / directory).is_dir():
            yield f"{key}.directories[{index}]: no such folder: {directory}"
    for index, name in enumerate(transfer.files):
        if name != "config.json" and not (root / name).is_file():
            yield f"{key}.files[{index}]: no such file: {name}"
    for name in phases.in_order(parsed.aurora.phases):
        files = [] if phases.missing_files(root, name) else phases.sql_files(root, name)
        for index, pattern in enumerate(transfer.exclude_patterns):
            if taken := [str(file) for file in files if excluded(str(file), [pattern])]:
                yield f"{key}.excludePatterns[{index}]: {pattern!r} takes {taken[0]}, which phase {name} runs"


def excluded(name: str, patterns: Iterable[str]) -> bool:
    """Say whether a pattern takes *name*: ``*.log`` any part of it, ``build/`` a folder of it, ``sql/x.sql`` the whole."""
    parts = PurePosixPath(name).parts
    for pattern in patterns:
        if pattern.endswith("/"):
            wanted = pattern.rstrip("/")
            if any(fnmatch.fnmatchcase(part, wanted) for part in parts[:-1]) or fnmatch.fnmatchcase(
                name, f"{wanted}/*"
            ):
                return True
        elif fnmatch.fnmatchcase(name, pattern) or any(fnmatch.fnmatchcase(part, pattern) for part in parts):
            return True
    return False
