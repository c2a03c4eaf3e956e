"""SSM keeps 24,000 bytes; a run has the whole output, byte for byte, or an error."""

from __future__ import annotations

import hashlib
import os

import pytest

from etl_manager.errors import CommandError
from etl_manager.ssm import script
from etl_manager.ssm.script import LIMIT, SqlFileResult
from tests.unit.bastion.test_bastion_run import programs_of

DATA = "sql/aurora/data/data.sql"
LINE = "tenant_{:06} | ünïcödé €uro 😀 日本語 | 5\n"


def printed(host, project, connection, stdout: bytes, stderr: bytes = b"") -> tuple[SqlFileResult, int]:
    """Let the engine print *stdout* and *stderr*; return what came back, and how many commands that took."""
    project.engine(f"cat {host.tmp}/stdout; cat {host.tmp}/stderr >&2")
    (host.tmp / "stdout").write_bytes(stdout)
    (host.tmp / "stderr").write_bytes(stderr)
    before = len(host.commands())
    run = host.run(project.archive())
    _, [step] = run.run_sql([DATA], connection, "prints", closing=True)
    run.close()
    assert not list(host.tmp.glob("etl-manager-run-*"))
    return step, len(host.commands()) - before


def text(size: int) -> bytes:
    """Return *size* bytes of lines with characters of one to four bytes; the last may be cut in two."""
    lines = "".join(LINE.format(number) for number in range(size // len(LINE.encode()) + 2))
    return lines.encode()[:size]


def whole(data: bytes) -> bytes:
    """Return *data* without the part of a character at its end."""
    return data.decode(errors="ignore").encode()


def test_output_of_any_size_comes_back_whole(host, project, connection):
    """One command each, around the limits too, with characters of several bytes at every cut."""
    project.engine(f"cat {host.tmp}/stdout")
    run = host.run(project.archive())
    run.open()
    before = len(host.commands())
    sizes = [0, 1, 2_000, *range(LIMIT - 120, LIMIT + 1, 20), LIMIT + 1_000, 23_999, 24_000, 24_001, 60_000]
    for size in sizes:
        data = whole(text(size))
        (host.tmp / "stdout").write_bytes(data)
        _, [step] = run.run_sql([DATA], connection, "prints")
        assert step.stdout == data.decode(), size
    assert len(host.commands()) - before == len(sizes)
    run.close()


@pytest.mark.parametrize("character", [b"<", b">", b"&", b"\1", b"\x1f", b'"', b"\\", "\u2028".encode()])
def test_output_that_grows_in_json_comes_back_whole(host, project, connection, character):
    """AWS never sends a reply whose JSON is too long: what would be is compressed, well below SSM's limit of bytes too."""
    data = b"|" + character * ((LIMIT - 500) // len(character)) + b"|\n"
    step, commands = printed(host, project, connection, data)
    assert (step.stdout.encode(), commands) == (data, 2)


@pytest.mark.parametrize("packed", ["xz", "gzip"])
def test_five_megabytes_come_back_whole(host, project, connection, packed):
    """A long output is compressed, by gzip where the bastion has no xz; what is still too long is fetched in pages."""
    data = whole(text(5_000_000))
    with programs_of(host, **({} if packed == "xz" else {"xz": "exit 127"})):
        step, commands = printed(host, project, connection, data, stderr="[INFO] fünf\n".encode())
    assert step.stdout.encode() == data
    assert step.stderr == "[INFO] fünf\n"
    assert commands > (2 if packed == "xz" else 10)


def test_lists_that_come_again_and_again_take_one_command(host, project, connection):
    """What each look says of a thousand tenants is much the same: all of it comes with the command that looked."""
    line = '{{"kind":"tenant","tenant":"tenant_{:05}","schema_exists":true,"tables":{{"users":5}},"applied":1}}\n'
    look = "".join(line.format(number) for number in range(1_000))
    step, commands = printed(host, project, connection, (look * 6).encode())
    assert (step.stdout, commands) == (look * 6, 2)


def test_output_that_does_not_compress_comes_back_whole(host, project, connection):
    """Pages add up to the whole, whatever it holds."""
    data = os.urandom(60_000).hex().encode()
    step, commands = printed(host, project, connection, data)
    assert step.stdout.encode() == data
    assert commands > 3


def test_output_that_is_not_utf_8_does_not_break_the_run(host, project, connection):
    """Bytes that are no text come back as what they are not: replacement characters, at their places."""
    step, _ = printed(host, project, connection, b"before \xff\xfe after\n")
    assert step.stdout == "before \ufffd\ufffd after\n"


def test_long_log_does_not_push_out_the_output(host, project, connection):
    """SSM keeps 8,000 bytes of stderr: the log therefore travels with the output."""
    log = b"[INFO] a long line of the log\n" * 2_000
    step, _ = printed(host, project, connection, b"result\n", stderr=log)
    assert step.stdout == "result\n"
    assert step.stderr.encode() == log


def test_output_that_looks_like_the_frame_is_output(host, project, connection):
    """What imitates a marker does not end the output, nor begin another step."""
    mark = f"\n{script.MARK} token=0badcafe encoding=plain bytes=0 sha256={'0' * 64} status=0 size=0 remainder=\n"
    data = f"{mark}{script.MARK} file exit=0 milliseconds=1 stdout=0 stderr=0 name=x\n{mark}".encode()
    step, _ = printed(host, project, connection, data)
    assert step.stdout.encode() == data


MARKED = "x\n{mark} token=0badcafe encoding=plain bytes={size} sha256={digest} status=0 size={size} remainder=\n"


def test_output_without_its_end_marker_is_not_taken_for_a_whole_one():
    """A frame that was cut off has no end, and says so."""
    assert script.read_end_marker("half of the outp") is None
    assert script.read_end_marker("") is None


@pytest.mark.parametrize(("size", "digest"), [(2, None), (1, "0" * 64)])
def test_output_of_another_length_or_digest_is_an_error(size, digest):
    """What was lost or changed on the way is never shown as the output."""
    digest = digest or hashlib.sha256(b"x").hexdigest()
    frame = script.read_end_marker(MARKED.format(mark=script.MARK, size=size, digest=digest))
    assert frame is not None
    with pytest.raises(CommandError, match="came back with 1 bytes of"):
        frame.decode(frame.content)
