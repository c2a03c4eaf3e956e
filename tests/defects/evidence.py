"""Alterations of what a run left in ``reports/``, of how its scenarios went, and of the gate's verdict and its project."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from etl_manager.gate.verdict import PrerequisiteResult, Scenarios
from etl_manager.report import GATE, HISTORY, LOG, MANIFEST, RECORD, RESULTS, SUMMARY, VERDICT_PAGE
from tests.unit.report.folder import DATABASE, ROWS, Folder


class Left(NamedTuple):
    """An alteration of the folder of a run, and the line of ``report check`` that names it."""

    alter: Callable[[Path], object]
    told: str


def one(reports: Path, status: str = "failed") -> Path:
    """Return the file of the result that has *status*."""
    return next(
        path
        for path in sorted((reports / RESULTS).glob("*-result.json"))
        if f'"status": "{status}"' in path.read_text()
    )


def edit(name: str, pattern: str, by: str) -> Callable[[Path], object]:
    """Edit the file *name*."""

    def alter(reports: Path) -> None:
        path = reports / name
        text = path.read_text()
        assert re.search(pattern, text), name
        path.write_text(re.sub(pattern, by, text))

    return alter


def of_result(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Edit the failed result."""

    def alter(reports: Path) -> None:
        path = one(reports)
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))

    return alter


def listed(alter: Callable[[Path], object]) -> Callable[[Path], object]:
    """Make the manifest fit what *alter* did."""

    def both(reports: Path) -> None:
        alter(reports)
        names = [line.partition("  ")[2] for line in (reports / MANIFEST).read_text().splitlines()]
        more = [path.relative_to(reports).as_posix() for path in (reports / RESULTS).iterdir()]
        there = sorted({name for name in [*names, *more] if (reports / name).is_file()})
        lines = [f"{hashlib.sha256((reports / name).read_bytes()).hexdigest()}  {name}\n" for name in there]
        (reports / MANIFEST).write_text("".join(lines))

    return both


def add(reports: Path) -> None:
    """Add a result of a scenario that is promised."""
    folder = Folder.__new__(Folder)
    folder.path = reports
    folder.result(DATABASE)


def other_summary(reports: Path) -> None:
    """Put the summary of another run there."""
    path = reports / SUMMARY
    path.write_text(path.read_text().replace("run0001", "run0002"))


PASSED = of_result(lambda data: data.update(status="passed", statusDetails={}))
PAGES = "not what this version of the project makes of the results"

LEFT: dict[str, Left] = {
    "result deleted": Left(lambda reports: one(reports).unlink(), "-result.json: missing"),
    "result edited to passed": Left(PASSED, "-result.json: changed"),
    "result's message edited": Left(of_result(lambda data: data["statusDetails"].update(message="nothing")), "-result.json: changed"),
    "result's scenario edited": Left(of_result(lambda data: data.update(labels=[])), "-result.json: changed"),
    "result cut": Left(lambda reports: one(reports).write_text(one(reports).read_text()[:-9]), "-result.json: changed"),
    "result emptied": Left(lambda reports: one(reports).write_text(""), "-result.json: changed"),
    "result added": Left(add, "-result.json: added since"),
    "file added beside the results": Left(lambda reports: (reports / RESULTS / "x.txt").write_text("x"), "x.txt: added since"),
    "all results deleted": Left(lambda reports: [path.unlink() for path in (reports / RESULTS).iterdir()], "-result.json: missing"),
    "verdict of the gate edited to ready": Left(edit(GATE, '"ready": ?false', '"ready": true'), f"{GATE}: changed"),
    "verdict of the gate deleted": Left(lambda reports: (reports / GATE).unlink(), f"{GATE}: missing"),
    "record's exit status edited": Left(edit(RECORD, '"exit_status": \\d+', '"exit_status": 9'), f"{RECORD}: changed"),
    "record's promised scenario edited": Left(edit(RECORD, "The database exists", "Another"), f"{RECORD}: changed"),
    "line of the history deleted": Left(lambda reports: (reports / HISTORY).write_text(""), f"{HISTORY}: changed"),
    "line of the history edited": Left(edit(HISTORY, "failed", "passed"), f"{HISTORY}: changed"),
    "line of the history added": Left(lambda reports: (reports / HISTORY).write_text((reports / HISTORY).read_text() * 2), f"{HISTORY}: changed"),
    "log edited": Left(lambda reports: (reports / LOG).write_text("nothing happened\n"), f"{LOG}: changed"),
    "summary of another run": Left(other_summary, f"{SUMMARY}: {PAGES}"),
    "summary edited to ready": Left(edit(SUMMARY, "Not ready", "Ready"), f"{SUMMARY}: {PAGES}"),
    "summary deleted": Left(lambda reports: (reports / SUMMARY).unlink(), f"{SUMMARY}: missing"),
    "verdict's page edited to ready": Left(edit(VERDICT_PAGE, "Not ready", "Ready"), f"{VERDICT_PAGE}: {PAGES}"),
    "verdict's page deleted": Left(lambda reports: (reports / VERDICT_PAGE).unlink(), f"{VERDICT_PAGE}: missing"),
    "verdict's page without its reason": Left(edit(VERDICT_PAGE, "expected 5, found 4", ""), f"{VERDICT_PAGE}: {PAGES}"),
    "manifest deleted": Left(lambda reports: (reports / MANIFEST).unlink(), f"{MANIFEST}: missing"),
    "manifest emptied": Left(lambda reports: (reports / MANIFEST).write_text(""), "added since"),
    "line of the manifest deleted": Left(edit(MANIFEST, "(?m)^.*run.json\n", ""), f"{RECORD}: added since"),
    "line of the manifest edited": Left(edit(MANIFEST, "(?m)^.{64}(?=  run.json)", "0" * 64), f"{RECORD}: changed"),
    "line of the manifest for a file elsewhere": Left(lambda reports: (reports / MANIFEST).write_text((reports / MANIFEST).read_text() + "0" * 64 + "  ../x\n"), f"{MANIFEST}: not a line"),
    "result edited to passed, and its line in the manifest": Left(listed(PASSED), f"{SUMMARY}: {PAGES}"),
    "result deleted, and its line in the manifest": Left(listed(lambda reports: one(reports).unlink()), f"{SUMMARY}: {PAGES}"),
    "result added, and a line in the manifest": Left(listed(add), f"{VERDICT_PAGE}: {PAGES}"),
    "history edited, and its line in the manifest": Left(listed(edit(HISTORY, "failed", "passed")), f"{VERDICT_PAGE}: {PAGES}"),
    "log edited, and its line in the manifest": Left(listed(lambda reports: (reports / LOG).write_text("nothing\n")), f"{SUMMARY}: {PAGES}"),
}  # fmt: skip
"""What was altered after a run that was not ready → how, and what ``report check`` names."""


def _without(*scenarios: Any) -> Callable[[Folder], dict[str, Any]]:
    def make(folder: Folder) -> dict[str, Any]:
        for scenario in folder.record.expected:
            if scenario not in scenarios:
                folder.result(scenario)
        return {}

    return make


def _with(status: str, **more: Any) -> Callable[[Folder], dict[str, Any]]:
    def make(folder: Folder) -> dict[str, Any]:
        folder.results(status, "why")
        return more

    return make


def _cut(folder: Folder) -> dict[str, Any]:
    _without(DATABASE)(folder)
    path = folder.result(DATABASE)
    path.write_text(path.read_text()[:-40])
    return {}


def _unknown_status(folder: Folder) -> dict[str, Any]:
    _without(DATABASE)(folder)
    folder.result(DATABASE, "perhaps")
    return {}


def _of_another(folder: Folder) -> dict[str, Any]:
    _without(DATABASE)(folder)
    folder.result(ROWS[0])
    return {}


MISSING = "1 of 4 promised scenarios has no result"

WENT: dict[str, tuple[Callable[[Folder], dict[str, Any]], str]] = {
    "scenario failed": (_with("failed"), "1 scenario did not hold"),
    "scenario broken": (_with("broken"), "1 scenario did not hold"),
    "scenario without a result": (_without(DATABASE), MISSING),
    "row of a tenant without a result": (_without(ROWS[1]), MISSING),
    "no result at all": (_without(DATABASE, *ROWS), "4 of 4 promised scenarios have no result"),
    "scenario deselected": (lambda folder: {**_without(DATABASE)(folder), "deselected": (DATABASE,)}, MISSING),
    "row of a tenant deselected": (lambda folder: {**_without(ROWS[2])(folder), "deselected": (ROWS[2],)}, MISSING),
    "result that is cut": (_cut, "1 result cannot be read"),
    "result of a status that nobody knows": (_unknown_status, "1 result cannot be read"),
    "result of another scenario in its place": (_of_another, MISSING),
}
"""How the scenarios went, or what became of their results, where the gate says ready → the reason why the run is not."""


def _prerequisite(verdict: dict[str, Any], id_: str, status: str) -> tuple[PrerequisiteResult, ...]:
    return tuple(
        each.model_copy(update={"status": status}) if each.id == id_ else each for each in verdict["prerequisites"]
    )


def _counts(**changes: int) -> Scenarios:
    return Scenarios(**{"promised": 9, "passed": 7, "failed": 0, "not_run": 0, "not_applicable": 2} | changes)


VERDICT: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "not ready": (lambda _: {"ready": False}, "it says that Phase 3 is not ready"),
    "a prerequisite failed": (lambda made: {"prerequisites": _prerequisite(made, "primary-keys", "failed")}, "primary-keys failed"),
    "a prerequisite not run": (lambda made: {"prerequisites": _prerequisite(made, "quotas", "not-run")}, "quotas"),
    "a prerequisite not applicable": (lambda made: {"prerequisites": _prerequisite(made, "sample-data-complete", "not-applicable")}, "sample-data-complete"),
    "a prerequisite absent": (lambda made: {"prerequisites": tuple(made["prerequisites"])[1:]}, "database-exists"),
    "a scenario failed": (lambda _: {"scenarios": _counts(passed=6, failed=1)}, "1 of 9"),
    "a scenario not run": (lambda _: {"scenarios": _counts(passed=6, not_run=1)}, "1 of 9"),
    "no scenario": (lambda _: {"scenarios": _counts(promised=0, passed=0, not_applicable=0)}, "scenario"),
    "no tenant": (lambda _: {"tenants": []}, "tenant"),
    "no data filter": (lambda _: {"data_filter": ""}, "filter"),
    "another target": (lambda _: {"target": "container"}, "it is of the target container, not of aws"),
    "emulated": (lambda _: {"emulated": True}, "what answered was emulated, not AWS"),
    "no account": (lambda _: {"account": ""}, "it does not say of which account and cluster it is"),
    "no cluster": (lambda _: {"cluster": ""}, "it does not say of which account and cluster it is"),
    "an old one": (lambda made: {"checked_at": made["checked_at"] - timedelta(hours=2)}, "at most 1 h is allowed"),
    "one from the future": (lambda made: {"checked_at": made["checked_at"] + timedelta(hours=2)}, "it is from the future"),
    "of another commit": (lambda made: {"source": made["source"].model_copy(update={"commit": "a" * 40})}, "it is of commit aaaaaaaaaaaa"),
    "of no commit": (lambda made: {"source": made["source"].model_copy(update={"commit": None})}, "it is bound to no commit"),
    "of uncommitted changes": (lambda made: {"source": made["source"].model_copy(update={"dirty": True})}, "it was made with changes"),
    "of other SQL": (lambda made: {"source": made["source"].model_copy(update={"sql_sha256": "0" * 64})}, "sql/ is not what it was then"),
    "of another configuration": (lambda made: {"source": made["source"].model_copy(update={"config_sha256": "0" * 64})}, "config.json is not what it was then"),
    "of a configuration elsewhere": (lambda made: {"source": made["source"].model_copy(update={"config": "other.json"})}, "its configuration other.json is not in this project"),
}  # fmt: skip
"""What a verdict that says ready holds beside that → how it was altered, and what ``gate check --target aws`` says."""

PROJECT: dict[str, tuple[str, str, str]] = {
    "config.json: a tenant dropped": ("config.json", '{"tenants": ["tenant_a"]}', "config.json is not what it was then"),
    "config.json: another database": ("config.json", '{"aurora": {"databaseName": "another"}}', "config.json is not what it was then"),
    "config.json: another file of the same meaning": ("config.json", "{ }", "config.json is not what it was then"),
    "SQL file edited": ("sql/aurora/schema/a.sql", "select 2;", "sql/ is not what it was then"),
    "SQL file added": ("sql/aurora/schema/b.sql", "select 2;", "sql/ is not what it was then"),
    "change of the template added": ("sql/aurora/tenant/changes/0002-x.sql", "select 2;", "sql/ is not what it was then"),
}  # fmt: skip
"""What was altered in the project since its verdict → the file, its text, and what ``gate check`` says."""

HARMLESS: dict[str, Callable[[Path], object]] = {
    "the rendered report made": lambda reports: (
        (reports / "allure-report").mkdir(),
        (reports / "allure-report/x").touch(),
    ),
    "files touched": lambda reports: [path.touch() for path in reports.rglob("*")],
    "a file of one's own in reports/": lambda reports: (reports / "notes.txt").write_text("mine"),
    "another mode of a result": lambda reports: one(reports).chmod(0o600),
}
"""What is no alteration of the evidence."""

ACCEPTED = {
    "all of `reports/` made anew, its manifest and pages with it": (
        "only its digest differs from the one that the run told on its terminal: `report check --digest` holds it against that"
    ),
    "a project edited and committed as before": "commit and digests are the same: it is the same project",
}
