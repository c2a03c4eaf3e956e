"""A clock that is set during a command changes nothing of what the command is judged by."""

from __future__ import annotations

import subprocess

from etl_manager.ssm.run_command import RunCommand
from etl_manager.ssm.script import CommandResult, Script, read_end_marker

FILE = "sql/aurora/data/data.sql"
HOURS_BACK = """#!/bin/bash
# date, on a machine whose clock is set back by an hour between any two looks at it
read -r now <"$0.now" || now=1700000000
echo $((now - 3600)) >"$0.now"
echo "${now}000000000"
"""


def test_bastions_clock_is_set_back_while_a_file_runs(tmp_path):
    """The file took the time that it took, and its output is found: a negative time would be read as no file at all."""
    (tmp_path / "workspace/scripts").mkdir(parents=True)
    (tmp_path / "workspace/scripts/2-sql-execute.sh").write_text("sleep 0.3; echo done\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/date").write_text(HOURS_BACK)
    (tmp_path / "bin/date").chmod(0o755)
    (tmp_path / "bin/date.now").write_text("1700000000\n")
    script = Script(("batch.sh", "unseal.sh"), [f"run_sql_file {FILE} || return 0"], repeatable=True)
    text = RunCommand(None, "i-0", str(tmp_path / "workspace"), 20_000).text(script, "0badcafe")
    text = text.replace("/tmp/etl-manager-run-", f"{tmp_path}/etl-manager-run-")
    path = f"{tmp_path}/bin:/usr/bin:/bin"
    done = subprocess.run(["bash", "-c", text], capture_output=True, env={"PATH": path}, check=False)
    end = read_end_marker(done.stdout.decode())
    assert end is not None, done.stderr
    stdout = end.content.encode()
    result = CommandResult(
        command_id="", instance_id="i-0", status="Success", exit_status=0, stdout=stdout, stderr="", seconds=0
    )
    [file] = result.sql_files()
    assert (file.exit_code, file.stdout) == (0, "done\n")
    assert 0.2 <= file.seconds < 30
