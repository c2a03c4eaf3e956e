"""The commit, branch and repository that a run was made from."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

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


_SCP_LIKE = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>.+)")
_URL = re.compile(r"(?:https?|ssh|git)://(?:[^@/]+@)?(?P<host>[\w.-]+)(?::\d+)?/(?P<path>.+)")


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The checkout that is run.

    Attributes:
        commit: Its full id; empty outside of a git checkout.
        dirty: Whether a tracked file differs from the commit, or an untracked one lies beside them.
        web: Where a browser finds the repository, without credentials; empty without a remote.
        prefix: The project's folder inside the repository, with a slash at its end; usually empty.
    """

    commit: str = ""
    dirty: bool = False
    web: str = ""
    prefix: str = ""

    def __str__(self) -> str:
        """Return the commit as reports name it."""
        return f"{self.commit}{' + uncommitted changes' if self.dirty else ''}" if self.commit else "not a git checkout"

    def link(self, path: str, line: int | None = None) -> str:
        """Return the address of *path* at the commit, or an empty string where there is none to show."""
        if not (self.web and self.commit):
            return ""
        tree = "-/blob" if "gitlab" in self.web.split("/")[2] else "blob"
        return f"{self.web}/{tree}/{self.commit}/{quote(self.prefix + path)}" + (f"#L{line}" if line else "")


def repository(root: Path) -> Repository:
    """Return what *root* is a checkout of; nothing is asked of the network."""
    commit, dirty = state(root)
    if commit is None:
        return Repository()
    web = _web(git(root, "remote", "get-url", "origin") or "")
    prefix = git(root, "rev-parse", "--show-prefix") or ""
    return Repository(commit=commit, dirty=dirty, web=web, prefix=prefix)


def _web(remote: str) -> str:
    """Return the address a browser opens for *remote*: its credentials and user are left out."""
    found = _URL.fullmatch(remote) or _SCP_LIKE.fullmatch(remote)
    if found is None:
        return ""
    return f"https://{found['host']}/{found['path'].removesuffix('/').removesuffix('.git')}"
