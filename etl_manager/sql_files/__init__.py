"""The SQL files of the phases, read as psql will read them, before any of them is run."""

from __future__ import annotations

import re

_HEADER = re.compile(r"--\s*destroys:\s*(\S.*)", re.IGNORECASE)


def destroys(text: str) -> str:
    """Return why the SQL file *text* says, in the comment at its head, that it destroys; else an empty string."""
    for line in text.lstrip("\ufeff").splitlines():
        if match := _HEADER.fullmatch(line.strip()):
            return match[1]
        if line.strip() and not line.lstrip().startswith("--"):
            break
    return ""
