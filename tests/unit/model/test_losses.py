"""What disappears between two snapshots of a run fails the phase by name, wherever in the run it happens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etl_manager import config as configuration
from etl_manager.database.difference import Difference
from etl_manager.database.drift import losses
from etl_manager.database.snapshot import DatabaseSnapshot, TenantState
from etl_manager.errors import DataLost, PhaseSkipped
from etl_manager.progress import NullProgress
from etl_manager.provisioning.run import INSPECTION_SQL, ProvisioningRun
from etl_manager.ssm.script import SqlFileResult
from tests.unit.model.snapshots import absent, few_rows, missing_rows, printed, snapshot, state
from tests.unit.model.test_drift import applied, inserted, output, repaired, shown

ROOT = Path(__file__).parents[3]
KEY = Difference("primary-key-missing", "b", "primary key of users", "PRIMARY KEY (user_id)", "missing", table="users")
VIEW = Difference("table-kind", "b", "table users", "ordinary table", "view", table="users")
OWNER = Difference("schema-owner", "b", "schema owner", "chief", "eve")
ROWS_GONE = state("b", tables={"orders": 0, "users": 4}, differences=(few_rows("b", 4), missing_rows("b", "3")))

LOST: dict[str, tuple[TenantState, str]] = {
    "schema": (absent("b"), "lost b: schema: 5 rows in 2 tables → missing"),
    "table": (state("b", tables={"orders": 0}), "lost b: table users: 5 rows → missing"),
    "table, for a view": (state("b", tables={"orders": 0}, differences=(VIEW,)), "lost b: table users: 5 rows → view"),
    "rows": (ROWS_GONE, "lost b: rows of users: 5 → 4"),
    "a sample row, for another": (
        state("b", differences=(missing_rows("b", "3"),)),
        "lost b: sample rows of users: none missing → missing 3",
    ),
    "key": (state("b", differences=(KEY,)), "lost b: primary key of users: PRIMARY KEY (user_id) → missing"),
    "owner": (state("b", differences=(OWNER,)), "lost b: schema owner: chief → eve"),
}


@pytest.mark.parametrize("what", LOST)
def test_what_disappeared_is_lost(what):
    """Each is named once."""
    after, line = LOST[what]
    assert [str(change) for change in losses(snapshot(state("a"), state("b")), snapshot(state("a"), after))] == [line]


def test_lost_database_is_named_once():
    """What was in it is not named object by object."""
    before, after = snapshot(state("a"), state("b")), snapshot(absent("a"), absent("b"), exists=False)
    assert [str(change) for change in losses(before, after)] == ["lost database analytics: exists → missing"]


NO_LOSS = {
    "more rows": state("a", tables={"orders": 2, "users": 7}),
    "rows that a privilege hides": state(
        "a",
        tables={"orders": 0, "users": None},
        differences=(Difference("not-readable", "a", "table users", "readable", "not readable", "GRANT …", "users"),),
    ),
    "what is too much": state(
        "a", differences=(Difference("index-extra", "a", "index users.x", "absent", "x", table="users"),)
    ),
}


@pytest.mark.parametrize("case", NO_LOSS)
def test_what_is_more_or_hidden_is_not_lost(case):
    """A live tenant may grow meanwhile; what a privilege hides is a difference of another kind."""
    assert list(losses(snapshot(state("a")), snapshot(NO_LOSS[case]))) == []


def test_tables_that_are_new_and_empty_have_lost_nothing():
    """After the schema phase rows are missing, and nobody had them; before it nothing could be compared."""
    waiting = state("a", tables={"orders": 0}, pending=("0002-orders.sql",))
    after = state("a", tables={"orders": 0, "users": 0}, differences=(few_rows("a", 0), missing_rows("a", "1")))
    for before in (absent("a"), waiting, state("a", tables={"orders": 0})):
        assert list(losses(snapshot(before), snapshot(after), output(applied("a", changes=before.pending)))) == []


PUT_BACK = {
    "rows": (inserted("b", 1), ["lost b: rows of users: 5 → 4"]),
    "key": (repaired("b", KEY), ["lost b: primary key of users: exists → missing"]),
    "schema": (applied("b"), ["lost b: schema: 5 rows in 2 tables → missing"]),
}


@pytest.mark.parametrize("what", PUT_BACK)
def test_what_a_phase_put_back_had_been_lost(what):
    """It was there before the phase, and the phase says that it was missing: no repair that passes."""
    line, lost = PUT_BACK[what]
    here = snapshot(state("a"), state("b"))
    assert [str(change) for change in losses(here, here, output(line))] == lost


class Scripted:
    """Stands for the bastion: each inspection prints what the test has next, and the data phase its line."""

    def __init__(self, snapshots: tuple[DatabaseSnapshot, ...], data: str = "") -> None:
        self.snapshots, self.data = list(snapshots), data

    def run(self, _title: str, files: list[str], _database: str) -> list[SqlFileResult]:
        """Return a result for each of *files*."""
        return [
            SqlFileResult(file=file, exit_code=0, seconds=0.0, stdout=self._printed(file), stderr="") for file in files
        ]

    def _printed(self, file: str) -> str:
        if file == INSPECTION_SQL:
            return printed(self.snapshots.pop(0))
        return self.data if "/data/" in file else ""

    def attach(self, *_: Any) -> None:
        """Keep no evidence."""


HERE = snapshot(state("a"))
LESS = snapshot(state("a", tables={"orders": 0, "users": 4}, differences=(few_rows("a", 4), missing_rows("a", "3"))))
ONE_ROW = json.dumps(inserted("a", 1))


def run_of(tmp_path: Path, *snapshots: DatabaseSnapshot, data: str = "") -> ProvisioningRun:
    """Return a run of one tenant whose inspections see *snapshots*: one at its begin, one after each phase."""
    (tmp_path / "config.json").write_text(json.dumps({"tenants": ["a"]}))
    config = configuration.load(tmp_path / "config.json", ROOT)
    return ProvisioningRun(config, Scripted(snapshots, data), False, NullProgress(), lambda _: None, None)  # type: ignore[arg-type]


def test_loss_by_a_phase_fails_it(tmp_path):
    """The phase that lost rows failed, and what depends on it is not run."""
    run = run_of(tmp_path, HERE, HERE, LESS)
    run.ensure("database")
    with pytest.raises(DataLost, match=r"^lost a: rows of users: 5 → 4\n  where: during phase schema"):
        run.ensure("data")
    assert run.reports["schema"].lost == ["a: rows of users: 5 → 4"]
    with pytest.raises(PhaseSkipped, match=r"not run because phase schema failed: lost a: rows of users"):
        run.ensure("data")


def test_loss_between_two_phases_fails_the_next(tmp_path):
    """Rows that were deleted after one phase and put back by the next are no repair that passes."""
    run = run_of(tmp_path, HERE, HERE, HERE, HERE, data=ONE_ROW)
    run.ensure("schema")
    with pytest.raises(DataLost, match=r"^lost a: rows of users: 5 → 4\n  where: during phase data"):
        run.ensure("data")
    assert [change.kind for change in run.reports["data"].changes] == ["lost", "repaired"]


def test_damage_from_before_the_run_is_a_repair(tmp_path):
    """What was gone when the run began is nobody's loss in it."""
    run = run_of(tmp_path, LESS, LESS, LESS, HERE, data=ONE_ROW)
    run.ensure("data")
    assert shown(run.reports["data"]) == ["repaired a: sample rows of users: missing 3 → none missing"]


def test_snapshots_that_could_not_be_compared_show_no_loss():
    """Where the template could not be applied to a scratch schema before, what differs now was not known then."""
    before = replace(snapshot(state("b")), template=replace(HERE.template, comparable=False))
    assert list(losses(before, snapshot(state("b", differences=(KEY,))))) == []
