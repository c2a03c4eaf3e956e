"""One user of a target's state at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from etl_manager.errors import TargetError


def lock_state(state: Path) -> IO[str]:
    """Take a target's state directory, as `lock`.

    Raises:
        TargetError: When somebody else has it, or when it cannot be made or written.
    """
    try:
        return lock(state)
    except OSError as error:
        raise TargetError(
            f"{state} cannot hold the target's state: {error.strerror}",
            where={"path": error.filename},
            remedy="It must be a folder that this user may write: make it one, or run from a checkout that is yours.",
        ) from None


def lock(
    state: Path, name: str = "lock", *, remedy: str = "Wait for it, end it, or use a state directory of your own"
) -> IO[str]:
    """Take the folder *state* for ourselves, made when it is missing; the lock goes with the process, however it ends.

    Args:
        state: The folder.
        name: The file in it that is locked.
        remedy: What to do where somebody else has it.

    Raises:
        TargetError: When somebody else has it; it names the process.
        OSError: When it cannot be made or written.
    """
    state.mkdir(parents=True, exist_ok=True)
    file = (state / name).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise TargetError(
            f"{state} is in use by process {holder or 'unknown'}",
            remedy=remedy,
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
