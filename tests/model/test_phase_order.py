"""Phases: their order, and their SQL files."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl_manager import phases
from etl_manager.errors import ConfigError

FOUR = ["database", "schema", "data", "verification"]


@pytest.mark.parametrize(
    ("named", "order"),
    [
        ([], FOUR),
        (["database", "schema"], FOUR),
        (["schema"], FOUR),
        (["verification"], FOUR),
        (["grants"], ["database", "schema", "data", "grants", "verification"]),
        (["schema", "grants"], ["database", "schema", "data", "grants", "verification"]),
        (["schema", "grants", "data"], ["database", "schema", "grants", "data", "verification"]),
        (["data", "grants", "verification"], ["database", "schema", "data", "grants", "verification"]),
        (["extensions", "schema", "grants"], ["database", "extensions", "schema", "data", "grants", "verification"]),
    ],
)
def test_left_out_phases_are_put_in_their_places(named, order):
    """The order of the file holds; what it leaves out comes right after the step before it, and verification last."""
    assert phases.in_order(named) == order
    assert list(phases.disorder(named)) == []


@pytest.mark.parametrize("named", [["schema", "database"], ["verification", "data"], ["verification", "grants"]])
def test_order_that_cannot_be_run_is_told(named):
    """The four steps have one order, and nothing comes after the proof."""
    [problem] = phases.disorder(named)
    assert problem.startswith("aurora.phases")


def test_files_of_a_phase_run_by_name(tmp_path: Path):
    """Every .sql file of the folder, sorted; nothing else."""
    folder = tmp_path / "sql/aurora/data"
    folder.mkdir(parents=True)
    for name in ("b.sql", "a.sql", "10.sql", "note.md", "c.sql.bak"):
        (folder / name).write_text("")
    (folder / "folder.sql").mkdir()
    assert [file.name for file in phases.sql_files(tmp_path, "data")] == ["10.sql", "a.sql", "b.sql"]


def test_unknown_phase_lists_those_with_files(tmp_path: Path):
    """The message names the folder that was looked in and the phases there are."""
    folder = tmp_path / "sql/aurora/data"
    folder.mkdir(parents=True)
    (folder / "a.sql").write_text("")
    with pytest.raises(ConfigError, match=r"unknown phase 'grants': .*sql/aurora/grants/ \(phases with files: data\)"):
        phases.sql_files(tmp_path, "grants")
