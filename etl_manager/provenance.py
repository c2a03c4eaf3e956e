"""Where what is run comes from: the commit, whether it was changed since, and where a browser finds it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from etl_manager import checkout
from etl_manager.checkout import git

_SCP_LIKE = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>.+)")
_URL = re.compile(r"(?:https?|ssh|git)://(?:[^@/]+@)?(?P<host>[\w.-]+)(?::\d+)?/(?P<path>.+)")


@dataclass(frozen=True, kw_only=True)
class Source:
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


def source(root: Path) -> Source:
    """Return what *root* is a checkout of; nothing is asked of the network."""
    commit, dirty = checkout.state(root)
    if commit is None:
        return Source()
    web = _web(git(root, "remote", "get-url", "origin") or "")
    prefix = git(root, "rev-parse", "--show-prefix") or ""
    return Source(commit=commit, dirty=dirty, web=web, prefix=prefix)


def _web(remote: str) -> str:
    """Return the address a browser opens for *remote*: its credentials and user are left out."""
    found = _URL.fullmatch(remote) or _SCP_LIKE.fullmatch(remote)
    if found is None:
        return ""
    return f"https://{found['host']}/{found['path'].removesuffix('/').removesuffix('.git')}"
