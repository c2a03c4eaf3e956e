"""The bastion of one run: opened, used for SQL files or one command, and closed without leaving anything behind.

A run is two SendCommands: one opens it, one runs everything (with the transfer where both fit) and closes it.
"""

from __future__ import annotations

import base64
import fcntl
import gzip
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from etl_manager.aws.discovery import Connection, Credentials
from etl_manager.bastion.credentials import Sealed, seal
from etl_manager.bastion.transfer import Bucket, Transfer
from etl_manager.bastion.workspace import (
    Archive,
    BastionState,
    check_edits,
    check_skipped_copy,
    check_tools,
    check_usable,
)
from etl_manager.errors import CommandError, ConfigError, WorkspaceReplaced
from etl_manager.ssm.run_command import RunCommand
from etl_manager.ssm.script import CommandResult, Script, SqlFileResult, quote

DELIVERY_SECONDS = 3_600
"""So long SSM may still deliver a command of a run that is gone: the longest ``TimeoutSeconds`` that the suite sends, and more."""


@dataclass
class RunRecords:
    """Which runs of a project may have left a folder on a bastion: a file for each in *folder*, locked by its run.

    A run whose process is gone cannot clean up after itself, and the bastion cannot tell it from one that is between two
    commands. Its lock can: the kernel takes it from a process however that ends (flock(2)). Where *folder* cannot be
    written no record is kept, and what a killed run leaves stays for a day.
    """

    folder: Path
    _lock: int | None = None

    def keep(self, run_id: str) -> None:
        """Record the run *run_id* of this process, until `forget` or `release`; once is enough."""
        if self._lock is not None:
            return
        part = self.folder / f".{run_id}"
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.rename(self.folder / run_id)  # locked before anybody sees it

    def release(self) -> None:
        """Let a later run clean up after this one, which could not."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def orphans(self) -> list[str]:
        """Return the ids of the runs whose process is gone."""
        found = []
        with suppress(OSError):
            for path in sorted(self.folder.iterdir()):
                with suppress(OSError), path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    if path.name.isalnum():
                        found.append(path.name)
        return found

    def forget(self, run_id: str) -> None:
        """Remove the record of the run *run_id* of this process: nothing of it is on the bastion any more."""
        with suppress(OSError):
            (self.folder / run_id).unlink(missing_ok=True)
        self.release()

    def cleaned(self, orphans: list[str]) -> None:
        """Remove the records of *orphans* that were cleaned up, but for those a command may still be delivered of."""
        for run_id in orphans:
            path = self.folder / run_id
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > DELIVERY_SECONDS:
                    path.unlink()


SQL_FAILED = 3
"""Exit status of the engine, and psql's own (PostgreSQL manual, psql, "Exit Status")."""
COMMAND_BYTES = 6_000
"""What a command takes beside an uploaded script: its shell functions and the sealed credentials."""


@dataclass
class BastionSession:
    """One run on the bastion.

    Args:
        run_command: Runs the scripts.
        archive: What the run needs in the workspace.
        records: Of this project's runs on this bastion.
        skip_copy: Use the workspace as it is.
        warn: Shows a warning.
        bucket: Where an archive that does not fit into one command is uploaded, if there is such a bucket.
        only_tenants: The tenants that SQL files are to work on; all of the configuration where there are none.
    """

    run_command: RunCommand
    archive: Archive
    records: RunRecords
    skip_copy: bool
    warn: Callable[[str], None]
    bucket: Bucket | None = None
    only_tenants: Sequence[str] = ()
    _transfer: Transfer = field(init=False)
    _state: BastionState | None = None
    _sealed: tuple[Credentials, Sealed] | None = None
    _opened: bool = False

    def __post_init__(self) -> None:
        """Prepare the transfer."""
        self._transfer = Transfer(self.run_command, self.archive, self.bucket, self.warn)

    def open(self) -> BastionState:
        """Find out what the bastion has, and have it make this run's key; what killed runs left there is removed.

        Raises:
            WorkspaceError: When the bastion lacks a program, or the workspace may not be used.
            CommandError: When the command did not run to its end.
        """
        self._opened = True  # from here on there may be something to clean up
        self.records.keep(self.run_id)
        orphans = self.records.orphans()
        values = {"ORPHANS": " ".join(orphans)} | self.archive.values()
        script = Script(("processes.sh", "open.sh"), ["open_run"], values, repeatable=True)
        state = BastionState.read(self.run_command.run(script, "open").stdout.decode("utf-8", "replace"))
        self.records.cleaned(orphans)
        check_tools(state)
        check_usable(state, self.workspace, skip_copy=self.skip_copy)
        if self.skip_copy:
            for warning in check_skipped_copy(state, self.archive, self.workspace):
                self.warn(warning)
        self._state, self._sealed = state, None
        return state

    @property
    def run_id(self) -> str:
        """The id of this run."""
        return self.run_command.run_id

    @property
    def instance_id(self) -> str:
        """The instance."""
        return self.run_command.instance_id

    @property
    def commands_sent(self) -> int:
        """How many SendCommands there were so far."""
        return self.run_command.commands_sent

    @property
    def workspace(self) -> str:
        """The folder on the bastion that the archive is unpacked to."""
        return self.run_command.workspace

    @property
    def state(self) -> BastionState:
        """What `open` found, and what was transferred since."""
        return self._state or self.open()

    @property
    def known_state(self) -> BastionState | None:
        """The state without a command that finds it out: None before `open`."""
        return self._state

    @property
    def workspace_digest(self) -> str:
        """The digest of the archive whose files are executed; with `skip_copy` what the workspace said that it is."""
        return (self._state.digest if self._state else "") if self.skip_copy else self.archive.digest

    @property
    def workspace_matches(self) -> bool:
        """Whether the workspace is known to hold what this project holds; `skip_copy` may leave another one there."""
        return self._state is not None and self._state.matches(self.archive)

    def run_sql(
        self,
        files: Sequence[str],
        connection: Connection,
        purpose: str,
        *,
        phases: int = 1,
        inspection: str = "",
        closing: bool = False,
    ) -> tuple[CommandResult, list[SqlFileResult]]:
        """Run SQL *files* one after another, after the transfer when one is due; the first failure ends the batch.

        They are run from a copy of the workspace that is this run's own, and is the archive, byte for byte: what another
        run, or somebody else, does to the workspace meanwhile has no part in the result.

        Args:
            files: Relative to the workspace.
            connection: Where and as whom the engine connects.
            purpose: What the command is for, as SSM's history shows it.
            phases: How many phases the files are of.
            inspection: The file that looks, by one psql however often it is run; it is run as the last one after an SQL error in
                another: what the error left is known then.
            closing: Close the run in the same command, as the last one is expected to do. A later batch opens it anew.

        Raises:
            WorkspaceError: When the transfer failed.
            CommandError: When the command did not run to its end, or its output is not of these files.
        """
        look = f"look {quote(inspection)}"
        after_error = f"[[ $? != {SQL_FAILED} ]] || {look}; " if inspection else ""
        runs = [
            f"{look} || return 0"
            if file == inspection
            else f"run_sql_file {quote(file)} || {{ {after_error}return 0; }}"
            for file in files
        ]
        own = {} if self.skip_copy else self.archive.values()
        body = [*(["own_copy || return"] if own else []), "run_files() {", *runs, "}", "run_files", "stop_looking"]
        for a_try in self._tries():
            with a_try:
                values = self._connection_values(connection) | own
                script = Script(("batch.sh", "unseal.sh"), body, values, closing, phases=phases, tells_progress=True)
                with self._after_transfer(script) as whole:
                    result, done = self._read(self.run_command.run(whole, purpose), closing=closing)
        _check_files(result, done, files, inspection)
        return result, done

    def run_user_command(
        self, line: str, connection: Connection, upload: tuple[str, bytes] | None = None
    ) -> tuple[CommandResult, SqlFileResult]:
        """Run the shell command *line* in the workspace, after the transfer when one is due, and close the run.

        It runs at most once, as all commands of a run. Bytes of its output that are no UTF-8 come back as surrogates.

        Args:
            line: What a shell reads.
            connection: What the command finds in ``AURORA_*`` and ``PG*``; psql connects by itself.
            upload: Name and content of a script that *line* finds as ``$UPLOADED``; it is deleted with the run.

        Raises:
            ConfigError: When *upload* does not fit into one command.
            WorkspaceError: When the transfer failed.
            CommandError: When the command did not run to its end.
        """
        body = [self._upload(*upload)] if upload else []
        body += [f"framed command run_line {quote(line)}", "return 0"]
        templates = ("batch.sh", "unseal.sh", "command.sh")
        for a_try in self._tries():
            with a_try:
                script = Script(templates, body, self._connection_values(connection), closing=True)
                with self._after_transfer(script) as whole:
                    result = self.run_command.run(whole, "bastion command")
                    _, [part] = self._read(result, closing=True, errors="surrogateescape")
        return result, part

    def close(self) -> None:
        """Delete this run's folder with its key, once, and only when the run was opened; warn where that fails.

        What a command that did not run to its end left running is ended.
        """
        if not self._opened:
            return
        self._opened = False
        failure = (
            f"the bastion could not be reached any more: {self.run_command.runtime} stays there until this project's next "
            "run removes it, or any run more than a day later"
        )
        if self.run_command.retry.reachable:
            try:
                end = ['end_processes "$RUNTIME"']
                self.run_command.run(Script(("processes.sh",), end, closing=True, repeatable=True), "clean up")
            except CommandError as error:
                failure = error.message
            else:
                if self._state:
                    self.records.forget(self.run_id)
                else:  # the command that opens a run may still come, and make the folder again
                    self.records.release()
                return
        self.records.release()
        self.warn(f"[WARNING] The clean-up on the bastion did not complete: {failure}")

    def _tries(self) -> Iterator[AbstractContextManager[None]]:
        """Give what to transfer and run in: a second time where another run was in the way of the first transfer."""
        replaced = []

        @contextmanager
        def first() -> Iterator[None]:
            try:
                yield
            except WorkspaceReplaced as error:
                replaced.append(error)

        yield first()
        if replaced:
            self._state = None
            yield nullcontext()

    @contextmanager
    def _after_transfer(self, script: Script) -> Iterator[Script]:
        """Give what to run in place of *script*, with the last part of the transfer before it where one is due."""
        if self.skip_copy or self.state.matches(self.archive):
            yield script
            return
        for warning in check_edits(self.state, self.archive, self.workspace):
            self.warn(warning)
        with self._transfer.prepend_transfer(script, self.state) as whole:
            yield whole
        self._state = self.state.with_archive(self.archive)

    def _read(
        self, result: CommandResult, *, closing: bool, errors: str = "replace"
    ) -> tuple[CommandResult, list[SqlFileResult]]:
        self._opened = not closing or result.paged
        if not self._opened:
            self.records.forget(self.run_id)
        files = result.sql_files(errors)
        if result.exit_status != 0 or not files:
            raise self._transfer.failed(result)
        return result, files

    def _connection_values(self, connection: Connection) -> dict[str, str]:
        if not self._opened:
            self.open()
        credentials = connection.credentials.current()
        if self._sealed is None or self._sealed[0] is not credentials:
            self._sealed = (credentials, seal(credentials, self.state.public_key))
        sealed, runtime = self._sealed[1], self.run_command.runtime
        values = {
            "AURORA_ENDPOINT": connection.host,
            "AURORA_PORT": str(connection.port),
            "AURORA_USER": connection.credentials.user,
            "AURORA_SSLMODE": connection.sslmode,
            "AURORA_RUNTIME_DIR": runtime,
            "AURORA_SEALED_KEY": sealed.key,
            "AURORA_SEALED": sealed.body,
            "AURORA_HANDOVER_KEY": f"{runtime}/key.pem",
            "RUN_ID": self.run_id,
        }
        if self.only_tenants:
            values["ONLY_TENANTS"] = json.dumps(self.only_tenants)
        return values | ({"AURORA_SSLROOTCERT": connection.ca_bundle} if connection.ca_bundle else {})

    def _upload(self, name: str, content: bytes) -> str:
        text = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        room = self.run_command.max_command_bytes - COMMAND_BYTES
        if len(text) > room:
            raise ConfigError(
                f"{name} is too long for one command: {len(text)} bytes packed, and there is room for {room}",
                hint="Put it into scripts/, which is transferred, and run it with --bastion-command.",
            )
        return f"upload {quote(name)} <<'SCRIPT' || return\n{text}\nSCRIPT"


def _check_files(result: CommandResult, done: Sequence[SqlFileResult], files: Sequence[str], inspection: str) -> None:
    """Refuse an output that is not of the *files* that were to be run, up to the first that failed."""
    failed = next((number for number, file in enumerate(done) if file.exit_code), len(files))
    expected = [*files[: failed + 1]]
    if inspection and failed < len(done) and done[failed].exit_code == SQL_FAILED and done[failed].file != inspection:
        expected.append(inspection)
    if (found := [file.file for file in done]) != expected:
        raise CommandError(
            f"The output is not of the files that were to be run: {', '.join(found)}",
            context={"SSM command": result.command_id, "instance": result.instance_id, "expected": ", ".join(expected)},
            hint="Look at the command's output in the SSM console, and run again: every phase is safe to repeat.",
        )
