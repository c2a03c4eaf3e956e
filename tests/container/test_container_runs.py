"""Whole runs on real containers, one after another on one project: what --keep leaves is what the next one finds."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from etl_manager.targets.container_engine import Engine
from tests.acceptance.rig import Outcome, Project

NETWORK = "features/0-network.feature"


def container(engine: Engine, names: list[str], role: str) -> Any:
    """Return the project's container for *role*."""
    [name] = [name for name in names if name.endswith(f"-{role}")]
    return engine.client.containers.get(name)


def when_log_has(project: Project, process: subprocess.Popen[str], text: str) -> None:
    """Wait until the run's log has *text*."""
    log, deadline = project.path / "reports/run.log", time.monotonic() + 60
    while not (log.exists() and text in log.read_text()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"the log has no {text!r}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def kept(project: Project) -> Outcome:
    """A first run that keeps its containers; the tests below go on with them, in the order of this file."""
    return project.run("features/", "--keep")


def test_everything_is_built_and_proven_on_containers(kept, project, left):
    """All scenarios pass, the network's among them; what is kept is told, with how to look and to remove."""
    assert kept.status == 0, kept.terminal
    assert set(kept.counts) <= {"passed", "warning"}
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
    """--verify-only finds what an earlier run built and kept."""
    proof = project.run("features/", "--verify-only", "--skip-copy", "--keep")
    assert proof.status == 0, proof.terminal
    assert "--skip-copy" not in proof.terminal


def test_network_scenario_is_red_when_the_networks_are_joined(kept, project, left, engine):
    """With the database in the operator's network too, the scenario fails and says at which address it answers."""
    names = left(project.path)
    [operator] = [engine.client.networks.get(name) for name in names if name.endswith("-operator")]
    postgres = container(engine, names, "postgres")
    operator.connect(postgres)
    try:
        joined = project.run(NETWORK, "--keep")
    finally:
        operator.disconnect(postgres)
    assert joined.status == 1
    assert joined.counts == {"failed": 1}
    assert "the database answers the operator's machine at " in joined.terminal
    assert project.run(NETWORK, "--keep").status == 0


def test_killed_bastion_is_a_clear_error_and_the_next_run_is_proven(kept, project, left, engine):
    """The bastion dies in the middle of a phase: the run says so; the next one starts it again, and is proven."""
    (project.path / "sql/aurora/slow").mkdir()
    project.write("sql/aurora/slow/wait.sql", "SELECT pg_sleep(30);\n")
    phase = {"slow": {"connection_db": "postgres", "description": "Takes its time"}}
    slow = project.config
    slow["aurora"]["phases"] = phase | slow["aurora"]["phases"]
    process = project.start("features/", "--keep", "--config-json", project.write("slow.json", slow))
    names = left(project.path)
    _until(lambda: "pg_sleep" in _activity(engine, names), process)
    container(engine, names, "bastion").kill()
    killed = project.outcome(process)
    assert killed.status == 1
    assert "the agent of the bastion is lost (ConnectionLost)" in killed.terminal
    assert "it may have run in part" in killed.terminal
    assert "not run because phase slow failed" in killed.terminal
    assert "Traceback" not in killed.terminal
    after = project.run("features/", "--keep")
    assert after.status == 0, after.terminal
    assert "Nothing was changed" in after.terminal


def _activity(engine: Engine, names: list[str]) -> str:
    query = "select string_agg(query, ' ') from pg_stat_activity where pid <> pg_backend_pid()"
    found = container(engine, names, "postgres").exec_run(["psql", "-U", "postgres", "-Atc", query])
    return str(found.output.decode())


def _until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_run_without_keep_removes_also_what_was_kept(kept, project, left):
    """The next run goes on with the kept containers, and without --keep nothing of them is left."""
    last = project.run("features/1-database.feature")
    assert last.status == 0, last.terminal
    assert "Nothing was changed" in last.terminal
    assert left(project.path) == []


def test_commands_that_are_told_remove_what_was_kept(project, left):
    """What --keep prints for removal does it."""
    told = project.run(NETWORK, "--keep")
    commands = [line.partition("remove:")[2] for line in told.terminal.splitlines() if "remove:" in line]
    assert left(project.path)
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)
    assert left(project.path) == []


def test_failed_run_leaves_nothing(project, left):
    """A phase that PostgreSQL refuses fails the run, and its containers are gone all the same."""
    project.write("sql/aurora/slow/wait.sql", "SELECT 1 / 0;\n")
    failed = project.run("features/", "--config-json", "slow.json")
    assert failed.status == 1
    assert "division by zero" in failed.terminal
    assert left(project.path) == []


@pytest.mark.parametrize("moment", ["while containers start", "in a phase"])
def test_interrupted_run_leaves_nothing(project, left, moment):
    """Ctrl-C, at whatever moment, ends the run with pytest's status for it, and nothing is left."""
    project.write("sql/aurora/slow/wait.sql", "SELECT pg_sleep(60);\n")
    process = project.start("features/", "--config-json", "slow.json", "-s")
    if moment == "in a phase":
        when_log_has(project, process, "And the bastion is connected to it")
        time.sleep(1.5)
    else:
        _until(lambda: len(left(project.path)) >= 3, process)
    process.send_signal(signal.SIGINT)
    ended = project.outcome(process)
    assert ended.status == 2, ended.terminal
    assert "KeyboardInterrupt" in ended.terminal
    assert left(project.path) == []


def test_what_a_killed_run_left_is_removed_by_the_next(project, left):
    """SIGKILL gives no time to clean up: the next run starts anew, and nothing is left after it."""
    process = project.start("features/", "--config-json", "slow.json")
    when_log_has(project, process, "And the bastion is connected to it")
    process.kill()
    process.communicate()
    assert left(project.path)
    assert project.run(NETWORK).status == 0
    assert left(project.path) == []


def test_no_engine_is_one_clear_error(project):
    """Where no engine answers, the run says where it was looked for and what to do, once."""
    failed = project.run("features/", DOCKER_HOST="unix:///nowhere/engine.sock")
    assert failed.status == 1
    assert failed.terminal.count("No container engine answers") >= 1
    assert "unix:///nowhere/engine.sock: " in failed.terminal
    assert "leave out --target container" in failed.terminal
    assert "Traceback" not in failed.terminal


@pytest.mark.parametrize("role", ["postgres", "bastion"])
def test_image_that_cannot_be_had_is_one_clear_error(project, left, role):
    """A named image that is not there names the key and the variable that decide, and nothing is left."""
    config = project.config | {"container": {"images": {role: "localhost/etl-manager/no-such-image:1"}}}
    failed = project.run(NETWORK, "--config-json", project.write("images.json", config))
    assert failed.status == 1
    assert "could not fetch the image localhost/etl-manager/no-such-image:1" in failed.terminal
    assert f"container.images.{role} in config.json, or the variable PROVISION_{role.upper()}_IMAGE" in failed.terminal
    assert "Traceback" not in failed.terminal
    assert left(project.path) == []


def test_variable_wins_over_the_configuration(project):
    """The environment names the image of this machine, whatever config.json says."""
    failed = project.run(
        NETWORK, "--config-json", "images.json", PROVISION_BASTION_IMAGE="localhost/etl-manager/of-this-machine:1"
    )
    assert "could not fetch the image localhost/etl-manager/of-this-machine:1" in failed.terminal


def test_image_that_is_no_database_is_one_clear_error(project, left):
    """A server that does not come up is told with its last words, and nothing is left."""
    config = project.config | {"container": {"images": {"postgres": "localhost/etl-manager/base"}}}
    failed = project.run(NETWORK, "--config-json", project.write("images.json", config))
    assert failed.status == 1
    assert "PostgreSQL does not come up in its container" in failed.terminal
    assert left(project.path) == []


def test_keep_is_for_containers_only(project):
    """--keep on a target that has no containers is wrong use."""
    wrong = project.run(NETWORK, "--keep", PROVISION_TARGET="local")
    assert wrong.status == 4
    assert "--keep leaves the container target's containers; the target is local" in wrong.terminal
