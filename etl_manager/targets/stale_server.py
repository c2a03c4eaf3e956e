"""A server that a killed run left behind: recognised by its postmaster.pid, and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_FAST_SECONDS = 20  # fast shutdown, then immediate


def stop_stale(data: Path) -> None:
    """Stop the server that still runs on *data*, and remove a lock file that nobody stands behind.

    PostgreSQL itself believes any living process of that number to be its server, and refuses to start.
    """
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return
    for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if not _serves(pid, data):
            break
        with suppress(ProcessLookupError):
            os.kill(pid, sign)
        deadline = time.monotonic() + _FAST_SECONDS
        while _serves(pid, data) and time.monotonic() < deadline:
            time.sleep(0.02)
    lock.unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Return whether process *pid* is a server on *data*: a server's working directory is its data."""
    proc = Path("/proc")
    if (proc / "self").exists():
        try:
            return (proc / str(pid) / "cwd").readlink() == data
        except OSError:
            return False
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True)
    return str(data) in shown.stdout
