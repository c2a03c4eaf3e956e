"""Phases: their order, and their SQL files."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl_manager.config import phases
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
        (["isolation"], ["database", "schema", "data", "isolation", "verification"]),
        (["extensions", "schema", "grants"], ["database", "extensions", "schema", "data", "grants", "verification"]),
    ],
)
def test_left_out_phases_are_put_in_their_places(named, order):
    """The order of the file holds; what it leaves out comes right after the step before it, and verification last."""
    assert phases.execution_order(named) == order
    assert list(phases.order_errors(named)) == []


@pytest.mark.parametrize(
    "named", [["schema", "database"], ["verification", "data"], ["verification", "grants"], ["isolation", "schema"]]
)
def test_order_that_cannot_be_run_is_told(named):
    """The four steps have one order, and nothing comes after the proof."""
    [problem] = phases.order_errors(named)
    assert problem.startswith("aurora.phases")


def in_folder(root: Path, *names: str) -> Path:
    """Make files in the folder of the phase data."""
    folder = root / "sql/aurora/data"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("")
    return folder


def test_files_of_a_phase_run_in_natural_order(tmp_path: Path):
    """Every .sql file of the folder, numbers by their value; nothing that an editor or macOS left there."""
    ordered = [
        "1.sql",
        "2_b.sql",
        "10.sql",
        "-x.sql",
        "V1__a.sql",
        "V1.1__b.sql",
        "V1_2__c.sql",
        "V2__d.sql",
        "V10__e.sql",
        "a.sql",
    ]
    litter = ["note.md", "c.sql.bak", "#x.sql#", "x.sql~", ".x.sql.swp", "._a.sql"]
    folder = in_folder(tmp_path, *reversed(ordered), *litter)
    (folder / ".#a.sql").symlink_to("somebody@host.123")
    assert [file.name for file in phases.sql_files(tmp_path, "data")] == ordered


@pytest.mark.parametrize("name", ["a b.sql", "表.sql", ".a.sql", "a.SQL", "a(1).sql", "a\n.sql"])
def test_name_that_would_not_be_run_is_told(tmp_path: Path, name: str):
    """The engine takes plain names only; what looks like SQL and would not be run stops the run."""
    in_folder(tmp_path, name, "b.sql")
    with pytest.raises(ConfigError, match="would not be run: a name is made of"):
        phases.sql_files(tmp_path, "data")


def test_what_is_no_file_of_the_project_is_told(tmp_path: Path):
    """A folder called like a file, a link that leads nowhere, and a phase that is a link; a link inside sql/ is a file."""
    folder = in_folder(tmp_path, "a.sql")
    (folder / "b.sql").symlink_to("a.sql")
    assert [file.name for file in phases.sql_files(tmp_path, "data")] == ["a.sql", "b.sql"]
    (folder / "c.sql").mkdir()
    (folder / "d.sql").symlink_to("nowhere")
    (tmp_path / "sql/aurora/linked").symlink_to("data")
    with pytest.raises(ConfigError, match=r"c\.sql is no file; .*d\.sql is a link that leads nowhere"):
        phases.sql_files(tmp_path, "data")
    with pytest.raises(ConfigError, match=r"sql/aurora/linked is a link"):
        phases.sql_files(tmp_path, "linked")


def test_unknown_phase_lists_those_with_files(tmp_path: Path):
    """The message names the folder that was looked in and the phases there are."""
    folder = tmp_path / "sql/aurora/data"
    folder.mkdir(parents=True)
    (folder / "a.sql").write_text("")
    with pytest.raises(ConfigError, match=r"unknown phase 'grants': .*sql/aurora/grants/ \(phases with files: data\)"):
        phases.sql_files(tmp_path, "grants")
