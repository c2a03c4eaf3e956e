"""``reports/history.jsonl``: how each scenario ended in the last runs, a line a run, in the form Allure 3 reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from etl_manager.redaction import redact_all
from etl_manager.report import HISTORY
from etl_manager.report.results import BAD, Record, Result

LIMIT = 10
"""Runs that are kept."""
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


def lines(reports: Path) -> list[Line]:
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


def append(reports: Path, record: Record, results: Iterable[Result]) -> None:
    """Add this run to the history in the folder *reports*, and forget the oldest beyond `LIMIT`.

    What is known to be secret now is masked in the older lines too.
    """
    kept = [*(line for line in lines(reports) if line["uuid"] != record.run_id), _line(record, results)]
    (reports / HISTORY).write_text(as_text(redact_all(kept[-LIMIT:])), encoding="utf-8")


def as_text(runs: Iterable[Line]) -> str:
    """Return *runs* as the file has them."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in runs)


def earlier_runs(reports: Path, record: Record) -> list[Line]:
    """Return the earlier runs of the same place as *record*, the oldest first."""
    known = lines(reports)
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


def _line(record: Record, results: Iterable[Result]) -> Line:
    entries = {result.history_id: dict(_entry(result)) for result in results}
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


def _entry(result: Result) -> Iterator[tuple[str, Any]]:
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
