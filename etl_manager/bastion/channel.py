"""The channel to the bastion: scripts go there and run at most once, and their whole output comes back.

SSM may run a command twice that it was given twice, when an answer was lost on the network. So each script carries a
token and begins by claiming it in the run's folder: whichever comes second, or when the run is over, does nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from etl_manager.bastion import script
from etl_manager.bastion.ssm import RunCommand
from etl_manager.bastion.verdict import TAKEN, Invocation, taken
from etl_manager.errors import CommandError

FINISH, FINISH_AND_CLOSE = "finish $?", "finish_and_close $?"
"""How a script ends."""
TOKEN_BYTES = 4
MOST_COMMENT = 100 - 2 * TOKEN_BYTES - len(" []")
"""What SSM keeps of a comment (AWS: SendCommand, 100 characters), less the token."""


@dataclass(frozen=True)
class Ran:
    """A command that ran: SSM's facts and its whole output."""

    invocation: Invocation
    output: bytes
    status: int
    kept: bool


@dataclass
class Channel:
    """The channel of one run; *max_command_bytes* bounds one command."""

    run_command: RunCommand
    workspace: str
    max_command_bytes: int
    run_id: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def runtime(self) -> str:
        """The folder of the run on the bastion."""
        return f"/tmp/{script.RUNTIME_PREFIX}{self.run_id}"  # noqa: S108 - private, and checked to be ours

    def text(self, templates: tuple[str, ...], body: str, values: dict[str, str], end: str, token: str) -> str:
        """Return a whole script; with a *token* it runs at most once, and only while the run's folder is there."""
        base = {
            "WORKSPACE": self.workspace,
            "RUNTIME_PREFIX": script.RUNTIME_PREFIX,
            "RUNTIME": self.runtime,
            "LIMIT": str(script.LIMIT),
            "MARK": script.MARK,
            "ONCE": token,
        }
        return script.assemble(base | values, templates, body or ":", end)

    def size(self, templates: tuple[str, ...], body: str, values: dict[str, str]) -> int:
        """Return how many bytes a command of these takes."""
        return len(self.text(templates, body, values, FINISH_AND_CLOSE, "0" * 2 * TOKEN_BYTES).encode())

    def execute(
        self,
        templates: tuple[str, ...],
        body: str,
        values: dict[str, str],
        comment: str,
        end: str = FINISH,
        *,
        once: bool = True,
    ) -> Ran:
        """Run a script made of *templates* and *body*, and return its whole output.

        Args:
            templates: Files of ``shell/``.
            body: What they are called with.
            values: What they are given.
            comment: What the command is for, as SSM's history shows it.
            end: How the script ends.
            once: Whether it may run at most once; what begins or ends a run may run twice.

        Raises:
            CommandError: When it did not run to its end, or its output cannot be had whole.
        """
        token = secrets.token_hex(TOKEN_BYTES)
        text = self.text(templates, body, values, end, token if once else "")
        invocation = self.run_command.run(text, f"{f'etl-manager {comment}'[:MOST_COMMENT]} [{token}]")
        frame = script.parse(invocation.stdout)
        if frame is not None and frame.status == TAKEN:
            invocation, frame = self._other(invocation, frame)
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

    def _other(self, refused: Invocation, frame: script.Frame) -> tuple[Invocation, script.Frame | None]:
        """Return the command that had the right to run in place of the one that was *refused*."""
        if not refused.doubtful and script.facts(frame.content).get("why") == ["over"]:
            raise CommandError(
                f"The run's folder {self.runtime} on the bastion is gone, and nothing was run",
                where={"SSM command": refused.command_id, "instance": refused.instance_id},
                remedy=f"The instance was rebooted, or /tmp cleared, in the middle of the run. {self.run_command.again}",
            )
        if twin := self.run_command.twin(refused):
            return twin, script.parse(twin.stdout)
        raise taken(refused)

    def _page(self, kept: str, offset: int) -> str:
        page = self.execute(("fetch.sh",), "fetch", {"KEPT": kept, "OFFSET": str(offset)}, "fetch the rest")
        if page.status != 0 or not page.output:
            raise CommandError(
                "The rest of a long output is gone from the bastion",
                where={"SSM command": page.invocation.command_id, "offset": offset},
                remedy=f"{self.run_command.again}",
            )
        return page.output.decode()
