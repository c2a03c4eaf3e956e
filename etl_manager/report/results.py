"""Allure's results as they lie on disk: what the report will show, and what it would drop without a word."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

from etl_manager.report.promised import Proof

PROOF = "scenario-id"
"""The label that says which scenario, and which row of it, a result is of: Allure rewrites every name it shows."""
BAD = ("failed", "broken")
STATUSES = ("failed", "broken", "skipped", "passed")
"""How a scenario may end, the worst first."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One scenario, as it ended.

    Attributes:
        file: The file it is in.
        proof: The scenario of the feature file, or the row of it, that it is the result of; of anything else, where
            Allure says that it is.
        uuid: Allure's id of this result.
        title: The scenario's name, placeholders filled in.
        status: ``passed``, ``failed``, ``broken`` or ``skipped``.
        message: Why it did not pass; else empty.
        trace: The same, with the step and the kind of failure.
        start: When it began, in milliseconds since 1970.
        stop: When it ended.
        labels: Name → value.
        steps: Their sentences with their statuses.
        attachments: Name and file of each, in order.
        parameters: Name and value of those that tell it apart from other rows, in order.
        test_case: The id by which Allure's library knows the scenario, whatever the row.
    """

    file: str
    proof: Proof
    uuid: str
    title: str
    status: str
    message: str
    trace: str
    start: int
    stop: int
    labels: Mapping[str, str]
    steps: tuple[tuple[str, str], ...]
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


def read(directory: Path, promised: Iterable[Proof]) -> Results:
    """Read the results in *directory*, each of one of the *promised* or of something else.

    A folder that is not there has none.
    """
    known = {proof.id: proof for proof in promised}
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
    found.sort(key=lambda result: (result.start, result.proof))
    return Results(tuple(found), tuple(unreadable), tuple(missing))


def _result(file: str, data: Mapping[str, Any], known: Mapping[str, Proof]) -> Result:
    status = data["status"]
    if status not in STATUSES:
        raise ValueError(status)
    details = data.get("statusDetails", {})
    labels = {item["name"]: item["value"] for item in data.get("labels", [])}
    steps = list(_steps(data))
    return Result(
        file=file,
        proof=known.get(labels.get(PROOF, "")) or Proof("/".join(data["titlePath"]), data["name"]),
        uuid=data["uuid"],
        title=data["name"],
        status=status,
        message=details.get("message", ""),
        trace=details.get("trace", ""),
        start=data["start"],
        stop=data["stop"],
        labels=labels,
        steps=tuple((step["name"], step["status"]) for step in steps),
        attachments=tuple(
            (item["name"], item["source"]) for node in [data, *steps] for item in node.get("attachments", [])
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
