"""Long work shows that it lives: one live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

STEPS = """
from etl_manager.pytest_plugin.session import TerminalProgress

@given("work takes long")
def work(request):
    print("captured")
    progress = request.config.stash[PROGRESS]
    progress.status("schema: 1 of 3 tenants")
    progress.status("schema: 2 of 3 tenants")
    progress.say("tenant_b.users was repaired")
    progress.status("data: 1 of 3 tenants")

@given("work takes very long")
def long_work(request):
    seconds = iter(range(0, 1000, 4))
    progress = TerminalProgress(request.config, clock=lambda: next(seconds))
    for number in range(8):
        progress.status(f"beat {number}")
"""


@pytest.fixture
def working(project):
    project.append("sentences.py", STEPS)
    project.write("features/1.feature", "Feature: F\n\n  Scenario: S\n    Given work takes long\n")
    return project


def on_a_terminal(project, *arguments: str) -> str:
    """Return what a run writes to a terminal of 40 columns."""
    ours, theirs = pty.openpty()
    environment = {**project.environment, "COLUMNS": "40", "TERM": "xterm"}
    with subprocess.Popen(
        project.command("features/", *arguments), cwd=project.path, env=environment, stdout=theirs, stderr=theirs
    ) as run:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            written += part
        run.wait()
    os.close(ours)
    return written.decode()


def test_what_is_said_stands_among_the_dots(working):
    """A line said during a scenario is shown at once, past capturing; without a terminal, quick work shows no status."""
    found = working.run("features/", "-rP")
    assert "\nfeatures/1.feature \ntenant_b.users was repaired\n." in found.out
    assert "of 3 tenants" not in found.out
    assert "captured" in found.out


def test_what_is_said_is_logged(working):
    """The log keeps what was said, and leaves the passing status out."""
    working.run("features/")
    text = (working.path / "reports/run.log").read_text()
    assert "etl_manager.progress: tenant_b.users was repaired" in text
    assert "of 3 tenants" not in text


@pytest.mark.parametrize("verbosity", ["-q", "-v"])
def test_a_terminal_has_one_live_line(working, verbosity):
    """On a terminal each status replaces the one before it, and the last is gone when the outcome is written."""
    written = on_a_terminal(working, verbosity)
    clear = "\r\x1b[2K"
    first, second = "schema: 1 of 3 tenants", "schema: 2 of 3 tenants"
    assert f"{first}{clear}{second}{clear}tenant_b.users was repaired\r\n" in written
    assert f"data: 1 of 3 tenants{clear}" in written


def test_a_live_line_never_wraps(working):
    """A status wider than the terminal is cut: a line that wraps could not be replaced."""
    working.write("sentences.py", (working.path / "sentences.py").read_text().replace("1 of 3", "1 of 3" + " 3" * 40))
    lines = [line for line in on_a_terminal(working).replace("\x1b[2K", "").splitlines() if "of 3" in line]
    assert lines
    assert all(len(line) < 40 for line in lines)


def test_elsewhere_a_status_comes_at_most_every_ten_seconds(working):
    """In a log of CI, what lasts is shown now and then: with a status every 4 seconds, every third."""
    working.write("features/1.feature", "Feature: F\n\n  Scenario: S\n    Given work takes very long\n")
    shown = [line for line in working.run("features/").out.splitlines() if line.startswith("beat")]
    assert shown == ["beat 2", "beat 5"]
