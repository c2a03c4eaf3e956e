"""The bastion of one run: it is opened, runs batches of SQL files, and is left as it was found.

A run is few SendCommands: one opens it, one carries each phase (the transfer rides along where it fits), one closes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from etl_manager.bastion import script
from etl_manager.bastion.archive import Archive
from etl_manager.bastion.handover import Credentials, Sealed, TokenCredentials, seal
from etl_manager.bastion.ssm import TAKEN, Invocation, RunCommand, taken
from etl_manager.bastion.workspace import (
    BastionFacts,
    Parts,
    check_skipped_copy,
    check_tools,
    check_usable,
)
from etl_manager.errors import CommandError, WorkspaceError

FINISH, FINISH_AND_CLOSE = "finish $?", "finish_and_close $?"
"""How a script ends."""

TRANSFER_STATUS = {
    71: "a folder of the run on the bastion belongs to somebody else",
    73: "the workspace is a link or another user's",
    74: "parts of the archive are missing or damaged",
    75: "the archive could not be unpacked (is the disk full?)",
    76: "the new workspace could not be put in place",
}


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where the database is and as whom to connect: what discovery found."""

    host: str
    port: int
    credentials: Credentials | TokenCredentials
    sslmode: str = "prefer"
    ca_bundle: str | None = None


@dataclass(frozen=True)
class Ran:
    """A command that ran: SSM's facts and its whole output."""

    invocation: Invocation
    output: bytes
    status: int
    kept: bool


@dataclass
class Bastion:
    """One run on the bastion. *warn* is told what its users should know; *max_command_bytes* bounds one command."""

    run_command: RunCommand
    workspace: str
    archive: Archive
    max_command_bytes: int
    skip_copy: bool
    warn: Callable[[str], None]
    run_id: str = field(default_factory=lambda: secrets.token_hex(6))
    _facts: BastionFacts | None = None
    _sealed: tuple[Credentials, Sealed] | None = None
    _opened: bool = False

    def open(self) -> BastionFacts:
        """Learn what the bastion has, and have it make this run's key.

        Raises:
            WorkspaceError: When the bastion lacks a program, or the workspace may not be used.
            CommandError: When the command did not run to its end.
        """
        self._opened = True  # from here on there may be something to clean up
        ran = self.execute(("open.sh",), "open_run", {"DIGEST": self.archive.digest}, "open")
        found = BastionFacts.read(ran.output.decode("utf-8", "replace"))
        check_tools(found)
        check_usable(found, self.workspace)
        if self.skip_copy:
            for warning in check_skipped_copy(found, self.archive, self.workspace):
                self.warn(warning)
        self._facts, self._sealed = found, None
        return found

    @property
    def facts(self) -> BastionFacts:
        """What `open` found; it knows of the transfers since."""
        return self._facts or self.open()

    @property
    def known(self) -> BastionFacts | None:
        """What is known of the bastion without asking it; None before `open`."""
        return self._facts

    @property
    def has_this_project(self) -> bool:
        """Whether the workspace is known to be what this project holds; `skip_copy` may leave another one there."""
        return self._facts is not None and self._facts.holds(self.archive)

    def batch(
        self, files: Sequence[str], connection: Connection, comment: str, *, closing: bool = False
    ) -> tuple[Invocation, list[script.Step]]:
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
    ) -> tuple[Invocation, list[script.Step]]:
        """Run *body*, after the transfer when one is due: in the same command where both fit.

        Raises:
            WorkspaceError: When the transfer failed.
            CommandError: When the command did not run to its end.
        """
        values = self._connection_values(connection)
        if (parts := self._due()) is not None:
            missing = parts.missing(self.facts.parts)
            self._send(parts, missing[:-1])
            riding = [*map(parts.receive, missing[-1:]), "unpack || return"]
            if self._fits(values | parts.values(), templates, [*riding, *body]):
                body = [*riding, *body]
                templates, values = ("transfer.sh", *templates), values | parts.values()
            else:
                self._send(parts, missing[-1:] or [0], unpack=True)
        if closing:
            templates = (*templates, "close.sh")
        ran = self.execute(templates, "\n".join(body), values, comment, FINISH_AND_CLOSE if closing else FINISH)
        self._opened = not closing or ran.kept
        head, steps = script.steps(ran.output, errors)
        if ran.status == TAKEN:
            raise taken(ran.invocation)
        if ran.status != 0 or not steps:
            raise self._transfer_failed(ran)
        self._transferred(head)
        return ran.invocation, steps

    def close(self) -> None:
        """Delete this run's key and what was kept for it; once, and only when the run was opened."""
        if self._opened:
            self._opened = False
            self.execute(("close.sh",), "", {}, "clean up", FINISH_AND_CLOSE)

    def execute(
        self, templates: tuple[str, ...], body: str, values: dict[str, str], comment: str, end: str = FINISH
    ) -> Ran:
        """Run a script made of *templates* and *body*, and return its whole output.

        Raises:
            CommandError: When it did not run to its end, or its output cannot be had whole.
        """
        text = script.assemble(self._base_values() | values, templates, body or ":", end)
        invocation = self.run_command.run(text, f"etl-manager {comment}")
        frame = script.parse(invocation.stdout)
        if frame is not None and frame.status == TAKEN and (twin := self.run_command.twin(invocation)):
            invocation, frame = twin, script.parse(twin.stdout)
        if frame is None:
            raise CommandError(
                f"The command ended without its end marker (exit status {invocation.exit_code}): "
                f"{invocation.stderr.strip()[:400] or 'it printed nothing on stderr'}",
                where={"SSM command": invocation.command_id, "instance": invocation.instance_id},
                remedy=f"It was cut off on the bastion. {self.run_command.again}",
            )
        carried = frame.content
        while frame.kept and len(carried) < frame.size:
            carried += self._page(frame.kept, len(carried))
        return Ran(invocation, frame.decode(carried), frame.status, bool(frame.kept))

    def _page(self, kept: str, offset: int) -> str:
        page = self.execute(("fetch.sh",), "fetch", {"KEPT": kept, "OFFSET": str(offset)}, "fetch the rest")
        if page.status != 0 or not page.output:
            raise CommandError(
                "The rest of a long output is gone from the bastion",
                where={"SSM command": page.invocation.command_id, "offset": offset},
                remedy="Run again.",
            )
        return page.output.decode()

    def _base_values(self) -> dict[str, str]:
        return {
            "WORKSPACE": self.workspace,
            "RUNTIME_PREFIX": script.RUNTIME_PREFIX,
            "RUNTIME": f"/tmp/{script.RUNTIME_PREFIX}{self.run_id}",  # noqa: S108 - private, and checked to be ours
            "LIMIT": str(script.LIMIT),
            "MARK": script.MARK,
        }

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
            "AURORA_RUNTIME_DIR": self._base_values()["RUNTIME"],
            "AURORA_SEALED_KEY": sealed.key,
            "AURORA_SEALED": sealed.body,
            "AURORA_HANDOVER_KEY": f"{self._base_values()['RUNTIME']}/key.pem",
        }
        return values | ({"AURORA_SSLROOTCERT": connection.ca_bundle} if connection.ca_bundle else {})

    def _due(self) -> Parts | None:
        """Return the parts to send, or None when the bastion has what this run needs, or was told to keep it."""
        if self.skip_copy or self.facts.holds(self.archive):
            return None
        whole = Parts.cut(self.archive, self.max_command_bytes)
        return whole if len(whole.pieces) == 1 else Parts.cut(self.archive, self._room())

    def _room(self) -> int:
        """Return how many bytes a command that only transfers has left for its part."""
        empty = script.assemble(self._base_values(), ("transfer.sh",), "unpack || return", FINISH)
        return max(self.max_command_bytes - len(empty) - 400, 1_000)

    def _fits(self, values: dict[str, str], templates: tuple[str, ...], body: list[str]) -> bool:
        text = script.assemble(self._base_values() | values, ("transfer.sh", *templates), "\n".join(body), FINISH)
        return len(text.encode()) <= self.max_command_bytes

    def _send(self, parts: Parts, numbers: Sequence[int], *, unpack: bool = False) -> None:
        """Send the parts *numbers* in commands of their own, 0 for none; the last one may *unpack* them all."""
        for number in numbers:
            lines = [parts.receive(number)] if number else []
            lines += ["unpack || return"] if unpack and number == numbers[-1] else []
            comment = f"transfer part {number} of {len(parts.pieces)}"
            ran = self.execute(("transfer.sh",), "\n".join(lines), parts.values(), comment)
            if ran.status != 0:
                raise self._transfer_failed(ran)
            self._transferred(ran.output.decode("utf-8", "replace"))

    def _transferred(self, head: str) -> None:
        told = script.facts(head)
        for kept in told.get("kept", []):
            self.warn(f"[WARNING] What was in {self.workspace} was not made by a run; it is kept in {kept}")
        if "transferred" in told:
            self._facts = self.facts.now_holding(self.archive)

    def _transfer_failed(self, ran: Ran) -> WorkspaceError:
        reason = TRANSFER_STATUS.get(ran.status, f"exit status {ran.status}")
        return WorkspaceError(
            f"The workspace could not be made on the bastion: {reason}",
            where={
                "SSM command": ran.invocation.command_id,
                "workspace": self.workspace,
                "said": ran.invocation.stderr.strip()[:300],
            },
            remedy="The workspace that was there is unchanged. Correct the cause and run again.",
        )
