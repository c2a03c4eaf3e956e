"""The history tells what is newly broken, over ten runs of the same target and database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from etl_manager import redaction
from etl_manager.report import HISTORY, SUMMARY
from etl_manager.report.feature_files import ScenarioId
from etl_manager.report.verdict import RunVerdict
from tests.unit.report.folder import METADATA, ROWS, Folder


def run(path: Path, number: int, status: str, **more: Any) -> RunVerdict:
    folder = Folder(path, number)
    folder.results(status, "" if status in {"passed", "skipped"} else "rows: expected 5, found 4")
    return folder.close(**more)


def titles(results) -> list[str]:
    return [result.title for result in results]


def test_first_run_has_nothing_to_compare_with(tmp_path):
    """Without an earlier run nothing is called new or broken."""
    comparison = run(tmp_path, 1, "failed").comparison
    assert (comparison.previous, comparison.broken, comparison.new) == ("", (), ())
    assert "There is no earlier run" in (tmp_path / SUMMARY).read_text()


def test_newly_broken_and_mended_are_told(tmp_path):
    """What passed and fails now is newly broken; the other way round it is mended; the same again is neither."""
    run(tmp_path, 1, "passed")
    assert titles(run(tmp_path, 2, "failed").comparison.broken) == ["t2 has rows"]
    assert "- ❌ 1 newly broken: t2 has rows" in (tmp_path / SUMMARY).read_text()
    again = run(tmp_path, 3, "failed").comparison
    assert (again.broken, again.mended) == ((), ())
    assert titles(run(tmp_path, 4, "passed").comparison.mended) == ["t2 has rows"]


def test_skip_between_does_not_hide_a_break(tmp_path):
    """A scenario is held against the last run in which it passed or failed."""
    run(tmp_path, 1, "passed")
    run(tmp_path, 2, "skipped")
    assert titles(run(tmp_path, 3, "failed").comparison.broken) == ["t2 has rows"]


def test_new_and_gone_scenarios_are_told(tmp_path):
    """A tenant more is new; a scenario that a whole run no longer has is gone; a partial run says nothing is gone."""
    run(tmp_path, 1, "passed")
    more = Folder(tmp_path, 2)
    kept = (*more.record.expected[1:], ScenarioId(ROWS[0].file, ROWS[0].name, (("tenant", "t3"),)))
    for proof in kept:
        more.result(proof)
    comparison = more.close(expected=kept).comparison
    assert titles(comparison.new) == ["t3 has rows"]
    assert comparison.gone == ("The database exists",)
    part = Folder(tmp_path, 3)
    part.result(ROWS[0])
    assert part.close(deselected=part.record.expected[:1]).comparison.gone == ()


def test_other_places_are_not_compared(tmp_path):
    """A run on another target, or of another database, tells nothing of this one."""
    run(tmp_path, 1, "passed", metadata=METADATA | {"target": "local"})
    assert run(tmp_path, 2, "failed").comparison.previous == ""
    assert run(tmp_path, 3, "failed", metadata=METADATA | {"database": "other"}).comparison.previous == ""
    assert titles(run(tmp_path, 4, "failed", metadata=METADATA | {"target": "local"}).comparison.broken) == [
        "t2 has rows"
    ]


def test_ten_runs_are_kept(tmp_path):
    """The file does not grow beyond ten runs, and holds each run once."""
    for number in range(1, 13):
        run(tmp_path, number, "passed")
    run(tmp_path, 12, "passed")
    lines = [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()]
    assert [line["uuid"] for line in lines] == [f"run{number:04}" for number in range(3, 13)]


def test_damaged_history_is_no_obstacle(tmp_path):
    """A line that cannot be read is left out; the run is closed all the same."""
    run(tmp_path, 1, "passed")
    with (tmp_path / HISTORY).open("a") as file:
        file.write('{"cut": \n7\n')
    assert titles(run(tmp_path, 2, "failed").comparison.broken) == ["t2 has rows"]


def test_old_lines_are_cleaned_of_secrets(tmp_path):
    """A secret that an earlier run let slip is masked as soon as it is known."""
    slip = Folder(tmp_path, 1)
    slip.results("failed", "the token is s3cr3t-of-old")
    slip.close()
    assert "s3cr3t-of-old" in (tmp_path / HISTORY).read_text()
    redaction.register("s3cr3t-of-old")
    run(tmp_path, 2, "passed")
    assert "s3cr3t-of-old" not in (tmp_path / HISTORY).read_text()
