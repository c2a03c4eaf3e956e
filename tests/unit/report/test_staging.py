"""``reports/`` is of one run, and of the one that has it."""

from __future__ import annotations

import os

import pytest

from etl_manager.errors import TargetError
from etl_manager.report import GATE, HISTORY, LOG, RENDERED, RESULTS, VERDICT_PAGE
from etl_manager.report.folder import OF_A_RUN, UNFINISHED, Staging, take

FOLDERS = (RESULTS, RENDERED)


@pytest.fixture
def reports(tmp_path):
    """What an earlier run left, beside what somebody put there."""
    for name in OF_A_RUN:
        path = tmp_path / name / "old" if name in FOLDERS else tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("old")
    for name in (HISTORY, ".gitkeep", "README.md", "junit.xml"):
        (tmp_path / name).write_text("kept")
    return tmp_path


def files(folder) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


KEPT = dict.fromkeys((HISTORY, ".gitkeep", "README.md", "junit.xml"), "kept")


def test_an_earlier_run_goes_when_one_begins_and_the_history_stays(reports):
    """From its start on nothing of an earlier run is there, what others put there is, and a run that dies leaves it so."""
    staging = Staging(reports)
    (staging.folder / GATE).write_text("half a verdict")
    assert files(reports) == {**KEPT, f"{UNFINISHED}/{HISTORY}": "kept", f"{UNFINISHED}/{GATE}": "half a verdict"}
    staging.close()
    assert files(reports) == KEPT


def test_all_of_a_run_comes_at_its_end(reports):
    """What the run wrote takes its place at once; what it did not write is not there."""
    staging = Staging(reports)
    (staging.folder / RESULTS).mkdir()
    for name in (f"{RESULTS}/new", GATE, HISTORY):
        (staging.folder / name).write_text("new")
    staging.swap_in()
    staging.close()
    assert files(reports) == {**KEPT, HISTORY: "new", f"{RESULTS}/new": "new", GATE: "new"}


def test_what_others_rely_on_goes_first_and_comes_last(reports, monkeypatch):
    """A run that is killed in the midst of the swap leaves no verdict without its evidence."""
    staging = Staging(reports)
    for name in (VERDICT_PAGE, GATE, LOG):
        (staging.folder / name).write_text("new")
    (staging.folder / RESULTS).mkdir()
    (reports / VERDICT_PAGE).mkdir()  # somebody stands in the way, and cannot be removed
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: (_ for _ in ()).throw(PermissionError("read-only")))
    with pytest.raises(PermissionError):
        staging.swap_in()
    assert (reports / LOG).read_text() == "new"
    assert not (reports / GATE).exists()


def test_folder_of_another_run_is_left_alone(reports):
    """Who comes second is refused by the name of the first, touches nothing, and leaves nothing; two of them as well."""
    first = Staging(reports)
    (first.folder / GATE).write_text("of the first")
    before = files(reports)
    others = [Staging(reports), Staging(reports)]
    for other in others:
        assert f"{reports} is in use by process {os.getpid()}" in str(other.refused)
        (other.folder / GATE).write_text("of another")
        other.show_log()
        other.swap_in()
    assert len({other.folder for other in others}) == 2
    for other in others:
        other.close()
        assert not other.folder.exists()
    assert files(reports) == before
    first.swap_in()
    first.close()
    assert files(reports) == {**KEPT, GATE: "of the first"}


def test_log_is_read_at_its_place_while_it_is_written(reports):
    """The log of a run that goes on stands where it will be; after an interrupt nothing dangles there."""
    staging = Staging(reports)
    (staging.folder / LOG).write_text("as it goes")
    staging.show_log()
    assert (reports / LOG).read_text() == "as it goes"
    staging.swap_in()
    assert not (reports / LOG).is_symlink()
    assert (reports / LOG).read_text() == "as it goes"
    staging.close()
    again = Staging(reports)
    again.show_log()
    again.close()
    assert not (reports / LOG).is_symlink()


def test_killed_run_is_no_obstacle(reports):
    """What a run that was killed left behind goes with the next one."""
    (reports / UNFINISHED).mkdir()
    (reports / UNFINISHED / GATE).write_text("of a killed run")
    (reports / LOG).unlink()
    (reports / LOG).symlink_to(f"{UNFINISHED}/{LOG}")
    Staging(reports).close()
    assert files(reports) == KEPT
    with take(reports), pytest.raises(TargetError, match="in use"):
        take(reports)
