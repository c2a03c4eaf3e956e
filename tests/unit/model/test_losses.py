"""What vanishes between two looks of a run fails the phase by name, wherever in the run it happens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etl_manager import config as configuration
from etl_manager.database.drift import compare, losses
from etl_manager.database.snapshot import TenantState
from etl_manager.errors import DataLost, PhaseSkipped
from etl_manager.progress import NullProgress
from etl_manager.provisioning.run import INSPECTION_SQL, ProvisioningRun
from etl_manager.ssm.script import SqlFileResult
from tests.unit.model.test_drift import NOTHING, SOUND, look, told
from tests.unit.model.test_look import DATABASE, TENANT, printed

ROOT = Path(__file__).parents[3]
ROWS_GONE = replace(SOUND, rows=4, sample_rows=4)

LOST: dict[str, tuple[TenantState, str]] = {
    "schema": (NOTHING, "lost schema b: exists, b.users: 5 rows → missing"),
    "table": (replace(NOTHING, schema_exists=True, schema_owner="chief"), "lost b.users: 5 rows → missing"),
    "table, for a view": (
        replace(NOTHING, schema_exists=True, schema_owner="chief", instead_of_table="view"),
        "lost b.users: 5 rows → view",
    ),
    "rows": (ROWS_GONE, "lost b.users: 5 → 4 rows"),
    "all rows": (replace(SOUND, rows=0, sample_rows=0), "lost b.users: 5 → 0 rows"),
    "a sample row, for another": (replace(SOUND, sample_rows=4, other_rows=1), "lost b.users sample rows: 5 → 4"),
    "key": (replace(SOUND, primary_key=None), "lost b.users primary key: user_id → missing"),
    "schema's owner": (replace(SOUND, schema_owner="eve"), "lost schema b owner: chief → eve"),
    "table's owner": (replace(SOUND, table_owner="eve"), "lost b.users owner: chief → eve"),
}


@pytest.mark.parametrize("phase", ["database", "schema", "data", "grants", "verification"])
@pytest.mark.parametrize("what", LOST)
def test_what_vanished_is_lost_in_every_phase(phase, what):
    """It is neither repaired nor left alone, whichever phase it belongs to."""
    after, line = LOST[what]
    before = look(a=SOUND, b=SOUND)
    report = compare(phase, before, look(a=SOUND, b=after), before)
    assert told(report) == [line]
    assert report.lost == [line.removeprefix("lost ")]
    assert any(line in shown for shown in report.lines())


def test_lost_database_is_told_once():
    """What was in it is not told object by object."""
    assert [str(change) for change in losses(look(a=SOUND, b=SOUND), look(exists=False, a=NOTHING, b=NOTHING))] == [
        "lost database analytics: exists → missing"
    ]


@pytest.mark.parametrize("rows", [None, 7])
def test_rows_that_became_more_or_cannot_be_seen_any_more_are_not_lost(rows):
    """A live tenant may grow meanwhile; what a privilege hides is a finding of another name."""
    before, after = look(a=SOUND), look(a=replace(SOUND, rows=rows, sample_rows=None if rows is None else 5))
    assert told(compare("data", before, after, before)) == []


class Scripted:
    """Stands for the bastion: each look prints what the test has next."""

    def __init__(self, *looks: list[dict[str, Any]]) -> None:
        self.looks = list(looks)

    def run(self, _title: str, files: list[str], _database: str) -> list[SqlFileResult]:
        """Return a step for each of *files*."""
        return [
            SqlFileResult(
                file=file, exit_code=0, seconds=0.0, stdout=self._next() if file == INSPECTION_SQL else "", stderr=""
            )
            for file in files
        ]

    def _next(self) -> str:
        tenants = self.looks.pop(0)
        return printed(DATABASE, *tenants, {"kind": "end", "tenants": len(tenants)})

    def attach(self, *_: Any) -> None:
        """Keep no evidence."""


HERE = [TENANT]
LESS = [TENANT | {"rows": 4, "sample_rows": 4}]


def run_of(tmp_path: Path, *looks: list[dict[str, Any]]) -> ProvisioningRun:
    """Return a run of one tenant whose looks see *looks*."""
    (tmp_path / "config.json").write_text(json.dumps({"tenants": ["tenant_a"]}))
    config = configuration.load(tmp_path / "config.json", ROOT)
    return ProvisioningRun(config, Scripted(*looks), False, NullProgress(), lambda _: None, None)  # type: ignore[arg-type]


def test_loss_by_a_phase_fails_it(tmp_path):
    """The phase that lost rows failed, and what depends on it is not run."""
    run = run_of(tmp_path, HERE, HERE, HERE, LESS)
    run.ensure("database")
    with pytest.raises(DataLost, match=r"^lost tenant_a\.users: 5 → 4 rows\n  where: during phase schema"):
        run.ensure("data")
    assert run.reports["schema"].lost == ["tenant_a.users: 5 → 4 rows"]
    with pytest.raises(PhaseSkipped, match=r"not run because phase schema failed: lost tenant_a\.users"):
        run.ensure("data")


def test_loss_between_two_phases_fails_the_next(tmp_path):
    """Rows that were deleted after one phase and put back by the next are no repair that passes."""
    run = run_of(tmp_path, HERE, HERE, HERE, HERE, LESS, HERE)
    run.ensure("schema")
    with pytest.raises(DataLost, match=r"^lost tenant_a\.users: 5 → 4 rows\n  where: during phase data"):
        run.ensure("data")
    assert [change.kind for change in run.reports["data"].changes] == ["lost", "repaired"]


def test_damage_from_before_the_run_is_a_repair(tmp_path):
    """What was gone when the run began is nobody's loss in it."""
    run = run_of(tmp_path, LESS, LESS, LESS, LESS, LESS, HERE)
    run.ensure("data")
    assert told(run.reports["data"]) == ["repaired tenant_a.users: 4 → 5 rows"]
