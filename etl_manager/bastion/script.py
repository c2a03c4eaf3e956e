"""The scripts that run on the bastion, and the frame their output comes back in.

A script is assembled from the files in ``shell/``, with its values as quoted shell assignments before them. Its
output ends with a marker that carries length and digest, so that a cut output is never taken for a whole one.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from etl_manager.errors import CommandError

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
    text = (resources.files("etl_manager.bastion") / "shell" / name).read_text(encoding="utf-8")
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
class Frame:
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
                remedy="Run again; if it persists, look at the command's output in the SSM console.",
            )
        return data


def parse(stdout: str) -> Frame | None:
    """Return the frame of *stdout*, or None when its end marker is missing."""
    end = _END.search(stdout)
    if end is None:
        return None
    return Frame(
        content=stdout[: end.start()],
        encoding=end["encoding"],
        length=int(end["bytes"]),
        sha256=end["sha256"],
        status=int(end["status"]),
        size=int(end["size"]),
        kept=end["kept"],
    )


@dataclass(frozen=True, kw_only=True)
class Step:
    """What the engine did with one SQL file: exit status, seconds, psql's output and the log."""

    file: str
    exit_code: int
    seconds: float
    stdout: str
    stderr: str


def steps(output: bytes, errors: str = "replace") -> tuple[str, list[Step]]:
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
            Step(
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
