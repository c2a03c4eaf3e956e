"""The record of a run, its results, and ``reports/history.jsonl``: how each scenario ended in the last runs.

The history has a line a run, in the form that Allure 3 reads.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import md5
from pathlib import Path
from typing import Any

from etl_manager.errors import FailureKind, VerificationError
from etl_manager.redaction import redact_all
from etl_manager.report import HISTORY, RECORD
from etl_manager.report.feature_files import Row, ScenarioId

EXIT_STATUSES = {
    0: "all passed",
    1: "some failed",
    2: "interrupted",
    3: "internal error",
    4: "wrong use",
    5: "nothing run",
}
"""pytest's exit codes."""


VERSION = 2
"""Of the record."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A run.

    Attributes:
        started: In UTC, ISO 8601, as *finished*.
        exit_status: pytest's.
        metadata: Where it took place and what it was made of, name → value.
        expected: All scenarios of the feature files.
        deselected: Those of them that were not selected for this run.
    """

    run_id: str
    started: str
    finished: str
    exit_status: int
    metadata: dict[str, str]
    expected: tuple[ScenarioId, ...]
    deselected: tuple[ScenarioId, ...]

    @property
    def place(self) -> str:
        """Target, region and database: only runs with the same ones are compared."""
        return " ".join(self.metadata.get(name, "") for name in ("target", "region", "database"))

    def write(self, reports: Path) -> None:
        """Write it into the folder *reports*."""
        data = asdict(self) | {
            "schema_version": VERSION,
            "expected": list(_folded(self.expected)),
            "deselected": list(_folded(self.deselected)),
        }
        (reports / RECORD).write_text(
            json.dumps(redact_all(data), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    @classmethod
    def read(cls, reports: Path) -> Record:
        """Read the record in the folder *reports*.

        Raises:
            VerificationError: When there is none, or it is none of this version.
        """
        where = {"file": reports / RECORD}
        try:
            data = json.loads((reports / RECORD).read_bytes())
            version = data.pop("schema_version")
            expected, deselected = (tuple(_unfolded(data.pop(name))) for name in ("expected", "deselected"))
            record = cls(expected=expected, deselected=deselected, **data)
        except OSError as error:
            raise VerificationError(
                f"There is no record of a run: {error.strerror}", context=where, hint="A run makes it: make provision"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise VerificationError(f"The record of the run cannot be read: {error!r}", context=where) from error
        if version != VERSION:
            raise VerificationError(f"The record of the run is of version {version}", context=where)
        return record


def _folded(scenarios: tuple[ScenarioId, ...]) -> Iterator[dict[str, Any]]:
    """Yield an entry a scenario, so that a thousand rows of it name file and columns once."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[ScenarioId]] = defaultdict(list)
    for scenario in scenarios:
        groups[scenario.file, scenario.name, tuple(name for name, _ in scenario.row)].append(scenario)
    for (file, name, columns), group in groups.items():
        yield {
            "file": file,
            "scenario": name,
            "columns": columns,
            "rows": [[value for _, value in scenario.row] for scenario in group],
            "ids": [scenario.id for scenario in group],
        }


def _unfolded(entries: list[dict[str, Any]]) -> Iterator[ScenarioId]:
    for entry in entries:
        for values, scenario_id in zip(entry["rows"], entry["ids"], strict=True):
            row: Row = tuple(zip(entry["columns"], values, strict=True))
            yield ScenarioId(entry["file"], entry["scenario"], row, scenario_id)


SCENARIO, FAILURE_KIND, PREREQUISITE = "scenario-id", "failure-kind", "prerequisite"
"""Labels of our own, since Allure rewrites every name it shows: the `ScenarioId`, the `FailureKind` by its name, and the
prerequisite that a scenario proves."""
BAD = ("failed", "broken")
STATUSES = ("failed", "broken", "skipped", "passed")
"""How a scenario may end, the worst first."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One scenario, as it ended.

    Attributes:
        scenario: The scenario of the feature file, or the row of it; of anything else, where Allure says that it is.
        uuid: Allure's id of this result.
        title: The scenario's name, placeholders filled in.
        status: ``passed``, ``failed``, ``broken`` or ``skipped``.
        message: Why it did not pass; else empty.
        kind: What kind of failure ended it, where it is known.
        start: In milliseconds since 1970, as *stop*.
        attachments: Name and file of each, in order.
        parameters: Name and value of those that tell it apart from other rows, in order.
        test_case: The id by which Allure's library knows the scenario, whatever the row.
    """

    file: str
    scenario: ScenarioId
    uuid: str
    title: str
    status: str
    message: str
    kind: FailureKind | None
    start: int
    stop: int
    labels: Mapping[str, str]
    attachments: tuple[tuple[str, str], ...]
    parameters: tuple[tuple[str, str], ...]
    test_case: str

    @property
    def report_id(self) -> str:
        """The id by which Allure 3's page shows it: its address there is ``#`` and this."""
        return _md5(self.uuid)

    @property
    def history_id(self) -> str:
        """The id by which Allure 3 knows it from run to run."""
        parameters = ",".join(f"{name}:{value}" for name, value in self.parameters)
        return f"{_md5(self.test_case)}.{_md5(parameters)}"


@dataclass(frozen=True)
class Results:
    """All results of a run, and what is wrong with the folder they are in."""

    found: tuple[Result, ...]
    unreadable: tuple[str, ...]
    missing_attachments: tuple[str, ...]


def read(directory: Path, expected: Iterable[ScenarioId]) -> Results:
    """Read the results in *directory*, each of one of the *expected* scenarios or of something else.

    A folder that is not there has none.
    """
    known = {scenario.id: scenario for scenario in expected}
    found, unreadable, missing = [], [], []
    for path in sorted(directory.glob("*-result.json")):
        try:
            result = _result(path.name, json.loads(path.read_bytes()), known)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            unreadable.append(path.name)
            continue
        found.append(result)
        missing += [
            f"{name} of {result.title}" for name, file in result.attachments if not (directory / file).is_file()
        ]
    found.sort(key=lambda result: (result.start, result.scenario))
    return Results(tuple(found), tuple(unreadable), tuple(missing))


def _result(file: str, data: Mapping[str, Any], known: Mapping[str, ScenarioId]) -> Result:
    status = data["status"]
    if status not in STATUSES:
        raise ValueError(status)
    details = data.get("statusDetails", {})
    labels = {item["name"]: item["value"] for item in data.get("labels", [])}
    return Result(
        file=file,
        scenario=known.get(labels.get(SCENARIO, "")) or ScenarioId("/".join(data["titlePath"]), data["name"]),
        uuid=data["uuid"],
        title=data["name"],
        status=status,
        message=details.get("message", ""),
        kind=FailureKind.__members__.get(labels.get(FAILURE_KIND, "")),
        start=data["start"],
        stop=data["stop"],
        labels=labels,
        attachments=tuple(
            (item["name"], item["source"]) for node in [data, *_steps(data)] for item in node.get("attachments", [])
        ),
        parameters=tuple(
            sorted((item["name"], item["value"]) for item in data.get("parameters", []) if not item.get("excluded"))
        ),
        test_case=data["testCaseId"],
    )


def _steps(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for step in node.get("steps", []):
        yield step
        yield from _steps(step)


def _md5(text: str) -> str:
    """Return the digest that Allure makes its ids of; nothing is protected by it."""
    return md5(text.encode(), usedforsecurity=False).hexdigest()


HISTORY_LIMIT = 10
"""Runs that the history keeps."""
_LONGEST_MESSAGE = 300

Line = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """What is different from the runs before. *previous* is when the last of them ended; empty without one."""

    previous: str = ""
    previous_commit: str = ""
    broken: tuple[Result, ...] = ()
    mended: tuple[Result, ...] = ()
    new: tuple[Result, ...] = ()
    gone: tuple[str, ...] = ()


def history_lines(reports: Path) -> list[Line]:
    """Return the runs of the history in the folder *reports*, the oldest first; what cannot be read is left out."""
    path = reports / HISTORY
    found = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            line = json.loads(text)
            line["testResults"], line["place"], line["uuid"]
        except (ValueError, KeyError, TypeError):
            continue
        found.append(line)
    return found


def append_to_history(reports: Path, record: Record, results: Iterable[Result]) -> None:
    """Add this run to the history in the folder *reports*, and forget the oldest beyond `HISTORY_LIMIT`.

    What is known to be secret now is masked in the older lines too.
    """
    kept = [*(line for line in history_lines(reports) if line["uuid"] != record.run_id), _history_line(record, results)]
    (reports / HISTORY).write_text(history_text(redact_all(kept[-HISTORY_LIMIT:])), encoding="utf-8")


def history_text(runs: Iterable[Line]) -> str:
    """Return *runs* as the file has them."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in runs)


def earlier_runs(reports: Path, record: Record) -> list[Line]:
    """Return the earlier runs of the same place as *record*, the oldest first."""
    known = history_lines(reports)
    ids = [line["uuid"] for line in known]
    earlier = known[: ids.index(record.run_id)] if record.run_id in ids else known
    return [line for line in earlier if line["place"] == record.place]


def compare(earlier: list[Line], results: Iterable[Result], *, whole: bool) -> Comparison:
    """Compare *results* with *earlier* runs, scenario by scenario.

    A scenario is compared with the last run in which it passed or failed. What is gone is named only after a *whole* run.
    """
    if not earlier:
        return Comparison()
    last = _last_known(earlier)
    broken, mended, new, present = [], [], [], set()
    for result in results:
        present.add(result.history_id)
        before = last.get(result.history_id)
        if before is None:
            new.append(result)
        elif result.status in BAD and before["status"] == "passed":
            broken.append(result)
        elif result.status == "passed" and before["status"] in BAD:
            mended.append(result)
    gone = [item["name"] for key, item in earlier[-1]["testResults"].items() if whole and key not in present]
    return Comparison(
        previous=earlier[-1].get("finished", ""),
        previous_commit=earlier[-1].get("commit", ""),
        broken=tuple(broken),
        mended=tuple(mended),
        new=tuple(new),
        gone=tuple(gone),
    )


def _last_known(earlier: list[Line]) -> Mapping[str, Mapping[str, Any]]:
    """Return how each scenario ended when it last ran; one that was only ever skipped counts as known."""
    last: dict[str, Mapping[str, Any]] = {}
    for line in earlier:
        for key, item in line["testResults"].items():
            if item["status"] != "skipped" or key not in last:
                last[key] = item
    return last


def _history_line(record: Record, results: Iterable[Result]) -> Line:
    entries = {result.history_id: dict(_history_entry(result)) for result in results}
    return {
        "uuid": record.run_id,
        "name": record.metadata.get("target", ""),
        "timestamp": round(datetime.fromisoformat(record.finished).timestamp() * 1000),
        "knownTestCaseIds": sorted({key.partition(".")[0] for key in entries}),
        "testResults": entries,
        "metrics": {},
        "url": "",
        "place": record.place,
        "finished": record.finished,
        "commit": record.metadata.get("commit", ""),
    }


def _history_entry(result: Result) -> Iterator[tuple[str, Any]]:
    yield "id", result.report_id
    yield "name", result.title
    yield "status", result.status
    if result.message and result.status in BAD:
        yield "message", result.message[:_LONGEST_MESSAGE]
    yield "start", result.start
    yield "stop", result.stop
    yield "duration", max(0, result.stop - result.start)  # the clock may have been set back
    yield "url", ""
    yield "historyId", result.history_id
