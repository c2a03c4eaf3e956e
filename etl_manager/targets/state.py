"""Folders outside the state directory, for what cannot live in it: stable, and nobody else's."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import IO

from etl_manager.errors import TargetError

# Kept across reboots, unlike /tmp, and on Linux never below a closed home.
_BASE = Path("/var/tmp")  # noqa: S108  # the folder made in it is checked to be ours


def private_path(directory: Path, purpose: str) -> Path:
    """Return the path that stands in for *directory*, the same one every time; nothing is made.

    Args:
        directory: What cannot be used as it is, such as a path below a closed home.
        purpose: Keeps the stand-ins of one directory apart.
    """
    key = hashlib.sha256(f"{os.geteuid()}\0{directory.absolute()}\0{purpose}".encode()).hexdigest()[:16]
    return _BASE / f"etl-manager-{key}"


def private_folder(directory: Path, purpose: str) -> Path:
    """Return `private_path` as a folder, made when it is missing.

    Raises:
        TargetError: When something of that name exists and belongs to somebody else.
    """
    folder = private_path(directory, purpose)
    folder.mkdir(mode=_mode(), exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise TargetError(
            f"{folder} is in the way: it is not a folder that only this user may write",
            context={"needed for": directory},
            hint=f"Look at it, and remove it: ls -ld {folder}",
        )
    folder.chmod(_mode())  # mkdir's mode is cut by the umask
    return folder


def open_to_others(path: Path) -> bool:
    """Return whether another user may walk down to *path*; what does not exist yet counts as open."""
    path = path.absolute()
    return all(bool(each.stat().st_mode & stat.S_IXOTH) for each in (path, *path.parents) if each.exists())


def _mode() -> int:
    """Root's folders are walked by the server's user; anyone else's by themselves only."""
    return 0o755 if os.geteuid() == 0 else 0o700


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
            context={"path": error.filename},
            hint="It must be a folder that this user may write: make it one, or run from a checkout that is yours.",
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
            hint=remedy,
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
