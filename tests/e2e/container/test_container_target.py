"""The target by itself: the images it takes, what it leaves, and what it says when it cannot start."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from etl_manager.errors import TargetError
from etl_manager.progress import NullProgress
from etl_manager.targets.container_engine import ImageResolver
from tests.support.project import ROOT

NOWHERE = "localhost/etl-manager/no-such-image:1"


class Told(NullProgress):
    """A progress that remembers what it is told for good."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """Remember *line*."""
        self.lines.append(line)


def test_kept_containers_are_removed_by_the_commands_that_are_told(start, left, tmp_path):
    """With keep, closing leaves everything, and says how to look and how to remove it; doing so leaves nothing."""
    told = Told()
    start(keep=True, progress=told, state=tmp_path / ".local").close()
    assert len(left(tmp_path)) == 4
    commands = {
        kind: [line.partition(f"{kind}:")[2].split() for line in told.lines if f"{kind}:" in line]
        for kind in ("look", "remove")
    }
    for command in commands["look"]:
        words = [word for word in command if word != "-it"]
        subprocess.run(words, check=True, capture_output=True, input=b"")
    for command in commands["remove"]:
        subprocess.run(command, check=True, capture_output=True)
    assert left(tmp_path) == []


@pytest.mark.parametrize("role", ["postgres", "bastion"])
def test_image_that_cannot_be_had_is_told_with_what_names_one(start, left, tmp_path, role):
    """An image that is not there is told with the key and the variable that name one, and nothing is left."""
    with pytest.raises(TargetError, match=f"could not fetch the image {NOWHERE}") as told:
        start(**{f"{role}_image": NOWHERE}, state=tmp_path / ".local")
    assert f"container.images.{role} in config.json, or the variable PROVISION_{role.upper()}_IMAGE" in str(told.value)
    assert "containers/base-images.sh" in str(told.value)
    assert left(tmp_path) == []


def test_variable_wins_over_the_configuration(engine, monkeypatch):
    """The environment names the image of this machine, whatever config.json says."""
    images = ImageResolver(engine, NullProgress().status)
    here = images.bastion(None)
    monkeypatch.setenv("PROVISION_BASTION_IMAGE", here)
    assert images.bastion(NOWHERE) == here
    monkeypatch.setenv("PROVISION_BASTION_IMAGE", NOWHERE)
    with pytest.raises(TargetError, match=NOWHERE):
        images.bastion(here)


def test_image_that_is_no_database_is_told_and_nothing_is_left(start, left, engine, tmp_path):
    """A server that does not come up is told with its container's state, and nothing is left."""
    no_database = ImageResolver(engine, NullProgress().status).bastion(None)
    with pytest.raises(TargetError, match="PostgreSQL does not come up in its container"):
        start(postgres_image=no_database, state=tmp_path / ".local")
    assert left(tmp_path) == []


def test_port_that_is_taken_is_told_and_nothing_is_left(start, left, tmp_path):
    """Where the emulated AWS cannot listen, the error names the port, and no container is left."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(TargetError, match=f"cannot listen on port {port}"):
            start(port=port, state=tmp_path / ".local")
    assert left(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from etl_manager.targets import TargetOptions
from etl_manager.targets.container import ContainerTarget
ContainerTarget(TargetOptions(region="us-east-1", state=Path(sys.argv[1])))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_is_removed_by_the_next_of_any_project(start, left, target, tmp_path):
    """SIGKILL gives no time to clean up: the next target of this machine does, and leaves those alone that are in use."""
    dead, next_one = tmp_path / "dead", tmp_path / "next"
    subprocess.run([sys.executable, "-c", KILLED, dead / ".local"], cwd=ROOT, check=False, capture_output=True)
    assert len(left(dead)) == 4
    start(state=next_one / ".local").close()
    assert left(dead) == []
    assert left(next_one) == []
    target.postgres.reload()
    assert target.postgres.status == "running"
