"""The bastion of one run: it is opened, runs batches of SQL files, and is left as it was found.

A run is few SendCommands: one opens it, one carries each phase (the transfer rides along where it fits), one closes.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from etl_manager.aws.connection import Connection, Credentials
from etl_manager.bastion.credentials import Sealed, seal
from etl_manager.bastion.transfer import Bucket, CommandPayload, Transfer
from etl_manager.bastion.workspace import Archive, BastionState, check_skipped_copy, check_tools, check_usable
from etl_manager.errors import CommandError, ConfigError
from etl_manager.ssm import script
from etl_manager.ssm.run_command import Invocation, RunCommand
from etl_manager.ssm.script import FINISH, FINISH_AND_CLOSE, ScriptRunner


@dataclass
class BastionSession:
    """One run on the bastion.

    Args:
        run_command: Sends the commands.
        workspace: Where the archive is unpacked.
        archive: What the run needs there.
        max_command_bytes: Bounds one command.
        skip_copy: Use the workspace as it is.
        warn: Told what its users should know.
        bucket: The way of an archive that does not fit into one command, where there is one.
    """

    run_command: RunCommand
    workspace: str
    archive: Archive
    max_command_bytes: int
    skip_copy: bool
    warn: Callable[[str], None]
    bucket: Bucket | None = None
    channel: ScriptRunner = field(init=False)
    _transfer: Transfer = field(init=False)
    _facts: BastionState | None = None
    _sealed: tuple[Credentials, Sealed] | None = None
    _opened: bool = False

    def __post_init__(self) -> None:
        """Make the channel of this run."""
        self.channel = ScriptRunner(self.run_command, self.workspace, self.max_command_bytes)
        self._transfer = Transfer(self.channel, self.archive, self.bucket, self.warn)

    def open(self) -> BastionState:
        """Learn what the bastion has, and have it make this run's key.

        Raises:
            WorkspaceError: When the bastion lacks a program, or the workspace may not be used.
            CommandError: When the command did not run to its end.
        """
        self._opened = True  # from here on there may be something to clean up
        ran = self.channel.execute(("open.sh",), "open_run", {"DIGEST": self.archive.digest}, "open", once=False)
        found = BastionState.read(ran.output.decode("utf-8", "replace"))
        check_tools(found)
        check_usable(found, self.workspace)
        if self.skip_copy:
            for warning in check_skipped_copy(found, self.archive, self.workspace):
                self.warn(warning)
        self._facts, self._sealed = found, None
        return found

    @property
    def facts(self) -> BastionState:
        """What `open` found; it knows of the transfers since."""
        return self._facts or self.open()

    @property
    def known(self) -> BastionState | None:
        """What is known of the bastion without asking it; None before `open`."""
        return self._facts

    @property
    def has_this_project(self) -> bool:
        """Whether the workspace is known to be what this project holds; `skip_copy` may leave another one there."""
        return self._facts is not None and self._facts.holds(self.archive)

    @property
    def run_id(self) -> str:
        """The id of this run."""
        return self.channel.run_id

    def batch(
        self, files: Sequence[str], connection: Connection, comment: str, *, closing: bool = False
    ) -> tuple[Invocation, list[script.SqlFileResult]]:
        """Run SQL *files* one after another, after the transfer when one is due; the first failure ends the batch.

        Args:
            files: Relative to the workspace.
            connection: Where and as whom the engine connects.
            comment: What the command is for, as SSM's history shows it.
            closing: Close the run in the same command: it is expected to be the last. A later batch opens it anew.

        Raises:
            WorkspaceError: When the transfer failed.
            CommandError: When the command did not run to its end.
        """
        body = [f"step {script.quote(file)} || return 0" for file in files]
        return self.carry(("batch.sh",), body, connection, comment, closing=closing)

    def carry(
        self,
        templates: tuple[str, ...],
        body: list[str],
        connection: Connection,
        comment: str,
        *,
        closing: bool,
        errors: str = "replace",
    ) -> tuple[Invocation, list[script.SqlFileResult]]:
        """Run *body*, after the transfer when one is due: in the same command where both fit.

        Raises:
            WorkspaceError: When the transfer failed.
            CommandError: When the command did not run to its end.
        """
        load = CommandPayload(
            (*templates, "close.sh") if closing else templates, body, self._connection_values(connection)
        )
        if self.skip_copy or self.facts.holds(self.archive):
            return self._run(load, comment, closing=closing, errors=errors)
        with self._transfer.ahead_of(load, self.facts) as whole:
            ran = self._run(whole, comment, closing=closing, errors=errors)
        self._facts = self.facts.now_holding(self.archive)
        return ran

    def close(self) -> None:
        """Delete this run's key and what was kept for it; once, and only when the run was opened.

        Raises:
            CommandError: When that could not be done.
        """
        if not self._opened:
            return
        self._opened = False
        if not self.run_command.calls.reachable:
            raise CommandError(
                f"the bastion could not be reached any more: {self.channel.runtime} stays there until a run more than "
                "a day later removes it"
            )
        self.channel.execute(("close.sh",), "", {}, "clean up", FINISH_AND_CLOSE, once=False)

    def _run(
        self, load: CommandPayload, comment: str, *, closing: bool, errors: str
    ) -> tuple[Invocation, list[script.SqlFileResult]]:
        ran = self.channel.execute(
            load.templates, "\n".join(load.body), load.values, comment, FINISH_AND_CLOSE if closing else FINISH
        )
        self._opened = not closing or ran.kept
        head, steps = script.steps(ran.output, errors)
        if ran.status != 0 or not steps:
            raise self._transfer.failed(ran)
        self._transfer.read(head)
        return ran.invocation, steps

    def _connection_values(self, connection: Connection) -> dict[str, str]:
        if not self._opened:
            self.open()
        credentials = connection.credentials.current()
        if self._sealed is None or self._sealed[0] is not credentials:
            self._sealed = (credentials, seal(credentials, self.facts.public_key))
        sealed = self._sealed[1]
        values = {
            "AURORA_ENDPOINT": connection.host,
            "AURORA_PORT": str(connection.port),
            "AURORA_USER": connection.credentials.user,
            "AURORA_SSLMODE": connection.sslmode,
            "AURORA_RUNTIME_DIR": self.channel.runtime,
            "AURORA_SEALED_KEY": sealed.key,
            "AURORA_SEALED": sealed.body,
            "AURORA_HANDOVER_KEY": f"{self.channel.runtime}/key.pem",
        }
        return values | ({"AURORA_SSLROOTCERT": connection.ca_bundle} if connection.ca_bundle else {})


COMMAND_BYTES = 6_000
"""What a command takes beside an uploaded script: its shell functions and the sealed credentials."""


def run(
    bastion: BastionSession, line: str, connection: Connection, upload: tuple[str, bytes] | None = None
) -> tuple[Invocation, script.SqlFileResult]:
    """Run the shell command *line* in the workspace, after the transfer when one is due, and close the run.

    It runs at most once, as all commands of a run: see `etl_manager.ssm.script`. Bytes of its output that are no
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


def _receive(bastion: BastionSession, name: str, content: bytes) -> str:
    text = base64.b64encode(gzip.compress(content, mtime=0)).decode()
    room = bastion.max_command_bytes - COMMAND_BYTES
    if len(text) > room:
        raise ConfigError(
            f"{name} is too long for one command: {len(text)} bytes packed, and there is room for {room}",
            hint="Put it into scripts/, which is transferred, and run it with --bastion-command.",
        )
    return f"upload {script.quote(name)} <<'SCRIPT' || return\n{text}\nSCRIPT"
