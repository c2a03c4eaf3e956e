"""What disappears between two snapshots of a run fails the phase by name, wherever in the run it happens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from etl_manager import config as configuration
from etl_manager.database.difference import Difference
from etl_manager.database.drift import losses
from etl_manager.database.snapshot import DatabaseSnapshot, TenantState
from etl_manager.errors import DataLost, PhaseSkipped, SqlError
from etl_manager.progress import NullProgress
from etl_manager.provisioning.run import AGAIN, INSPECTION_SQL, ProvisioningRun
from etl_manager.provisioning.sql_runner import SqlRunner
from etl_manager.ssm.script import CommandResult, SqlFileResult
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

    instance_id, workspace_digest = "i-1", "d"

    def __init__(self, snapshots: tuple[DatabaseSnapshot, ...], data: str = "", failing: str = "") -> None:
        self.snapshots, self.data, self.failing = list(snapshots), data, failing
        self.commands: list[tuple[str, int, bool]] = []

    def run_sql(
        self, files: list[str], _connection: object, title: str, *, phases: int, inspection: str, closing: bool
    ) -> tuple[CommandResult, list[SqlFileResult]]:
        """Return a result for each of *files*, up to the first that fails."""
        self.commands.append((title, phases, closing))
        results = []
        for file in files:
            failed = bool(self.failing) and self.failing in file
            message = f"psql:{file}:1: ERROR:  refused" if failed else ""
            printed_here = "" if failed else self._printed(file)
            results.append(
                SqlFileResult(file=file, exit_code=3 * failed, seconds=0.0, stdout=printed_here, stderr=message)
            )
            if failed:
                seen = self._printed(inspection)
                results.append(SqlFileResult(file=inspection, exit_code=0, seconds=0.0, stdout=seen, stderr=""))
                break
        whole = CommandResult(
            command_id="c-1", instance_id="i-1", status="Success", exit_status=0, stdout=b"", stderr="", seconds=0.0
        )
        return whole, results

    def _printed(self, file: str) -> str:
        if file == INSPECTION_SQL:
            return printed(self.snapshots.pop(0))
        return self.data if "/data/" in file else ""


HERE = snapshot(state("a"))
LESS = snapshot(state("a", tables={"orders": 0, "users": 4}, differences=(few_rows("a", 4), missing_rows("a", "3"))))
IAM = {"credentials": "iam", "sslmode": "require"}
ONE_ROW = json.dumps(inserted("a", 1))


def run_of(
    tmp_path: Path,
    *snapshots: DatabaseSnapshot,
    data: str = "",
    failing: str = "",
    wanted: tuple[str, ...] = (),
    iam: bool = False,
) -> ProvisioningRun:
    """Return a run of one tenant whose inspections see *snapshots*: one at its begin, one after each phase."""
    (tmp_path / "config.json").write_text(json.dumps({"tenants": ["a"], "aurora": IAM if iam else {}}))
    config = configuration.load(tmp_path / "config.json", ROOT)
    bastion = Scripted(snapshots, data, failing)
    sql_runner = SqlRunner(config, bastion, None, NullProgress(), lambda *_: None)  # type: ignore[arg-type]
    return ProvisioningRun(config, sql_runner, False, NullProgress(), lambda _: None, None, wanted)  # type: ignore[arg-type]


def commands(run: ProvisioningRun) -> list[tuple[str, int, bool]]:
    """Return title, phases and whether it closes the run of each command that was sent."""
    return run.sql_runner.bastion.commands  # type: ignore[attr-defined, no-any-return]


def test_phases_that_are_wanted_go_in_one_command(tmp_path):
    """The first that is asked for takes the others along; each has its own report."""
    run = run_of(tmp_path, HERE, HERE, HERE, HERE, wanted=("database", "data"))
    for phase in ("database", "schema", "data"):
        assert phase not in run.reports
        run.ensure(phase)
        assert phase in run.reports
    assert commands(run) == [("phases database to data", 3, False)]


def test_with_iam_each_phase_is_a_command(tmp_path):
    """A token is valid for 15 minutes: one of an earlier phase may be too old."""
    run = run_of(tmp_path, HERE, HERE, HERE, HERE, wanted=("database", "data"), iam=True)
    run.ensure("data")
    assert [title for title, _, _ in commands(run)] == ["phase database", "phase schema", "phase data"]


def test_phases_before_one_that_fails_are_done(tmp_path):
    """Of one command, what ran before the failure stands, the failing phase fails by its own name and tells what it did, the others are not run."""
    run = run_of(tmp_path, HERE, HERE, LESS, failing="/schema/", wanted=("data",))
    run.ensure("database")
    with pytest.raises(SqlError, match=r"during phase schema, .*SQL sql/aurora/schema/create-tenant-schemas.sql:1"):
        run.ensure("schema")
    with pytest.raises(PhaseSkipped, match="not run because phase schema failed"):
        run.ensure("data")
    assert len(commands(run)) == 1
    assert run.reports["schema"].lost == ["a: rows of users: 5 → 4"]


def test_repetition_after_a_verification_that_fails_fails_by_its_name(tmp_path):
    """Of one command, nothing is repeated once the verification has failed: that is what is told, and not a fault of the suite's."""
    run = run_of(tmp_path, HERE, HERE, HERE, HERE, HERE, failing="/verification/", wanted=("data", AGAIN))
    run.ensure("data")
    with pytest.raises(SqlError, match=r"during phase verification, .*SQL sql/aurora/verification/verify-setup.sql:1"):
        run.rerun_all_phases()
    with pytest.raises(PhaseSkipped, match="not run because"):
        run.ensure("verification")
    assert len(commands(run)) == 1


def test_what_ran_after_a_loss_is_reported_too(tmp_path):
    """The command went on: what the data phase changed is no secret."""
    run = run_of(tmp_path, HERE, HERE, LESS, HERE, data=ONE_ROW, wanted=("data",))
    with pytest.raises(DataLost, match="during phase schema"):
        run.ensure("data")
    assert [change.kind for change in run.reports["data"].changes] == ["repaired"]
    with pytest.raises(PhaseSkipped, match="not run because phase schema failed"):
        run.ensure("data")


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
