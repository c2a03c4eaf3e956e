"""2-etl-manager.sh against a running service: the user's four commands, their messages, and their exit status."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import sql

from tests.support import forks

FOUR = (
    "scripts/2-sql-execute.sh config.json sql/aurora/database/create-multitenant-database.sql",
    "scripts/2-sql-execute.sh config.json sql/aurora/schema/create-tenant-schemas.sql",
    "scripts/2-sql-execute.sh config.json sql/aurora/data/insert-sample-data.sql",
    "scripts/2-sql-execute.sh config.json sql/aurora/verification/verify-setup.sql",
)
RESULT_SETS = """\
 schemaname 
------------
 tenant_a
 tenant_b
 tenant_c
(3 rows)

 schemaname | tablename | tableowner 
------------+-----------+------------
 tenant_a   | users     | postgres
 tenant_b   | users     | postgres
 tenant_c   | users     | postgres
(3 rows)

  tenant  | user_count 
----------+------------
 tenant_a |          5
 tenant_b |          5
 tenant_c |          5
(3 rows)

"""  # noqa: W291 - psql pads its headers


def printed(stdout: str) -> str:
    """Return what the command printed."""
    return re.split(r"\[INFO\] === (?:COMMAND OUTPUT|EXECUTION SUMMARY) ===\n", stdout)[1]


@pytest.fixture
def empty(service):
    """The service, with a bastion that has no workspace."""
    shutil.rmtree(service.tmp / "workspace", ignore_errors=True)
    return service


@pytest.fixture
def filled(service):
    """The service, with a bastion that has the workspace."""
    if not (service.tmp / "workspace").exists():
        assert service.run("--bastion-command", "true").returncode == 0
    return service


def test_skip_copy_without_a_workspace_gives_the_two_warnings(empty):
    """Word for word, each a line of its own, with what to do next; the command is not run."""
    done = empty.run("--skip-copy", "--bastion-command", "touch /tmp/ran-anyway")
    assert done.stderr.splitlines()[:2] == [
        "[WARNING] Workspace directory /tmp/workspace does not exist on Bastion Host",
        "[WARNING] You may need to run without --skip-copy first to transfer files",
    ]
    assert "next:" in done.stderr
    assert done.returncode == 1
    assert not (empty.tmp / "ran-anyway").exists()
    assert [path.name for path in empty.tmp.iterdir()] == []


def test_the_four_commands_build_and_prove_the_database(empty):
    """Word for word as their users type them; the last prints the three result sets."""
    with empty.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS multitenant_analytics WITH (FORCE)")
    for number, command in enumerate(FOUR):
        done = subprocess.run(
            ["bash", "-c", f'./2-etl-manager.sh -p aurora-postgresql -c config.json --bastion-command "{command}"'],
            cwd=empty.project, env=empty.environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        expected = "Transfer: nothing to do" if number else "Transfer: to /tmp/workspace"
        assert expected in done.stdout
    assert printed(done.stdout).startswith(RESULT_SETS)
    with empty.connect("multitenant_analytics") as connection:
        for tenant in ("tenant_a", "tenant_b", "tenant_c"):
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(tenant, "users"))
            assert connection.execute(query).fetchone() == (5,)


def test_the_summary_has_exit_code_seconds_and_command_id(filled):
    """As the command's SSM invocation tells them."""
    done = filled.run("--skip-copy", "--bastion-command", "sleep 0.3; exit 7")
    summary = done.stdout.partition("=== EXECUTION SUMMARY ===\n")[2]
    assert "Exit code: 7" in summary
    seconds = re.search(r"Execution time: ([\d.]+) s \(([\d.]+) s on the Bastion Host\)", summary)
    assert seconds
    assert float(seconds[1]) >= float(seconds[2]) >= 0.3
    assert f"Command ID: {filled.commands()[0]['CommandId']}" in summary
    assert "[ERROR] The command failed on the Bastion Host with exit code 7" in done.stderr
    assert done.returncode == 7


def test_two_sendcommands_do_it(filled):
    """One asks the bastion and gets its key, one runs the command and cleans up."""
    before = len(filled.commands())
    assert filled.run("--bastion-command", "true").returncode == 0
    assert len(filled.commands()) == before + 2
    assert [path.name for path in filled.tmp.iterdir()] == ["workspace"]


def test_an_sql_error_is_shown_and_passed_on(filled):
    """Psql's message with file and line reaches the user's stderr, and its exit status their shell."""
    file = filled.tmp / "workspace/sql/aurora/schema/broken.sql"
    file.write_text("SELECT 1;\nSELEKT 2;\n")
    done = filled.run(
        "--skip-copy",
        "--bastion-command",
        f"scripts/2-sql-execute.sh config.json sql/{file.parts[-3]}/{file.parts[-2]}/broken.sql",
    )
    file.unlink()
    assert done.returncode == 3
    assert 'psql:sql/aurora/schema/broken.sql:2: ERROR:  syntax error at or near "SELEKT"' in done.stderr


def test_output_comes_back_whole_and_verbatim(filled):
    """More than SSM keeps, of bytes that are no text, without a newline at its end."""
    script = "head -c 300000 /dev/zero | tr '\\0' 'ä' ; printf '\\377\\376é\\n\\nend'; printf 'to stderr' >&2"
    done = filled.run("--skip-copy", "--bastion-command", script)
    expected = subprocess.run(["bash", "-c", script], check=True, capture_output=True)
    assert printed(done.stdout).encode(errors="surrogateescape") == expected.stdout
    assert done.stderr == "to stderr"
    assert done.returncode == 0


def test_the_environment_is_discovered_or_the_known_error_is_given(service):
    """In a region without the stack: the message its users know, and what to do next."""
    done = service.run("--aws-region", "eu-west-3", "--bastion-command", "true")
    assert done.stderr.startswith("[ERROR] Could not retrieve Aurora endpoint from CloudFormation\n")
    assert "Phase 1 may not be complete" in done.stderr
    assert "--region eu-west-3" in done.stderr
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_the_password_is_nowhere(filled):
    """Not in a command, an output, a process's arguments, or a file that stays on the bastion."""
    password = filled.password
    process = forks.start(
        "etl_manager", "-p", "aurora-postgresql", "-c", "config.json", "--bastion-command",
        'cat "$PGPASSFILE"; env; psql -d postgres -c "SELECT pg_sleep(0.5)"',
        cwd=filled.project, env=filled.environment, errors_apart=True,
    )  # fmt: skip
    seen = b""
    while process.poll() is None:
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen += file.read_bytes()
            except OSError:
                continue
    stdout, stderr = process.communicate()
    assert b"pg_sleep" in seen
    assert process.returncode == 0
    assert "*:*:*:postgres:********" in stdout
    kept = b"".join(path.read_bytes() for path in filled.state.glob("bastion/**/*") if path.is_file())
    history = repr(filled.commands()).encode()
    for spelling in (password, password.replace("\\", "\\\\").replace(":", "\\:"), password[:16]):
        for place in (stdout.encode(), stderr.encode(), seen, kept, history):
            assert spelling.encode() not in place


def test_a_command_with_the_password_in_it_is_refused(filled, tmp_path):
    """SSM would keep it for weeks: nothing is sent, and the refusal does not show it either."""
    password = filled.password
    script = tmp_path / "script.sh"
    script.write_text(f"PGPASSWORD='{password}' psql\n")
    before = len(filled.commands())
    for words in (("--bastion-command", f"PGPASSWORD={password} psql"), ("--upload-script", script)):
        done = filled.run(*words)
        assert done.returncode == 64
        assert "holds the password of the cluster" in done.stderr
        assert password not in done.stdout + done.stderr
    assert len(filled.commands()) == before


def test_an_interrupt_cancels_the_command_and_cleans_up(filled):
    """Ctrl-C: nothing goes on running on the bastion, and nothing of the run stays there."""
    process = filled.start(
        "-p", "aurora-postgresql", "--bastion-command", "touch /tmp/started; sleep 60; touch /tmp/finished"
    )
    while not (filled.tmp / "started").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    (filled.tmp / "started").unlink()
    assert process.returncode == 130
    assert b"Traceback" not in stdout + stderr
    statuses = [command["Status"] for command in filled.commands()[:2]]
    assert statuses == ["Success", "Cancelled"]
    assert [path.name for path in filled.tmp.iterdir()] == ["workspace"]


def test_a_command_whose_sending_got_no_answer_runs_once(serve: Callable[..., object], tmp_path):
    """The connection breaks after SSM took the command: it is found, not sent again."""
    service = serve("--fault", "reset=after:SendCommand@2")
    done = service.run("--bastion-command", "echo ran >>/tmp/count; cat /tmp/count")
    assert done.returncode == 0
    assert printed(done.stdout) == "ran\n"
    assert (service.tmp / "count").read_text() == "ran\n"


def test_a_script_is_uploaded_and_run_in_the_workspace(filled, tmp_path):
    """With the connection at hand; its own exit status counts, and it does not stay."""
    script = tmp_path / "a script's name.sh"
    script.write_text(
        '#!/bin/bash\npsql -d postgres -Atc "SELECT current_user"\nls config.json\nbasename "$0"\nexit 5\n'
    )
    done = filled.run("--upload-script", script)
    assert printed(done.stdout) == f"postgres\nconfig.json\n{script.name}\n"
    assert done.returncode == 5
    assert [path.name for path in filled.tmp.iterdir()] == ["workspace"]


def test_tmp_may_be_mounted_noexec(filled, tmp_path, noexec):
    """The known command, other spellings of it, and uploaded scripts of any interpreter run where nothing can execute."""
    noexec(filled.tmp)
    engine = "scripts/2-sql-execute.sh config.json sql/aurora/inspection/inspect-database.sql"
    done = filled.run("--bastion-command", engine)
    assert done.returncode == 0, done.stderr
    done = filled.run("--bastion-command", f"./{engine} >/dev/null && echo 'with a \"quote' && {engine} x")
    assert printed(done.stdout) == 'with a "quote\n'
    assert "[ERROR] usage: scripts/2-sql-execute.sh" in done.stderr
    assert done.returncode == 64
    for first, line in (
        ("", 'echo "$BASH_VERSION$0" | grep -o one.sh'),
        ("#!/usr/bin/env bash", 'basename "$0"'),
        ("#!/usr/bin/env -S python3 -I", "import sys; print(sys.argv[0].rpartition('/')[2])"),
    ):
        script = tmp_path / "one.sh"
        script.write_text(f"{first}\n{line}\n")
        done = filled.run("--upload-script", script)
        assert (printed(done.stdout), done.returncode) == ("one.sh\n", 0), done.stderr


def test_a_script_with_the_line_ends_of_windows_is_refused(filled, tmp_path):
    """Bash would fail with words that name no cause: nothing is sent, and the message has the line that mends it."""
    script = tmp_path / "dos.sh"
    script.write_bytes(b"#!/bin/bash\r\necho ran\r\n")
    before = len(filled.commands())
    done = filled.run("--upload-script", script)
    assert done.returncode == 64
    assert "dos.sh has Windows line ends (CRLF), and bash cannot run it" in done.stderr
    assert "sed -i 's/\\r$//' dos.sh" in done.stderr
    assert len(filled.commands()) == before


def test_a_script_too_long_for_one_command_is_told(filled, tmp_path):
    """Nothing of it is run."""
    script = tmp_path / "long.sh"
    script.write_bytes(b"touch /tmp/ran\n" + os.urandom(30_000))
    done = filled.run("--upload-script", script)
    assert "long.sh is too long for one command" in done.stderr
    assert done.returncode == 64
    assert [path.name for path in filled.tmp.iterdir()] == ["workspace"]


def test_dry_run_shows_the_transfer_and_asks_nobody(empty):
    """Each file with its size, the digest the bastion will know it by, and the command; AWS need not answer."""
    service = empty
    done = subprocess.run(
        ["./2-etl-manager.sh", "-p", "aurora-postgresql", "-c", "config.json", "--dry-run", "--bastion-command", FOUR[0]],
        cwd=service.project, env=service.environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (service.tmp / "workspace").exists()
    listed = dict(re.findall(r"^\[INFO\]   (\S+) \(([\d,]+) bytes\)$", done.stdout, re.MULTILINE))
    assert f"Would run in /tmp/workspace: {FOUR[0]}" in done.stdout
    assert service.run("--bastion-command", "true").returncode == 0
    workspace = service.tmp / "workspace"
    there = {
        path.relative_to(workspace).as_posix(): f"{path.stat().st_size:,}"
        for path in workspace.rglob("*")
        if path.is_file() and ".transfer" not in path.parts
    }
    assert listed == there
    assert f"digest {(workspace / '.transfer/digest').read_text().strip()}" in done.stdout


def test_the_workspace_can_be_run_from(filled):
    """Relative paths work there, and scripts are executable."""
    workspace = filled.tmp / "workspace"
    assert os.access(workspace / "scripts/2-sql-execute.sh", os.X_OK)
    source = filled.project / "scripts/2-sql-execute.sh"
    done = filled.run("--skip-copy", "--bastion-command", "sha256sum scripts/2-sql-execute.sh")
    assert printed(done.stdout).split()[0] == hashlib.sha256(source.read_bytes()).hexdigest()
