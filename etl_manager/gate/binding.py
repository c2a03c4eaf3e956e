"""What a verdict is bound to: the commit, and the digests of ``sql/`` and of the configuration."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from etl_manager.gate.verdict import Source


def source(root: Path, config: Path) -> Source:
    """Return what the project in *root* holds now, with the configuration *config*."""
    commit, dirty = _git_state(root)
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


def _git_state(root: Path) -> tuple[str | None, bool]:
    """Return the commit checked out in *root*, or None, and whether anything there differs from it."""
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    if commit is None or changes is None:
        return None, True
    return commit.strip(), bool(changes.strip())


def _git(root: Path, *words: str) -> str | None:
    """Return what git prints, or None where there is no git or no repository."""
    # A hook of git's runs with these set, and they would point at another repository.
    inherited = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False, env=environment, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
