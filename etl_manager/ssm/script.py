"""The scripts that run on the bastion, and the frame their output comes back in.

A script is assembled from the files in ``shell/``, with its values as quoted shell assignments before them. Its
output ends with a marker that carries length and digest, so that a cut output is never taken for a whole one.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from etl_manager.errors import CommandError
from etl_manager.ssm.run_command import TAKEN, Invocation, RunCommand, duplicate_error

MARK = "--etl-manager--"
LIMIT = 22_000
"""Bytes of output a command prints: with the marker below the 24,000 that SSM keeps (AWS: GetCommandInvocation)."""
RUNTIME_PREFIX = "etl-manager-run-"

_END = re.compile(
    rf"\n{MARK} encoding=(?P<encoding>plain|gzip) bytes=(?P<bytes>\d+) sha256=(?P<sha256>[0-9a-f]{{64}})"
    r" status=(?P<status>\d+) size=(?P<size>\d+) kept=(?P<kept>\S*)\n?$"
)
_STEP = re.compile(
    rf"{MARK} step exit=(\d+) milliseconds=(\d+) stdout=(\d+) stderr=(\d+) file=(.+)\n".encode(),
)


@cache
def template(name: str) -> str:
    """Return the shell file *name* without its comments: what SSM carries is kept short."""
    text = (resources.files("etl_manager.ssm") / "shell" / name).read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def quote(word: str) -> str:
    """Return *word* quoted for the shell.

    Two braces never stand together: the agent replaces ``{{ssm:…}}`` by a parameter's value (AWS: Systems Manager
    user guide, "Using Parameter Store parameters in Run Command"). A word with braces always is in quotes.
    """
    return re.sub(r"\{(?=\{)", "{''", shlex.quote(word))


def assemble(values: Mapping[str, str], templates: tuple[str, ...], body: str, end: str) -> str:
    """Return a whole script: shebang, *values* exported, prelude, *templates*, then *body*, framed by *end*.

    The shebang is the first byte: only there does the kernel honour it, and without it ``sh`` reads the file.
    """
    assignments = [f"export {name}={quote(value)}" for name, value in values.items()]
    parts = ["#!/bin/bash", *assignments, template("prelude.sh"), *map(template, templates)]
    return "\n".join([*parts, "main() {", body, "}", 'main >"$OUT"', end, ""])


@dataclass(frozen=True)
class FramedOutput:
    """The marker of an output: what belongs to it, and where the rest is when SSM could not carry it."""

    content: str
    encoding: str
    length: int
    sha256: str
    status: int
    size: int
    kept: str

    def decode(self, carried: str) -> bytes:
        """Return the whole output from all that was *carried*.

        Raises:
            CommandError: When length or digest differ: something was lost or changed on the way.
        """
        data = carried.encode() if self.encoding == "plain" else gzip.decompress(base64.b64decode(carried))
        if len(data) != self.length or hashlib.sha256(data).hexdigest() != self.sha256:
            raise CommandError(
                f"The output of the command came back with {len(data)} bytes of {self.length}, or changed",
                hint="Run again; if it persists, look at the command's output in the SSM console.",
            )
        return data


def parse(stdout: str) -> FramedOutput | None:
    """Return the frame of *stdout*, or None when its end marker is missing."""
    end = _END.search(stdout)
    if end is None:
        return None
    return FramedOutput(
        content=stdout[: end.start()],
        encoding=end["encoding"],
        length=int(end["bytes"]),
        sha256=end["sha256"],
        status=int(end["status"]),
        size=int(end["size"]),
        kept=end["kept"],
    )


@dataclass(frozen=True, kw_only=True)
class SqlFileResult:
    """What the engine did with one SQL file: exit status, seconds, psql's output and the log."""

    file: str
    exit_code: int
    seconds: float
    stdout: str
    stderr: str


def steps(output: bytes, errors: str = "replace") -> tuple[str, list[SqlFileResult]]:
    """Return what stands before the first step of *output*, and the steps in their order.

    *errors* says how bytes that are no UTF-8 are decoded, as in `bytes.decode`.
    """
    first = _STEP.search(output)
    head = output[: first.start()] if first else output
    found, position = [], len(head)
    while match := _STEP.match(output, position):
        exit_code, milliseconds, out, err = (int(group) for group in match.groups()[:4])
        end_of_out = match.end() + out
        position = end_of_out + err
        found.append(
            SqlFileResult(
                file=match[5].decode(),
                exit_code=exit_code,
                seconds=milliseconds / 1000,
                stdout=output[match.end() : end_of_out].decode("utf-8", errors),
                stderr=output[end_of_out:position].decode("utf-8", errors),
            )
        )
    return head.decode("utf-8", "replace"), found


def facts(text: str) -> dict[str, list[str]]:
    """Return the ``name=value`` lines of *text*; a name may come more than once."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.isidentifier():
            found.setdefault(name, []).append(value)
    return found


FINISH, FINISH_AND_CLOSE = "finish $?", "finish_and_close $?"
"""How a script ends."""
TOKEN_BYTES = 4
MOST_COMMENT = 100 - 2 * TOKEN_BYTES - len(" []")
"""What SSM keeps of a comment (AWS: SendCommand, 100 characters), less the token."""


@dataclass(frozen=True)
class ScriptResult:
    """A command that ran: SSM's facts and its whole output."""

    invocation: Invocation
    output: bytes
    status: int
    kept: bool


@dataclass
class ScriptRunner:
    """The channel of one run; *max_command_bytes* bounds one command."""

    run_command: RunCommand
    workspace: str
    max_command_bytes: int
    run_id: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def runtime(self) -> str:
        """The folder of the run on the bastion."""
        return f"/tmp/{RUNTIME_PREFIX}{self.run_id}"  # noqa: S108 - private, and checked to be ours

    def text(self, templates: tuple[str, ...], body: str, values: dict[str, str], end: str, token: str) -> str:
        """Return a whole script; with a *token* it runs at most once, and only while the run's folder is there."""
        base = {
            "WORKSPACE": self.workspace,
            "RUNTIME_PREFIX": RUNTIME_PREFIX,
            "RUNTIME": self.runtime,
            "LIMIT": str(LIMIT),
            "MARK": MARK,
            "ONCE": token,
        }
        return assemble(base | values, templates, body or ":", end)

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
    ) -> ScriptResult:
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
        frame = parse(invocation.stdout)
        if frame is not None and frame.status == TAKEN:
            invocation, frame = self._other(invocation, frame)
        if frame is None:
            raise CommandError(
                f"The command ended without its end marker (exit status {invocation.exit_code}): "
                f"{invocation.stderr.strip()[:400] or 'it printed nothing on stderr'}",
                context={"SSM command": invocation.command_id, "instance": invocation.instance_id},
                hint=f"It was cut off on the bastion. {self.run_command.again}",
            )
        carried = frame.content
        while frame.kept and len(carried) < frame.size:
            carried += self._page(frame.kept, len(carried))
        return ScriptResult(invocation, frame.decode(carried), frame.status, bool(frame.kept))

    def _other(self, refused: Invocation, frame: FramedOutput) -> tuple[Invocation, FramedOutput | None]:
        """Return the command that had the right to run in place of the one that was *refused*."""
        if not refused.doubtful and facts(frame.content).get("why") == ["over"]:
            raise CommandError(
                f"The run's folder {self.runtime} on the bastion is gone, and nothing was run",
                context={"SSM command": refused.command_id, "instance": refused.instance_id},
                hint=f"The instance was rebooted, or /tmp cleared, in the middle of the run. {self.run_command.again}",
            )
        if twin := self.run_command.twin(refused):
            return twin, parse(twin.stdout)
        raise duplicate_error(refused)

    def _page(self, kept: str, offset: int) -> str:
        page = self.execute(("fetch.sh",), "fetch", {"KEPT": kept, "OFFSET": str(offset)}, "fetch the rest")
        if page.status != 0 or not page.output:
            raise CommandError(
                "The rest of a long output is gone from the bastion",
                context={"SSM command": page.invocation.command_id, "offset": offset},
                hint=f"{self.run_command.again}",
            )
        return page.output.decode()
