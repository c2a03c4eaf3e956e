"""What a machine lacks ends a run in one message; a report that could not be written whole is no report."""

from __future__ import annotations

import subprocess

import pytest

from etl_manager.report import GATE, HISTORY
from etl_manager.report.folder import OF_A_RUN

FEATURE = "Feature: F\n  Scenario Outline: S\n    Given the schema <name> exists\n    Examples:\n      | name |\n"


@pytest.fixture
def project(project):
    """A project of twelve scenarios, with the verdict of an earlier run."""
    project.write("features/1.feature", FEATURE + "".join(f"      | tenant_{number} |\n" for number in range(12)))
    project.write(f"reports/{GATE}", "Ready")
    project.write(f"reports/{HISTORY}", "")
    return project


def starved(project, limit: str, *arguments: str) -> tuple[int, str]:
    """Run pytest there with *limit*, words of ``ulimit``; return status and output."""
    done = subprocess.run(
        ["bash", "-c", f'ulimit {limit} && exec "$@"', "-", *project.command("features/", *arguments)],
        cwd=project.path,
        env={**project.environment, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "kilobytes", [pytest.param(2, id="the log"), pytest.param(4, id="the verdict"), pytest.param(6, id="the page")]
)
def test_disk_that_fills_during_a_run(project, kilobytes):
    """Wherever the space ends: one message, red, no traceback, and neither the old verdict nor half a new one.

    The kernel refuses to write a longer file, as it does on a full disk.
    """
    status, out = starved(project, f"-f {kilobytes}")
    assert status == 1, out
    assert out.count("the run cannot write its reports: ") == 1, out
    assert "There is no report and no verdict of this run" in out
    assert "Traceback" not in out
    assert "INTERNALERROR" not in out
    assert {path.name for path in (project.path / "reports").iterdir()} & {*OF_A_RUN} == set()
    assert (project.path / "reports" / HISTORY).read_text() == ""


@pytest.mark.parametrize("arguments", [(), ("--alluredir", "elsewhere")], ids=["its own", "those of another folder"])
def test_result_that_cannot_be_written_ends_the_run(project, arguments):
    """What comes after would be no proof: it is not run. Results that another folder is to have are asked as well."""
    project.write("features/1.feature", FEATURE + "".join(f"      | tenant_{number:03000} |\n" for number in range(3)))
    status, out = starved(project, "-f 2", *arguments)
    assert (status, out.count("the run cannot write its reports: ")) == (1, 1), out
    assert "File too large\n  next:  Let this process write longer files: ulimit -f" in out
    assert "1 passed" in out


def test_room_enough(project):
    """The same run with room for its files."""
    status, out = starved(project, "-f 1000")
    assert (status, "Results of 12 of 12 promised scenarios" in out) == (0, True), out
