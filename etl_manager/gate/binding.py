"""What a verdict is bound to: the commit, and the digests of ``sql/`` and of the configuration."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from etl_manager import checkout
from etl_manager.gate.verdict import Source


def source(root: Path, config: Path) -> Source:
    """Return what the project in *root* holds now, with the configuration *config*."""
    commit, dirty = checkout.state(root)
    return Source(
        commit=commit,
        dirty=dirty,
        sql_sha256=sql_digest(root),
        config=Path(os.path.relpath(config, root)).as_posix(),
        config_sha256=file_digest(config),
    )


def sql_digest(root: Path) -> str:
    """Return one digest for all files under ``sql/``: that of what sha256sum prints for them, in the order of names."""
    files = sorted(path.relative_to(root).as_posix() for path in (root / "sql").rglob("*") if path.is_file())
    return hashlib.sha256("".join(f"{file_digest(root / name)}  {name}\n" for name in files).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
