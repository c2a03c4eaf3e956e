"""The state directory of a target: its lock, and folders elsewhere for what cannot be kept in it."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from etl_manager.errors import TargetError, remedy

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


def remove(path: Path) -> None:
    """Remove the file or folder *path*, if it is there.

    Raises:
        OSError: When it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def lock_state(state: Path) -> ExitStack:
    """Take a target's state directory, as `lock`.

    Raises:
        TargetError: When another process has it, or when it cannot be made or written.
    """
    try:
        return lock(state)
    except OSError as error:
        raise TargetError(
            f"{state} cannot hold the target's state: {error.strerror}",
            context={"path": error.filename},
            hint=remedy(
                error,
                "It must be a folder that this user may write: make it one, or run from a checkout that is yours.",
            ),
        ) from None


def lock(
    state: Path, name: str = "lock", *, hint: str = "Wait for it, end it, or use a state directory of your own"
) -> ExitStack:
    """Lock the folder *state*, made when it is missing; the lock ends with `close`, or with the process.

    Args:
        state: The folder.
        name: The file in it that is locked; it holds the process and the time, for the message to others.
        hint: What to do when another process has the lock.

    Raises:
        TargetError: When another process has the lock; it names the process and the time.
        OSError: When the folder cannot be made or written.
    """
    state.mkdir(parents=True, exist_ok=True)
    file = state / name
    taken = FileLock(file, blocking=False, thread_local=False)
    try:
        taken.acquire()
    except Timeout:
        raise TargetError(f"{state} is in use by {_holder(file)}", hint=hint) from None
    held = ExitStack()
    held.callback(taken.release)
    try:
        file.write_text(f"process {os.getpid()} since {datetime.now().astimezone():%Y-%m-%d %H:%M:%S}")
    except BaseException:
        held.close()
        raise
    return held


def _holder(file: Path) -> str:
    """Return what the holder of the lock *file* wrote into it."""
    try:
        return file.read_text(errors="replace").strip() or "another process"
    except OSError:
        return "another process"


def in_use(state: Path) -> bool:
    """Return whether a process has locked *state*; also when that cannot be found out."""
    if not (state / "lock").exists():
        return False
    try:
        with FileLock(state / "lock", blocking=False):
            return False
    except (Timeout, OSError):
        return True
