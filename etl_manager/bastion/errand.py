"""An errand: one shell command of the user's own on the bastion, which may not be safe to repeat and runs at most once."""

from __future__ import annotations

import base64
import gzip

from etl_manager.bastion import script
from etl_manager.bastion.host import Bastion, Connection
from etl_manager.bastion.verdict import Invocation
from etl_manager.errors import ConfigError

COMMAND_BYTES = 6_000
"""What a command takes beside an uploaded script: its shell functions and the sealed credentials."""


def run(
    bastion: Bastion, line: str, connection: Connection, upload: tuple[str, bytes] | None = None
) -> tuple[Invocation, script.Step]:
    """Run the shell command *line* in the workspace, after the transfer when one is due, and close the run.

    It runs at most once, as all commands of a run: see `etl_manager.bastion.channel`. Bytes of its output that are no
    UTF-8 come back as surrogates.

    Args:
        bastion: Where; it was not used for an errand yet.
        line: What a shell reads.
        connection: What the command finds in ``AURORA_*`` and ``PG*``; psql connects by itself.
        upload: Name and content of a script that *line* finds as ``$UPLOADED``; it goes away with the run.

    Raises:
        ConfigError: When *upload* does not fit into one command.
        WorkspaceError: When the transfer failed.
        CommandError: When the command did not run to its end.
    """
    body = [] if upload is None else [_receive(bastion, *upload)]
    body.append(f"framed command run_line {script.quote(line)}\nreturn 0")
    invocation, [step] = bastion.carry(
        ("batch.sh", "unseal.sh", "command.sh"),
        body,
        connection,
        "bastion command",
        closing=True,
        errors="surrogateescape",
    )
    return invocation, step


def _receive(bastion: Bastion, name: str, content: bytes) -> str:
    text = base64.b64encode(gzip.compress(content, mtime=0)).decode()
    room = bastion.max_command_bytes - COMMAND_BYTES
    if len(text) > room:
        raise ConfigError(
            f"{name} is too long for one command: {len(text)} bytes packed, and there is room for {room}",
            remedy="Put it into scripts/, which is transferred, and run it with --bastion-command.",
        )
    return f"upload {script.quote(name)} <<'SCRIPT' || return\n{text}\nSCRIPT"
