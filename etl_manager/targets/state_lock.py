"""One user of a target's state at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from etl_manager.errors import TargetError


def lock(state: Path) -> IO[str]:
    """Take *state* for ourselves, made when it is missing; the lock goes with the process, however it ends.

    Raises:
        TargetError: When somebody else has it; it names the process. When it cannot be made or written.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        file = (state / "lock").open("a+")
    except OSError as error:
        raise TargetError(
            f"{state} cannot hold the target's state: {error.strerror}",
            where={"path": error.filename},
            remedy="It must be a folder that this user may write: make it one, or run from a checkout that is yours.",
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise TargetError(
            f"{state} is in use by process {holder or 'unknown'}",
            remedy="Wait for it, end it, or use a state directory of your own",
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def in_use(state: Path) -> bool:
    """Return whether somebody has *state*; also where that cannot be told."""
    try:
        with (state / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
