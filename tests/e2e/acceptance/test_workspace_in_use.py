"""The workspace on the bastion: used as it is on request, and never taken from somebody else."""

from __future__ import annotations

import os

import pytest

from tests.e2e.acceptance.test_phases_in_order import added

WARNINGS = (
    "[WARNING] Workspace directory /tmp/workspace does not exist on Bastion Host",
    "[WARNING] You may need to run without --skip-copy first to transfer files",
)


def test_skip_copy_without_a_workspace_gives_the_two_warnings(built, cloud):
    """The run ends with the two warnings its users know, word for word, and what to do; nothing was changed."""
    cloud.forget_workspace()
    before = cloud.snapshot()
    outcome = built.run("features/", "--skip-copy")
    assert outcome.status == 1
    lines = outcome.terminal.splitlines()
    assert [lines.count(warning) for warning in WARNINGS] == [1, 1]
    assert "next:  Run again without --skip-copy" in outcome.terminal
    assert "Traceback" not in outcome.terminal
    assert cloud.snapshot() == before
    assert not cloud.workspace.exists()


def test_skip_copy_uses_the_workspace_that_is_there(transferred, cloud):
    """With a workspace, --skip-copy is green and sends no archive; one of an older project is used as it is, and that is told."""
    inode = cloud.workspace.stat().st_ino
    outcome = transferred.run("features/", "--skip-copy", "--verify-only")
    assert outcome.status == 0, outcome.terminal
    assert "[WARNING]" not in outcome.terminal
    with added(transferred, "sql/shared/note.sql", "-- new\n"):
        older = transferred.run("features/", "--skip-copy", "--verify-only")
    assert older.status == 0, older.terminal
    assert "[WARNING] The workspace /tmp/workspace on the bastion is not what this project holds now" in older.terminal
    assert cloud.workspace.stat().st_ino == inode


@pytest.mark.parametrize("options", [(), ("--skip-copy",)])
def test_workspace_that_is_a_link_is_refused(built, cloud, options, tmp_path):
    """A symbolic link in the workspace's place is told and left alone, and so is what it leads to."""
    (tmp_path / "precious").write_text("mine")
    cloud.forget_workspace()
    cloud.workspace.symlink_to(tmp_path)
    try:
        outcome = built.run("features/", *options)
        assert outcome.status == 1
        assert "The workspace /tmp/workspace on the bastion is a symbolic link; it is left alone" in outcome.terminal
        assert "bastion.workingDirectory" in outcome.terminal
        assert cloud.workspace.is_symlink()
        assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    finally:
        cloud.forget_workspace()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder another user's")
def test_workspace_of_another_user_is_refused(built, cloud):
    """Another user's folder in the workspace's place is told with both names, and left alone."""
    cloud.forget_workspace()
    cloud.workspace.mkdir()
    (cloud.workspace / "precious").write_text("theirs")
    os.chown(cloud.workspace, 65534, 65534)
    try:
        outcome = built.run()
        assert outcome.status == 1
        assert "The workspace /tmp/workspace on the bastion belongs to nobody, not to root" in outcome.terminal
        assert (cloud.workspace / "precious").read_text() == "theirs"
    finally:
        cloud.forget_workspace()
