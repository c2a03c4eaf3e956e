"""A disk that is full fails the command: an output that was cut is never shown with exit status 0."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from etl_manager.errors import CommandError
from etl_manager.ssm.run_command import OUTPUT_LOST, RunCommand
from etl_manager.ssm.script import Script, read_end_marker

FILE = "sql/aurora/data/data.sql"
HEEDLESS = "trap '' XFSZ; seq 20000; exit 0"
"""A program that prints more than the limit, and neither reports nor notices that it could not be written."""


def run(tmp_path: Path, script: Script, kilobytes: int) -> subprocess.CompletedProcess[str]:
    """Run *script* where no file may be longer than *kilobytes*: the kernel refuses to write, as on a full disk."""
    workspace = tmp_path / "workspace"
    (workspace / "scripts").mkdir(parents=True)
    (workspace / "scripts/2-sql-execute.sh").write_text(HEEDLESS)
    text = RunCommand(None, "i-0", str(workspace), 20_000).text(script, "0badcafe")
    path = tmp_path / "script"
    path.write_text(text.replace("/tmp/etl-manager-run-", f"{tmp_path}/etl-manager-run-"))
    return subprocess.run(
        ["bash", "-c", f"ulimit -f {kilobytes}; exec bash {path}"], capture_output=True, text=True, check=False
    )


BATCH = Script(("batch.sh", "unseal.sh"), [f"run_sql_file {FILE} || return 0"], repeatable=True)
PRINTS = Script((), ["trap '' XFSZ; head -c 60000 /dev/urandom"], repeatable=True)
FACTS = Script((), ["trap '' XFSZ; for i in {1..9000}; do fact number $i; done; return 0"], repeatable=True)


@pytest.mark.parametrize(
    ("script", "kilobytes"), [(BATCH, 64), (PRINTS, 64), (FACTS, 64)], ids=["SQL file", "packing", "facts"]
)
def test_output_that_cannot_be_written_fails_the_command(tmp_path, script, kilobytes):
    """Wherever the space ends: in the program's output, in the packed one, or in the suite's own lines."""
    done = run(tmp_path, script, kilobytes)
    marker = read_end_marker(done.stdout)
    assert marker is not None
    assert marker.status == done.returncode == OUTPUT_LOST


def test_output_that_fits_is_no_failure(tmp_path):
    """The same program with room enough."""
    done = run(tmp_path, BATCH, 100_000)
    marker = read_end_marker(done.stdout)
    assert marker is not None
    assert (marker.status, marker.length > 100_000) == (0, True)


def test_lost_output_is_an_error_that_says_where_to_look(host, project, connection):
    """The run ends with it, and not with what was left of the output."""
    session = host.run(project.archive())
    session.open()
    with pytest.raises(CommandError, match="could not be written whole on the bastion") as lost:
        session.run_command.run(Script((), ["output_lost=yes; echo half"]), "full")
    assert "df -h /tmp" in str(lost.value)
    session.close()


def test_process_left_in_the_background_does_not_hold_the_command(host, project, connection):
    """It keeps the pipes of its parent open; the output so far is the output."""
    session = host.run(project.archive())
    started = time.monotonic()
    _, command = session.run_user_command("sleep 30 & echo done", connection)
    assert (command.exit_code, command.stdout) == (0, "done\n")
    assert time.monotonic() - started < 20
