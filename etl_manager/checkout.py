"""What git says of a checkout; it is asked in this one place."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_INHERITED = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"})
"""A hook of git's runs with these set, and they would point at another repository."""


def git(root: Path, *words: str) -> str | None:
    """Return what git prints for *root*, or None where there is no git or no repository."""
    environment = {name: value for name, value in os.environ.items() if name not in _INHERITED}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False, env=environment, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def state(root: Path) -> tuple[str | None, bool]:
    """Return the commit checked out in *root*, or None, and whether anything there differs from it."""
    commit = git(root, "rev-parse", "--verify", "HEAD")
    changes = git(root, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    if commit is None or changes is None:
        return None, True
    return commit, bool(changes)
