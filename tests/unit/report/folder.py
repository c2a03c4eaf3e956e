"""A reports folder made by hand: what a run leaves, with whatever is to be wrong about it."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from etl_manager.errors import FailureKind
from etl_manager.gate.verdict import PhaseChanges, PrerequisiteResult, Scenarios
from etl_manager.report import GATE, RESULTS
from etl_manager.report.feature_files import ScenarioId
from etl_manager.report.folder import close
from etl_manager.report.results import FAILURE_KIND, SCENARIO, Record
from etl_manager.report.verdict import RunVerdict
from tests.unit.gate.verdicts import made_verdict

DATABASE = ScenarioId("features/1-database.feature", "The database exists")
ROWS = tuple(
    ScenarioId("features/3-data.feature", "<tenant> has rows", (("tenant", f"t{number}"),)) for number in range(3)
)
METADATA = {"target": "aws", "region": "us-east-1", "database": "analytics", "commit": "c0ffee"}
REPAIR = "repaired t1.users: 4 → 5 rows"
PHASES = {DATABASE.file: "database", ROWS[0].file: "data"}


class Folder:
    """Makes results, a gate's verdict and the record of a run, and closes it."""

    def __init__(self, path: Path, number: int = 1) -> None:
        """Begin the run *number* in *path*, an hour after the one before."""
        self.path = path
        (path / RESULTS).mkdir(parents=True, exist_ok=True)
        for old in (path / RESULTS).iterdir():
            old.unlink()
        self.hour = f"2026-03-01T{number:02}"
        self.record = Record(
            run_id=f"run{number:04}",
            started=f"{self.hour}:00:00+00:00",
            finished=f"{self.hour}:01:00+00:00",
            exit_status=0,
            metadata=dict(METADATA),
            expected=(DATABASE, *ROWS),
            deselected=(),
        )

    def result(self, scenario: ScenarioId, status: str = "passed", message: str = "", **more: Any) -> Path:
        """Write the result of *scenario* and return its file."""
        name = "".join([scenario.name.replace("<tenant>", dict(scenario.row).get("tenant", ""))])
        details = {"message": message} if message else {}
        data = {
            "uuid": str(uuid.uuid4()),
            "name": name,
            "status": status,
            "statusDetails": details,
            "start": 1,
            "stop": 2,
            "testCaseId": f"{scenario.file}#{scenario.name}",
            "fullName": f"{scenario.file.replace('/', '.')}#{scenario.name}",
            "titlePath": scenario.file.split("/"),
            "parameters": [{"name": name, "value": value} for name, value in scenario.row],
            "labels": [
                {"name": SCENARIO, "value": scenario.id},
                {"name": "phase", "value": PHASES.get(scenario.file, "gate")},
            ]
            + ([{"name": FAILURE_KIND, "value": FailureKind.DIFFERENCE.name}] if message else [])
            + [{"name": "tenant", "value": value} for name, value in scenario.row if name == "tenant"],
            **more,
        }
        path = self.path / RESULTS / f"{data['uuid']}-result.json"
        path.write_text(json.dumps(data))
        return path

    def results(self, status: str = "passed", message: str = "") -> None:
        """Write a result of all that was promised; the last tenant's has *status*."""
        for scenario in self.record.expected[:-1]:
            self.result(scenario)
        self.result(self.record.expected[-1], status, message)

    def gate(self, *, ready: bool = True, **more: Any) -> None:
        """Write the gate's verdict."""
        status = "passed" if ready else "failed"
        verdict = made_verdict(
            ready=ready,
            reasons=[] if ready else ["sample-data-complete failed: t2.users: expected 5, found 4"],
            run_id=self.record.run_id,
            database="analytics",
            tenants=["t0", "t1", "t2"],
            prerequisites=[
                PrerequisiteResult(
                    id="database-exists", title="The database exists", status="passed", detail="analytics"
                ),
                PrerequisiteResult(id="sample-data-complete", title="Rows", status=status, detail="5 rows each"),
            ],
            phases=[PhaseChanges(phase="data", created=0, unchanged=2, repaired=(REPAIR,))],
            scenarios=Scenarios(promised=4, passed=3 + int(ready), failed=int(not ready), not_run=0, not_applicable=0),
        )
        (self.path / GATE).write_text(verdict.model_copy(update=more).model_dump_json())

    def close(self, **more: Any) -> RunVerdict:
        """Close the run, with *more* known of it."""
        return close(self.path, replace(self.record, **more))[0]
