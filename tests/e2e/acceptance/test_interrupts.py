"""A run that is ended early leaves nothing running, and the next one ends proven."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.forks import Process
from tests.support.outcome import Outcome
from tests.support.project import ONCE, Project

SLOW = "sql/aurora/data/a-slow.sql"
SIGNALS = {
    "Ctrl-C": (signal.SIGINT, os.killpg),
    "SIGKILL": (signal.SIGKILL, os.kill),
}


def eventually(condition: Callable[[], object], process: Process) -> None:
    """Wait for *condition* while *process* runs, a minute at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sleeping(mark: str) -> list[int]:
    """Return the psql processes that run the slow file of the workspace whose path holds *mark*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words, place = (process / "cmdline").read_bytes(), str((process / "cwd").readlink())
        except OSError:
            continue
        if words.startswith(b"psql\0") and SLOW.encode() in words and mark in place:
            found.append(int(process.name))
    return found


@pytest.fixture(scope="module")
def project(new_project: Callable[[], Project]) -> Project:
    """A project of this module's own: its runs are ended in the midst of the first build already."""
    return new_project()


@pytest.fixture
def slow(project: Project) -> Iterator[None]:
    """Let the data phase of *project* sleep."""
    project.write(SLOW, "SELECT pg_sleep(120);\n")
    yield
    (project.path / SLOW).unlink(missing_ok=True)


def interrupted(project: Project, name: str) -> Outcome:
    """Begin a run, end it by the signal *name* in the midst of its data phase, and return how it ended."""
    sign, send = SIGNALS[name]
    process = project.start("features/")
    eventually(lambda: sleeping(str(project.path)), process)
    send(process.pid, sign)
    return project.outcome(process)


def test_runs_that_are_ended_in_mid_phase_leave_nothing_running_and_the_next_is_green(project, slow):
    """Ctrl-C stops psql, server and all; after SIGKILL, which nobody can catch, the next run cleans up.

    After Ctrl-C the next run is the one that is killed, and the last one is proven. SIGTERM ends a run as Ctrl-C does:
    test_scenario_reporting, and tests/e2e/transport/test_sessions.
    """
    ended = interrupted(project, "Ctrl-C")
    assert ended.status == 2
    assert "KeyboardInterrupt" in ended.terminal
    assert project.processes() == []
    assert not list((project.path / ".local/bastion/tmp").glob("etl-manager-run-*"))
    assert interrupted(project, "SIGKILL").status == -signal.SIGKILL
    (project.path / SLOW).unlink()
    following = project.run(*ONCE)
    assert following.status == 0, following.terminal
    assert project.processes() == []
    with project.cluster() as cluster:
        assert cluster.rows("SELECT count(*) FROM tenant_b.users") == [(5,)]
        assert cluster.rows(
            "SELECT count(*) FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND pid <> pg_backend_pid()"
        ) == [(0,)]


def test_ctrl_c_cancels_the_command_on_the_bastion_and_cleans_up(built, cloud):
    """AWS is told to cancel, nothing goes on in the database, and the run's key is gone from the bastion."""
    built.write(SLOW, "\\ir ../../shared/configuration.sql\nSELECT pg_sleep(120);\n")
    try:
        with cloud.counted() as commands:
            process = built.start("features/")
            eventually(lambda: sleeping(str(cloud.tmp)), process)
            os.killpg(process.pid, signal.SIGINT)
            ended = built.outcome(process)
    finally:
        (built.path / SLOW).unlink()
    assert ended.status == 2
    assert [command["Status"] for command in commands if " phases " in command["Comment"]] == ["Cancelled"]
    assert not sleeping(str(cloud.tmp))
    assert not list(cloud.tmp.glob("etl-manager-run-*"))
    deadline = time.monotonic() + 20
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"
    while cloud.rows(asleep) != [(0,)]:
        assert time.monotonic() < deadline, "the statement goes on in the server"
        time.sleep(0.1)
    assert built.run("features/3-data.feature").status == 0
