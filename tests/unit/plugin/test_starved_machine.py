"""What a machine lacks ends a run in one message; a report that could not be written whole is no report."""

from __future__ import annotations

import pytest

from etl_manager.report import GATE, HISTORY
from etl_manager.report.folder import OF_A_RUN
from tests.unit.plugin.conftest import CONFTEST

FEATURE = "Feature: F\n  Scenario Outline: S\n    Given the schema <name> exists\n    Examples:\n      | name |\n"


@pytest.fixture
def project(project):
    """A project of twelve scenarios, with the verdict of an earlier run."""
    project.write("features/1.feature", FEATURE + "".join(f"      | tenant_{number} |\n" for number in range(12)))
    project.write(f"reports/{GATE}", "Ready")
    project.write(f"reports/{HISTORY}", "")
    return project


def starved(project, kilobytes: int, *arguments: str) -> tuple[int, str]:
    """Run pytest there in a process that may write files of *kilobytes*, as by ``ulimit -f``; return status and output."""
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes << 10}, {kilobytes << 10}))\n"
    project.write("conftest.py", limit + CONFTEST)
    done = project.run_apart("features/", *arguments, PYTHONDONTWRITEBYTECODE="1")
    return done.status, done.out + done.err


@pytest.mark.parametrize(
    "kilobytes", [pytest.param(2, id="the log"), pytest.param(4, id="the verdict"), pytest.param(6, id="the page")]
)
def test_disk_that_fills_during_a_run(project, kilobytes):
    """Wherever the space ends: one message, red, no traceback, and neither the old verdict nor half a new one.

    The kernel refuses to write a longer file, as it does on a full disk.
    """
    status, out = starved(project, kilobytes)
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
    status, out = starved(project, 2, *arguments)
    assert (status, out.count("the run cannot write its reports: ")) == (1, 1), out
    assert "File too large\n  next:  Let this process write longer files: ulimit -f" in out
    assert "1 passed" in out


def test_room_enough(project):
    """The same run with room for its files."""
    status, out = starved(project, 1000)
    assert (status, "Results of 12 of 12 promised scenarios" in out) == (0, True), out
