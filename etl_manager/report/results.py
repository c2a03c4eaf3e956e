"""The scenarios that the feature files promise, the record of a run, and its results.

What is promised is counted from the files' text, not from what pytest makes of it: Allure drops a result that it cannot read
without a word, and a report of nothing is green.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import md5
from pathlib import Path
from typing import Any

from etl_manager.config import Config
from etl_manager.errors import FailureKind, VerificationError
from etl_manager.redaction import redact_all
from etl_manager.report import RECORD, feature_files

Row = tuple[tuple[str, str], ...]
"""A row of an Examples table: its columns with their values, by name; empty without a table."""


@dataclass(frozen=True, order=True)
class ScenarioId:
    """One scenario of a feature file, or one row of its outline: what there must be one result of."""

    file: str
    name: str
    row: Row = ()
    id: str = field(default="", compare=False)
    """By what a result is known as its own: made of the other three, and kept where one of them is masked."""

    def __post_init__(self) -> None:
        """Make the id, unless it is known."""
        if not self.id:
            named = json.dumps([self.file, self.name, self.row])
            object.__setattr__(self, "id", hashlib.sha256(named.encode()).hexdigest()[:32])

    def __str__(self) -> str:
        """Return it as a reader finds it."""
        values = f" [{', '.join(value for _, value in self.row)}]" if self.row else ""
        return f"{self.file}: {self.name}{values}"


def row(values: Mapping[str, str]) -> Row:
    """Return *values* as a `Row`."""
    return tuple(sorted(values.items()))


def expected_scenarios(root: Path, config: Config) -> list[ScenarioId]:
    """Return what the feature files under *root* promise for the tenants of *config*.

    A file that cannot be parsed promises one scenario, which no result will be of.
    """
    found: list[ScenarioId] = []
    for path in sorted((root / "features").rglob("*.feature")):
        file = path.relative_to(root).as_posix()
        try:
            feature = feature_files.parse(path.read_text(encoding="utf-8"))
        except (feature_files.NotGherkinError, UnicodeDecodeError):
            feature = None
        if feature is None:
            found.append(ScenarioId(file, "(a file that cannot be read)"))
            continue
        found += (
            ScenarioId(file, scenario["name"], row(values))
            for scenario, tags in feature_files.scenarios(feature)
            if feature_files.runs(tags, config)
            for values in feature_files.rows(scenario, tags, config)
        )
    return found


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
