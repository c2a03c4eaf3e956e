"""What a killed run left on the bastion goes with the next run of its project; what a living run owns stays."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etl_manager.bastion.session import DELIVERY_SECONDS, RunRecords
from etl_manager.bastion.workspace import ArchiveChunks
from etl_manager.errors import CommandError
from etl_manager.ssm.retry import DEFAULT_TIMEOUTS
from etl_manager.ssm.script import Script, template

KEEPER = "import sys, time; from pathlib import Path; from etl_manager.bastion.session import RunRecords; "
KEEPER += "RunRecords(Path(sys.argv[1])).keep('abc123'); print('kept', flush=True); time.sleep(60)"


def folder_of(host, run) -> Path:
    """Return the run's folder."""
    return host.tmp / f"etl-manager-run-{run.run_id}"


def test_record_is_an_orphan_as_soon_as_its_process_is_killed(tmp_path):
    """The lock dies with its holder, whatever ends it; before, nobody takes the run for dead."""
    process = subprocess.Popen([sys.executable, "-c", KEEPER, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        assert RunRecords(tmp_path).orphans() == []
    finally:
        process.kill()
        process.communicate()
    assert RunRecords(tmp_path).orphans() == ["abc123"]


def test_record_stays_as_long_as_a_command_may_still_be_delivered(tmp_path):
    """The run's first command may arrive after the folder was looked for: the next run looks again."""
    dead = RunRecords(tmp_path)
    dead.keep("abc123")
    dead.release()
    records = RunRecords(tmp_path)
    records.cleaned(["abc123"])
    assert records.orphans() == ["abc123"]
    long_ago = time.time() - DELIVERY_SECONDS - 60
    os.utime(tmp_path / "abc123", (long_ago, long_ago))
    records.cleaned(["abc123"])
    assert records.orphans() == []


def test_folder_and_processes_of_a_killed_run_go_and_those_of_a_living_one_stay(host, project):
    """The project's next run ends what the killed one left running, and deletes its folder with the key."""
    dead, living, elsewhere = (host.run(project.archive()) for _ in range(3))
    elsewhere.records = RunRecords(host.root / "records of another project")
    for run in (dead, living, elsewhere):
        run.open()
    sleepers = {}
    for run in (dead, living):
        with (folder_of(host, run) / "out").open("w") as out:
            sleepers[run.run_id] = subprocess.Popen(["sleep", "60"], stdout=out)
    dead.records.release()  # as the kernel does
    elsewhere.records.release()
    following = host.run(project.archive())
    try:
        following.open()
        assert sleepers[dead.run_id].wait(5) == -9
        assert sleepers[living.run_id].poll() is None
    finally:
        for sleeper in sleepers.values():
            sleeper.kill()
            sleeper.wait()
    there = {run.run_id: folder_of(host, run).exists() for run in (dead, living, elsewhere, following)}
    assert there == {dead.run_id: False, living.run_id: True, elsewhere.run_id: True, following.run_id: True}
    for run in (living, elsewhere, following):
        run.close()


AT_WORK = "touch /tmp/at-$SSM_COMMAND_ID; until [ -e /tmp/go ]; do sleep 0.05; done"


def until(true: Callable[[], bool]) -> None:
    """Wait for it, ten seconds at most."""
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert true()


@contextmanager
def interrupted(host, run) -> Iterator[None]:
    """Have five commands at work; press Ctrl-C as soon as one of *run* waits behind them, which is cancelled; let them end."""
    for _ in range(5):
        host.client.send_command(
            InstanceIds=[host.aws.instance_id], DocumentName="AWS-RunShellScript", Parameters={"commands": [AT_WORK]}
        )
    until(lambda: len(list(host.tmp.glob("at-*"))) == 5)
    look, waiting = run.run_command.client.get_command_invocation, []

    def press(**words: Any) -> Any:
        seen = look(**words)
        if not waiting and seen["Status"] == "InProgress":
            waiting.append(words["CommandId"])
            raise KeyboardInterrupt
        return seen

    run.run_command.retry.timeouts = replace(DEFAULT_TIMEOUTS, cancel_timeout=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.run_command.client, "get_command_invocation", press)
        with pytest.raises(KeyboardInterrupt):
            yield
    assert run.run_command.client.list_commands(CommandId=waiting[0])["Commands"][0]["Status"] == "Cancelling"
    (host.tmp / "go").touch()


def start_agent_anew(host) -> None:
    """Have it run what was cancelled while it waited, and wait for the end of that."""
    agent = host.aws.agents[host.aws.instance_id]
    assert not agent.idle
    agent.restart()
    until(lambda: agent.idle)


def test_command_that_was_cancelled_and_runs_when_its_run_is_over_does_nothing(host, project):
    """The agent does not answer the cancellation of what waits in it, and runs it later."""
    run = host.run(project.archive())
    run.open()
    with interrupted(host, run):
        run.run_command.run(Script((), ["touch /tmp/ran"]), "cancelled")
    run.close()
    start_agent_anew(host)
    [late] = [each for each in host.commands()[-2:] if "cancelled" in each["Comment"]]
    assert (late["Status"], folder_of(host, run).exists(), (host.tmp / "ran").exists()) == ("Failed", False, False)


def test_command_of_a_killed_run_that_comes_when_the_next_one_is_there_does_nothing(host, project):
    """Nobody could cancel it or clean up: the next run of the project deletes the folder that it needs."""
    dead, following = host.run(project.archive()), host.run(project.archive())
    dead.open()
    with interrupted(host, dead):
        dead.run_command.run(Script((), ["touch /tmp/ran"]), "cancelled")
    dead.records.release()  # as the kernel does
    following.open()
    start_agent_anew(host)
    assert not (host.tmp / "ran").exists()
    following.close()


def test_first_command_that_was_cancelled_and_runs_later_leaves_nothing_beyond_the_next_run(host, project):
    """It makes the folder of a run that is over, with a key: the record of that run is kept."""
    run, following = host.run(project.archive()), host.run(project.archive())
    with interrupted(host, run):
        run.open()
    run.close()
    start_agent_anew(host)
    assert folder_of(host, run).exists()
    following.open()
    assert not folder_of(host, run).exists()
    following.close()


def test_clock_that_jumps_by_a_day_takes_no_folder_of_a_living_run(host, project):
    """By the clock all are old; what was made within a day of the machine's own time stays, unless it was started anew since."""
    with Path("/proc/uptime").open() as file:
        up = int(file.read().partition(".")[0])
    living, following = (host.run(project.archive()) for _ in range(2))
    living.records = RunRecords(host.root / "records of another project")
    living.open()
    folder = folder_of(host, living)
    assert up <= int((folder / ".etl-manager").read_text()) <= up + 60
    marks = {"restarted-since": f"{up + 5000}\n", "of-an-earlier-version": ""}
    left = {name: host.tmp / f"etl-manager-run-{name}" for name in marks}
    for name, mark in marks.items():
        left[name].mkdir()
        (left[name] / ".etl-manager").write_text(mark)
    two_days_ago = time.time() - 2 * 86_400
    for each in (folder, *left.values()):
        os.utime(each, (two_days_ago, two_days_ago))
    following.open()
    assert folder.exists()
    assert [name for name in left if left[name].exists()] == []
    living.close()
    following.close()


@pytest.mark.parametrize(
    ("mark", "today"),
    [
        ("200000", True),
        ("113601", True),
        ("113600", False),
        ("200001", False),
        ("-5", False),
        ("a", False),
        ("", False),
    ],
)
def test_age_of_a_folder_is_by_the_machines_own_time(tmp_path, mark, today):
    """Up for 200,000 s: made within a day of that; neither longer ago, nor before it was started anew, nor unknown."""
    (tmp_path / ".etl-manager").write_text(f"{mark}\n")
    (tmp_path / "uptime").write_text("200000.70 390000.12\n")
    script = template("open.sh").replace("/proc/uptime", str(tmp_path / "uptime")) + '\nmade_today "$1"'
    assert subprocess.run(["bash", "-uc", script, "bash", tmp_path], check=False).returncode == (0 if today else 1)


def test_parts_go_when_no_run_that_sent_them_is_there(host, project):
    """Parts of another archive stay as long as one of their runs has its folder; nobody else's are touched."""
    project.write("sql/shared/large.bin", os.urandom(30_000))
    parts = ArchiveChunks.cut(project.archive(), 10_000)
    one, two = host.run(parts.archive), host.run(parts.archive)
    for number, run in enumerate((one, two), start=1):
        run.open()
        sent = run.run_command.run(Script(("transfer.sh",), [parts.receive(number)], parts.values()), "part")
        assert sent.exit_status == 0
    folder, unmarked = host.tmp / f"workspace.parts-{parts.archive.digest}", host.tmp / "workspace.parts-design"
    unmarked.mkdir()
    project.write("sql/shared/large.bin", "small by now")
    for run, stays in ((one, True), (two, False)):
        run.close()
        following = host.run(project.archive())
        following.open()
        following.close()
        assert folder.exists() == stays
    assert unmarked.exists()


def test_workspace_that_is_half_made_goes_unless_it_is_being_made(host, project):
    """Where somebody has the lock of the unpacking, it is left alone."""
    half = host.tmp / "workspace.new-abcdef"
    (half / ".transfer").mkdir(parents=True)
    descriptor = os.open(host.tmp, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    run = host.run(project.archive())
    run.open()
    assert half.exists()
    os.close(descriptor)
    run.open()
    assert not half.exists()
    run.close()


def test_what_goes_on_without_its_shell_is_ended_by_the_clean_up(host, project):
    """The shell of a command is killed: what it had started would go on, with the database too."""
    run = host.run(project.archive())
    run.open()
    script = 'setsid sleep 60 >"$RUNTIME/out.sleep" 2>/dev/null & echo $! >"$RUNTIME/sleeper"; kill -KILL $$'
    with pytest.raises(CommandError):
        run.run_command.run(Script((), [script]), "killed")
    sleeper = int((folder_of(host, run) / "sleeper").read_text())
    assert Path(f"/proc/{sleeper}").exists()
    run.close()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{sleeper}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{sleeper}").exists()
    assert not folder_of(host, run).exists()
