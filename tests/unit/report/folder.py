"""A reports folder made by hand: what a run leaves, with whatever is to be wrong about it."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from etl_manager.errors import FailureKind
from etl_manager.report import GATE, RESULTS, finalize
from etl_manager.report.results import FAILURE_KIND, SCENARIO, Changes, Record, ScenarioId
from etl_manager.report.verdict import RunVerdict

DATABASE = ScenarioId("features/1-database.feature", "The database exists")
ROWS = tuple(
    ScenarioId("features/3-data.feature", "<tenant> has rows", (("tenant", f"t{number}"),)) for number in range(3)
)
FACTS = {"target": "aws", "emulated": "no", "region": "eu-west-1", "database": "analytics", "commit": "c0ffee"}
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
            mode="provision",
            exit_status=0,
            facts=dict(FACTS),
            changes=(Changes(phase="data", created=0, unchanged=2, repaired=("t1.users: 4 → 5 rows",)),),
            promised=(DATABASE, *ROWS),
            left_out=(),
        )

    def result(self, proof: ScenarioId, status: str = "passed", message: str = "", **more: Any) -> Path:
        """Write the result of *proof* and return its file."""
        name = "".join([proof.scenario.replace("<tenant>", dict(proof.row).get("tenant", ""))])
        details = {"message": message} if message else {}
        data = {
            "uuid": str(uuid.uuid4()),
            "name": name,
            "status": status,
            "statusDetails": details,
            "start": 1,
            "stop": 2,
            "testCaseId": f"{proof.file}#{proof.scenario}",
            "fullName": f"{proof.file.replace('/', '.')}#{proof.scenario}",
            "titlePath": proof.file.split("/"),
            "parameters": [{"name": name, "value": value} for name, value in proof.row],
            "labels": [
                {"name": SCENARIO, "value": proof.id},
                {"name": "phase", "value": PHASES.get(proof.file, "gate")},
            ]
            + ([{"name": FAILURE_KIND, "value": FailureKind.DIFFERENCE.name}] if message else [])
            + [{"name": "tenant", "value": value} for name, value in proof.row if name == "tenant"],
            **more,
        }
        path = self.path / RESULTS / f"{data['uuid']}-result.json"
        path.write_text(json.dumps(data))
        return path

    def results(self, status: str = "passed", message: str = "") -> None:
        """Write a result of all that was promised; the last tenant's has *status*."""
        for proof in self.record.promised[:-1]:
            self.result(proof)
        self.result(self.record.promised[-1], status, message)

    def gate(self, *, ready: bool = True, **more: Any) -> None:
        """Write the gate's verdict."""
        status = "passed" if ready else "failed"
        verdict = {
            "ready": ready,
            "reasons": [] if ready else ["sample-data-complete failed: t2.users: expected 5, found 4"],
            "checked_at": f"{self.hour}:00:30Z",
            "prerequisites": [
                {"id": "database-exists", "title": "The database exists", "status": "passed", "detail": "analytics"},
                {"id": "sample-data-complete", "title": "Rows", "status": status, "detail": "5 rows each"},
            ],
            **more,
        }
        (self.path / GATE).write_text(json.dumps(verdict))

    def close(self, **more: Any) -> RunVerdict:
        """Close the run, with *more* known of it."""
        return finalize.close(self.path, replace(self.record, **more))[0]
