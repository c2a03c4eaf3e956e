"""Whole runs on real containers, one after another on one project: what --keep leaves is what the next one finds."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from docker.errors import APIError

from etl_manager.targets.container_engine import Engine
from tests.support.forks import Process
from tests.support.outcome import Outcome
from tests.support.project import Project


def container(engine: Engine, names: list[str], role: str) -> Any:
    """Return the project's container for *role*."""
    [name] = [name for name in names if name.endswith(f"-{role}")]
    return engine.client.containers.get(name)


@pytest.fixture
def begun(project: Project) -> Iterator[Callable[..., Process]]:
    """Start runs of the configuration that takes its time; none outlives the test."""
    processes: list[Process] = []

    def begin(*arguments: str, **environment: str) -> Process:
        processes.append(project.start("features/", "--config-json", "slow.json", *arguments, **environment))
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate()


def until(condition: Callable[[], bool], process: Process) -> None:
    """Wait until *condition* holds, while *process* runs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.5)  # each look costs the engine a process or two


def sleeping(engine: Engine, names: list[str]) -> bool:
    """Return whether the phase that takes its time has begun, as the database sees it."""
    query = "select string_agg(query, ' ') from pg_stat_activity where pid <> pg_backend_pid()"
    try:
        found = container(engine, names, "postgres").exec_run(["psql", "-U", "postgres", "-Atc", query])
    except APIError:  # it has only just been made
        return False
    return "pg_sleep" in found.output.decode()


@pytest.fixture(scope="module")
def kept(project: Project) -> Outcome:
    """A first run that keeps its containers; the tests below go on with them, in the order of this file."""
    return project.run("features/", "--keep")


def test_everything_is_built_and_proven_on_containers(kept, project, left):
    """All scenarios pass; what is kept is told, with how to look and to remove."""
    assert kept.status == 0, kept.terminal
    reason = "emulated: the target container is not AWS, which alone can answer this"
    assert f"\n{kept.counts['not applicable']} not applicable: {reason}\n" in kept.terminal
    assert "skipped" not in kept.counts
    names = left(project.path)
    assert len(names) == 4
    for name in names:
        assert f" {name}" in kept.terminal
    assert "look:" in kept.terminal
    assert "remove:" in kept.terminal


def test_password_is_in_no_environment_and_no_command(kept, project, left, engine):
    """Whoever may look at the containers, their processes and the reports sees no password."""
    names = left(project.path)
    postgres = container(engine, names, "postgres")
    stream, _ = postgres.get_archive("/run/etl-manager/password")
    password = b"".join(stream)[512:].rstrip(b"\0").decode()
    assert len(password) > 30
    _, environments = postgres.exec_run(["sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline"])
    assert len(environments) > 200
    shown = [str(container(engine, names, role).attrs) for role in ("postgres", "bastion")]
    for text in (environments.decode(errors="replace"), *shown, kept.terminal, kept.log, kept.evidence):
        assert password[:16] not in text


def test_kept_containers_are_proven_again_without_building(kept, project):
    """--verify-only finds what an earlier run built and kept, and --skip-copy its workspace."""
    proof = project.run("features/3-data.feature", "--verify-only", "--skip-copy", "--keep")
    assert proof.status == 0, proof.terminal
    assert "[WARNING]" not in proof.terminal


def slow(project: Project, statement: str) -> None:
    """Give the project a first phase that runs *statement*, in a configuration of its own."""
    project.write("sql/aurora/slow/statement.sql", f"{statement};\n")
    config = project.config
    phase = {"slow": {"connection_db": "postgres", "description": "Takes its time"}}
    config["aurora"]["phases"] = phase | config["aurora"]["phases"]
    project.write("slow.json", config)


def test_killed_bastion_is_a_clear_error_and_the_next_run_is_proven(kept, project, left, engine, begun):
    """The bastion dies in the middle of a phase: the run says so; the next one starts it again, and is proven.

    Without --keep it then leaves nothing, also of what was kept.
    """
    slow(project, "SELECT pg_sleep(30)")
    process = begun("--keep")
    names = left(project.path)
    until(lambda: sleeping(engine, names), process)
    container(engine, names, "bastion").kill()
    killed = project.outcome(process)
    assert killed.status == 1
    assert "the agent of the bastion is lost (ConnectionLost)" in killed.terminal
    assert "it may have run in part" in killed.terminal
    assert "not run because phase slow failed" in killed.terminal
    assert "Traceback" not in killed.terminal
    after = project.run()
    assert after.status == 0, after.terminal
    assert "Nothing was changed" in after.terminal
    assert left(project.path) == []


def test_failed_run_leaves_nothing(project, left):
    """A phase that PostgreSQL refuses fails the run, and its containers are gone all the same."""
    slow(project, "SELECT 1 / 0")
    failed = project.run("features/", "--config-json", "slow.json")
    assert failed.status == 1
    assert "division by zero" in failed.terminal
    assert left(project.path) == []


@pytest.mark.parametrize("moment", ["while containers start", "in a phase"])
def test_interrupted_run_leaves_nothing(project, left, engine, begun, moment):
    """Ctrl-C, at whatever moment, ends the run with pytest's status for it, and nothing is left.

    Neither is the service that a run starts where there is only Podman's program.
    """
    slow(project, "SELECT pg_sleep(60)")
    services = served()
    own = {"DOCKER_HOST": ""} if services else {}  # this session's engine is such a service: the run starts its own
    process = begun(**own)
    until(lambda: len(left(project.path)) >= 3, process)
    if moment == "in a phase":
        until(lambda: sleeping(engine, left(project.path)), process)
    process.send_signal(signal.SIGINT)
    ended = project.outcome(process)
    assert ended.status == 2, ended.terminal
    assert "KeyboardInterrupt" in ended.terminal
    assert left(project.path) == []
    assert served() == services


def served() -> set[str]:
    """Return the processes of Podman that serve a socket of ours."""
    found = subprocess.run(
        ["pgrep", "-f", "^podman system service .*etl-manager-podman"], check=False, capture_output=True, text=True
    )
    return set(found.stdout.split())


def test_no_engine_is_one_clear_error(project):
    """Where no engine answers, the run says where it was looked for and what to do, once."""
    failed = project.run("features/", DOCKER_HOST="unix:///nowhere/engine.sock")
    assert failed.status == 1
    assert failed.terminal.count("No container engine answers") >= 1
    assert "unix:///nowhere/engine.sock: " in failed.terminal
    assert "leave out --target container" in failed.terminal
    assert "Traceback" not in failed.terminal


def test_keep_is_for_containers_only(project):
    """--keep on a target that has no containers is wrong use."""
    wrong = project.run("features/", "--keep", PROVISION_TARGET="local")
    assert wrong.status == 4
    assert "--keep leaves the container target's containers; the target is local" in wrong.terminal
