"""The scripts that run on the bastion, and their results.

A script is assembled from the files in ``shell/``, with its values as quoted shell assignments before them. Its
output ends with a marker that carries length and digest, so that a cut output is never taken for a whole one. What is
packed, output and archive, is so by xz where both sides have it, else by gzip.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import shlex
import zlib
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import NamedTuple

from etl_manager.errors import CommandError

try:
    import lzma
except ModuleNotFoundError:  # a Python that was built without liblzma
    lzma = None  # type: ignore[assignment]

MARK = "--etl-manager--"
LIMIT = 22_000
"""Bytes of output a command prints: with the marker below the 24,000 that SSM keeps (AWS: GetCommandInvocation)."""
RUNTIME_PREFIX = "etl-manager-run-"

_END = re.compile(
    rf"\n{MARK} token=(?P<token>\w+) encoding=(?P<encoding>plain|gzip|xz) bytes=(?P<bytes>[0-9]{{1,18}}) sha256=(?P<sha256>[0-9a-f]{{64}})"
    r" status=(?P<status>[0-9]{1,18}) size=(?P<size>[0-9]{1,18}) remainder=(?P<remainder>\S*)\n?$"
)
_FILE = re.compile(
    rf"{MARK} file exit=(\d{{1,18}}) milliseconds=(\d{{1,18}}) stdout=(\d{{1,18}}) stderr=(\d{{1,18}}) name=(.+)\n".encode(),
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


@dataclass(frozen=True)
class Script:
    """A script for the bastion.

    Attributes:
        templates: Files of ``shell/``.
        body: The lines that call their functions.
        values: The variables they need.
        closing: Whether the script closes the run on the bastion when its body has ended.
        repeatable: Whether it may run twice; what opens or closes a run may, anything else runs at most once.
        phases: How many phases it runs: each has the whole execution timeout.
        tells_progress: Whether the bastion can be asked how far it is.
    """

    templates: tuple[str, ...]
    body: list[str]
    values: dict[str, str] = field(default_factory=dict)
    closing: bool = False
    repeatable: bool = False
    phases: int = 1
    tells_progress: bool = False

    def before(self, other: Script) -> Script:
        """Return one script of both, which closes the run where *other* does."""
        return replace(
            other,
            templates=tuple(dict.fromkeys(self.templates + other.templates)),
            body=self.body + other.body,
            values=self.values | other.values,
            repeatable=self.repeatable and other.repeatable,
        )

    def text(self, values: dict[str, str]) -> str:
        """Return the whole text: shebang, *values* and its own exported, prelude, templates, then the body.

        The shebang is the first byte: only there does the kernel honour it, and without it ``sh`` reads the file.
        """
        assignments = [f"export {name}={quote(value)}" for name, value in (values | self.values).items()]
        templates = ["prelude.sh", *self.templates, *(["close.sh"] if self.closing else [])]
        end = "finish_and_close $?" if self.closing else "finish $?"
        parts = ["#!/bin/bash", *assignments, *map(template, templates)]
        return "\n".join([*parts, "main() {", *(self.body or [":"]), "}", 'main >"$OUT"', end, ""])


def has_xz() -> bool:
    """Return whether this side has xz. Lists of tenants, and SQL files alike, are farther apart than gzip looks back (32 KB)."""
    return lzma is not None


def pack(encoding: str, data: bytes, level: int) -> bytes:
    """Return *data* packed at *level*, 1 to 9: the same bytes each time."""
    if encoding != "xz":
        return gzip.compress(data, level, mtime=0)
    # Looking back farther than to its begin takes memory for nothing, on both sides: 64 MB at level 9.
    return lzma.compress(data, filters=[{"id": lzma.FILTER_LZMA2, "preset": level, "dict_size": max(len(data), 4_096)}])


def unpack(encoding: str, data: bytes) -> bytes:
    """Return what *data* holds.

    Raises:
        ValueError: When it is damaged, or this side cannot unpack it.
    """
    if encoding == "xz":
        if not has_xz():
            raise ValueError("this Python has no xz")
        try:
            return lzma.decompress(data)
        except lzma.LZMAError as error:
            raise ValueError("damaged") from error
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError("damaged") from error


class EndMarker(NamedTuple):
    """The last line of an output: how to decode what precedes it, and where the rest is when SSM could not carry it."""

    content: str
    token: str
    encoding: str
    length: int
    sha256: str
    status: int
    size: int
    remainder_file: str

    def decode(self, carried: str) -> bytes:
        """Return the whole output from all that was *carried*.

        Raises:
            CommandError: When length or digest differ: something was lost or changed on the way.
        """
        try:
            plain = self.encoding == "plain"
            data = carried.encode() if plain else unpack(self.encoding, base64.b64decode(carried))
        except ValueError:
            data = b""
        if len(data) != self.length or hashlib.sha256(data).hexdigest() != self.sha256:
            raise CommandError(
                f"The output of the command came back with {len(data)} bytes of {self.length}, or changed",
                hint="Run again; if it persists, look at the command's output in the SSM console.",
            )
        return data


def read_end_marker(stdout: str) -> EndMarker | None:
    """Return the end marker of *stdout* and the content before it, or None when it is missing."""
    end = _END.search(stdout)
    if end is None:
        return None
    return EndMarker(
        content=stdout[: end.start()],
        token=end["token"],
        encoding=end["encoding"],
        length=int(end["bytes"]),
        sha256=end["sha256"],
        status=int(end["status"]),
        size=int(end["size"]),
        remainder_file=end["remainder"],
    )


@dataclass(frozen=True, kw_only=True)
class SqlFileResult:
    """What the engine did with one SQL file: exit status, seconds, psql's output and the log."""

    file: str
    exit_code: int
    seconds: float
    stdout: str
    stderr: str
    command_id: str = ""


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """What one command did: SSM's facts, and its whole output.

    Attributes:
        command_id: SSM's id of the command.
        instance_id: Where it ran.
        status: SSM's own: ``Success`` or ``Failed``.
        exit_status: Of the script.
        stdout: What it printed, whole.
        stderr: What SSM kept of it: 8,000 bytes (AWS: GetCommandInvocation).
        seconds: From its sending until its end was seen.
        paged: Whether further commands fetched a part of the output: then the run is still open on the bastion.
    """

    command_id: str
    instance_id: str
    status: str
    exit_status: int
    stdout: bytes = field(repr=False)
    stderr: str = field(repr=False)
    seconds: float
    paged: bool = False

    def sql_files(self, errors: str = "replace") -> list[SqlFileResult]:
        """Return the parts of the SQL files, in their order; what was printed before the first is left out.

        *errors* says how bytes that are no UTF-8 are decoded, as in `bytes.decode`.

        Raises:
            CommandError: When their sizes do not add up to the output.
        """
        first = _FILE.search(self.stdout)
        found, position = [], first.start() if first else len(self.stdout)
        while match := _FILE.match(self.stdout, position):
            exit_code, milliseconds, out, err = (int(group) for group in match.groups()[:4])
            end_of_out = match.end() + out
            position = end_of_out + err
            found.append(
                SqlFileResult(
                    file=match[5].decode("utf-8", errors),
                    exit_code=exit_code,
                    seconds=milliseconds / 1000,
                    stdout=self.stdout[match.end() : end_of_out].decode("utf-8", errors),
                    stderr=self.stdout[end_of_out:position].decode("utf-8", errors),
                    command_id=self.command_id,
                )
            )
        if position != len(self.stdout):
            raise CommandError(
                f"The output of the SQL files does not add up: they end at byte {position} of {len(self.stdout)}",
                context={"SSM command": self.command_id, "instance": self.instance_id},
                hint="Run again; if it persists, look at the command's output in the SSM console.",
            )
        return found


def facts(text: str) -> dict[str, list[str]]:
    """Return the ``name=value`` lines of *text*; a name may come more than once."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.isidentifier():
            found.setdefault(name, []).append(value)
    return found
