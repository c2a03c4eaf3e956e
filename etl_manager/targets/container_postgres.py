"""The server's container: its password, and when it is up. All of it is asked inside: from here it is out of reach."""

from __future__ import annotations

import io
import secrets
import tarfile
import time
from typing import Any

from etl_manager import redaction
from etl_manager.errors import TargetError
from etl_manager.targets.container_engine import asking

PASSWORD_FILE = "/run/etl-manager/password"  # noqa: S105  # its name
_BITING = ":\\'$ \"%@/#&"
"""Aurora passwords may hold any of these; each has broken somebody's quoting."""
_START_SECONDS = 60


def new_password() -> str:
    """Return a password that nobody has yet, and that nothing shows from now on."""
    password = secrets.token_hex(8) + _BITING + secrets.token_hex(8)
    redaction.register(password)
    return password


def password_of(postgres: Any) -> str:
    """Return the password that the server was made with.

    Raises:
        TargetError: When it cannot be read.
    """
    with asking("read the password of the database"):
        stream, _ = postgres.get_archive(PASSWORD_FILE)
        content = io.BytesIO(b"".join(stream))
    with tarfile.open(fileobj=content) as tar:
        file = tar.extractfile(PASSWORD_FILE.rpartition("/")[2])
        password = file.read().decode() if file else ""
    redaction.register(password)
    return password


def wait_for(postgres: Any) -> None:
    """Wait until the server takes connections over the network.

    Raises:
        TargetError: When it ends, or does not come up in time; it quotes the server's log.
    """
    deadline = time.monotonic() + _START_SECONDS
    while not _takes_connections(postgres):
        with asking("look at the database's container"):
            postgres.reload()
            log = postgres.logs(tail=5).decode(errors="replace").strip()
        if postgres.status != "running" or time.monotonic() > deadline:
            raise TargetError(
                f"PostgreSQL does not come up in its container ({postgres.status})", remedy=redaction.redact(log)
            )
        time.sleep(0.05)


def _takes_connections(postgres: Any) -> bool:
    import docker.errors

    try:
        return bool(postgres.exec_run(["pg_isready", "-q", "-h", "127.0.0.1"]).exit_code == 0)
    except docker.errors.APIError:  # the container has ended
        return False
