"""``python -m etl_manager report check`` finds whatever was changed since the run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from etl_manager.cli.report import check
from etl_manager.errors import VerificationError
from etl_manager.report.folder import digest
from tests.support import forks
from tests.support.project import ROOT
from tests.unit.report.folder import DATABASE, Folder


@pytest.fixture
def reports(tmp_path) -> Path:
    folder = Folder(tmp_path)
    folder.results("failed", "rows of t2.users: expected 5, found 4")
    folder.gate(ready=False)
    (tmp_path / "run.log").write_text("what happened\n")
    folder.close()
    return tmp_path


def first_result(reports: Path) -> Path:
    return sorted((reports / "allure-results").iterdir())[0]


def make_green(path: Path) -> None:
    path.write_text(path.read_text().replace("failed", "passed"))


CHANGES = {
    "result": (
        lambda reports: make_green(first_result(reports)) or first_result(reports).open("a").write(" "),
        "changed",
    ),
    "result removed": (lambda reports: first_result(reports).unlink(), "missing"),
    "result added": (lambda reports: Folder.result(FolderAt(reports), DATABASE), "added since"),
    "log": (lambda reports: (reports / "run.log").write_text("nothing happened\n"), "run.log: changed"),
    "gate": (lambda reports: make_green(reports / "phase3-gate.json"), "phase3-gate.json: changed"),
    "history": (lambda reports: (reports / "history.jsonl").write_text(""), "history.jsonl: changed"),
    "record": (lambda reports: make_exit_zero(reports / "run.json"), "run.json: changed"),
    "verdict": (lambda reports: make_ready(reports / "verdict.html"), "verdict.html: not what this version"),
    "summary": (lambda reports: make_ready(reports / "summary.md"), "summary.md: not what this version"),
    "verdict removed": (lambda reports: (reports / "verdict.html").unlink(), "verdict.html: missing"),
    "manifest removed": (lambda reports: (reports / "manifest.sha256").unlink(), "manifest.sha256: missing"),
    "manifest widened": (lambda reports: widen(reports / "manifest.sha256"), "not a line of a manifest"),
}


class FolderAt(Folder):
    """A folder that is there already."""

    def __init__(self, path: Path) -> None:
        self.path = path


def make_ready(path: Path) -> None:
    path.write_text(path.read_text().replace("Not ready", "Ready"))


def make_exit_zero(path: Path) -> None:
    path.write_text(path.read_text().replace('"exit_status": 0', '"exit_status": 1'))


def widen(path: Path) -> None:
    path.write_text(path.read_text() + f"{'0' * 64}  ../elsewhere\n")


def test_untouched_evidence_passes(reports):
    """What is as it was left is told in a line with the run, its digest and the verdict."""
    said = check(reports)
    assert "run0001" in said
    assert digest(reports) in said
    assert "Not ready for Phase 3: 1 failed, 3 passed" in said


@pytest.mark.parametrize("change", CHANGES)
def test_change_is_found(reports, change):
    """Each file that was changed, taken away or added is named."""
    make, told = CHANGES[change]
    make(reports)
    with pytest.raises(VerificationError, match="not as the run left it") as found:
        check(reports)
    assert told in str(found.value)


def test_forged_whole_is_found_by_its_digest(reports):
    """Whoever makes everything anew, manifest included, is found out by the digest that the run told."""
    told = digest(reports)
    again = Folder(reports)
    again.results()
    again.gate()
    again.close()
    assert "Ready for Phase 3" in check(reports)
    with pytest.raises(VerificationError, match=f"was to be {told}"):
        check(reports, f"sha256:{told}")


def test_sha256sum_reads_the_manifest(reports):
    """Nobody needs this project to check: the manifest is what sha256sum reads."""
    done = subprocess.run(["sha256sum", "--check", "--quiet", "manifest.sha256"], cwd=reports, check=False)
    assert done.returncode == 0
    make_green(reports / "run.log")
    (reports / "run.log").write_text("other")
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "manifest.sha256"], cwd=reports, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "run.log: FAILED\n")


def test_command_line_tells_by_its_exit_status(reports):
    """0 as it was left, 1 with the list of what is not; never a traceback."""
    words = ("etl_manager", "report", "--reports", reports, "check")
    good = forks.run(*words, cwd=ROOT, env=os.environ)
    assert (good.returncode, good.stderr) == (0, "")
    (reports / "run.log").unlink()
    bad = forks.run(*words, cwd=ROOT, env=os.environ)
    assert bad.returncode == 1
    assert "run.log: missing" in bad.stdout + bad.stderr
    assert "Traceback" not in bad.stdout + bad.stderr


def test_nothing_to_check_is_no_success(tmp_path):
    """A folder without a run is not in order."""
    with pytest.raises(VerificationError, match="not as the run left it"):
        check(tmp_path)
