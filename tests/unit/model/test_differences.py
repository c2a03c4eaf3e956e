"""What no run mends is told with what helps; what a run mends by itself is not among it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etl_manager import config as configuration
from etl_manager.database.drift import left_as_it_is
from tests.unit.model.test_drift import NOTHING, SOUND, look

ROOT = Path(__file__).parents[3]
TENANT = replace(SOUND, other_rows=0)
GRANT = "GRANT eve TO chief"

LEFT: dict[str, tuple[dict[str, Any], str]] = {
    "another's schema": (
        {"schema_owner": "eve", "denied": ("own-schema",), "remedy": GRANT},
        f"schema a: belongs to eve, not to chief; what helps: {GRANT}",
    ),
    "another's table": (
        {"table_owner": "eve", "denied": ("own-table",), "remedy": GRANT},
        f"a.users: belongs to eve, not to chief; what helps: {GRANT}",
    ),
    "no table, and none may be made": (
        {"table_exists": False, "rows": None, "denied": ("create-table",), "remedy": GRANT},
        f"a.users: missing, and chief may not make it; what helps: {GRANT}",
    ),
    "not readable": (
        {"rows": None, "sample_rows": None, "denied": ("read",), "remedy": GRANT},
        f"a.users: not readable by chief; what helps: {GRANT}",
    ),
    "row-level security": (
        {"rows": None, "sample_rows": None, "denied": ("see-all-rows",), "remedy": "ALTER …"},
        "a.users: row-level security may hide rows from chief; what helps: ALTER …",
    ),
    "a view": (
        {"table_exists": False, "rows": None, "instead_of_table": "view"},
        "a.users: is no ordinary table, but: view; correct it by hand",
    ),
    "unlogged": ({"unlogged": True}, "a.users: is unlogged, and so is not replicated; ALTER TABLE a.users SET LOGGED"),
    "another key": ({"primary_key": ("email",)}, "a.users: its primary key is email, not user_id; correct it by hand"),
    "columns": (
        {"columns_ok": False, "sample_rows": None, "other_rows": None},
        "a.users: its columns are not those every tenant has",
    ),
    "altered rows": ({"sample_rows": 3}, "a.users: 2 sample rows altered; correct it by hand"),
    "other rows": (
        {"rows": 6, "other_rows": 1},
        "a.users: 1 row beside the sample; accept them by sampleData.otherRows",
    ),
    "rows that may not be inserted": (
        {"rows": 4, "sample_rows": 4, "denied": ("insert",), "remedy": GRANT},
        f"a.users: 1 sample row missing, and chief may insert none; what helps: {GRANT}",
    ),
}
MENDED: dict[str, Any] = {
    "sound": TENANT,
    "nothing there": NOTHING,
    "a row missing": replace(TENANT, rows=4, sample_rows=4),
    "no key": replace(TENANT, primary_key=None),
    "an owner that may be set": replace(TENANT, table_owner="eve", schema_owner="eve"),
}


def config_of(folder: Path, **settings: Any) -> configuration.Config:
    """Return a configuration with *settings*."""
    (folder / "config.json").write_text(json.dumps(settings))
    return configuration.load(folder / "config.json", ROOT)


@pytest.mark.parametrize("case", LEFT)
def test_what_is_left_is_told_with_what_helps(tmp_path, case):
    """One line, of that thing alone."""
    change, line = LEFT[case]
    [told] = map(str, left_as_it_is(config_of(tmp_path), look(a=replace(TENANT, **change), b=TENANT)))
    assert told.startswith(line)


@pytest.mark.parametrize("case", MENDED)
def test_what_a_run_mends_is_not_told(tmp_path, case):
    """The plan foretells it as created or repaired instead."""
    assert list(left_as_it_is(config_of(tmp_path), look(a=MENDED[case]))) == []


def test_database_and_strays(tmp_path):
    """A database of another encoding, and schemas nobody configured."""
    found = replace(look(a=TENANT), encoding="LATIN1", strays=("tenant_z",))
    assert [str(difference).partition(";")[0] for difference in left_as_it_is(config_of(tmp_path), found)] == [
        "database analytics: its encoding is LATIN1, not UTF8",
        "schema tenant_z: not configured",
    ]


def test_other_rows_that_are_accepted(tmp_path):
    """A live tenant's own rows are nothing to mend."""
    config = config_of(tmp_path, sampleData={"otherRows": "accept"})
    assert list(left_as_it_is(config, look(a=replace(TENANT, rows=9, other_rows=4)))) == []
