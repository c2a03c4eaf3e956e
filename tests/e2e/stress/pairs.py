"""Two and three at once, on one account, bastion and cluster or in one folder, begun at seeded moments: how each ends."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import forks, project
from tests.support.aws import Cloud
from tests.support.cluster import DATABASE
from tests.support.outcome import Outcome
from tests.support.project import TENANTS, Project

KINDS = ("two projects", "one folder", "--verify-only beside a build", "three --bastion-command")
FIGURES = "pair"
"""The property of a test's report that holds what was measured; `conftest.py` collects them."""
FILE = Path(__file__).with_name("pairs.json")
"""What was measured last."""
BUILDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^2-sql-execute.* building$'"
HELD = re.compile(r"reports is in use by process \d+ since \d{4}-")
COMMAND = ("-p", "aurora-postgresql", "--bastion-command", "echo said; sleep 0.5")


@dataclass(frozen=True)
class Place:
    """Two projects whose SQL differs, on one account."""

    one: Project
    other: Project
    cloud: Cloud


def met(place: Place, seed: int, *words: str) -> dict[str, Any]:
    """Begin from an empty cluster, have them meet as *seed* says, and return what was found: the figures of the report.

    A run that builds is asked for *words*.
    """
    dice = random.Random(f"pair {seed}")  # noqa: S311 - it can be repeated
    kind = KINDS[seed % len(KINDS)]
    place.cloud.empty()
    place.cloud.forget_workspace()
    pause = dice.uniform(0, 4)
    if kind == "three --bastion-command":
        ends, told = _commands(place), ""
    else:
        ends, told = _runs(place, kind, pause, words)
    proven = _proven(kind, ends, told)
    rows = {} if kind == "three --bastion-command" else _rows(place.cloud)
    return {
        "seed": seed,
        "kind": kind,
        "pause": round(pause, 2),
        "ended": [end.status for end in ends],
        "as wanted": proven and all(rows.get(tenant) == [1, 2, 3, 4, 5] for tenant in (TENANTS if rows else ())),
        "told": told,
        "terminal": "" if proven else "\n".join(end.terminal[-3000:] for end in ends),
    }


def _runs(place: Place, kind: str, pause: float, words: Sequence[str]) -> tuple[list[Outcome], str]:
    """Start a run, and after *pause* another one; return how they end, and what the second was told of the first."""
    second = place.one if kind == "one folder" else place.other
    first = place.one.start(*words)
    if kind == "--verify-only beside a build":
        with place.cloud.connect("postgres") as connection:
            while first.poll() is None and connection.execute(BUILDS).fetchone() == (0,):
                time.sleep(0.02)
        processes = [first, second.start("features/", "--verify-only")]
    else:
        time.sleep(pause)
        processes = [first, second.start(*words)]
    ends = [place.one.outcome(processes[0]), second.outcome(processes[1])]
    waited = re.search(r"waits for another run, (process \d+ \(.*?\), connected since [\d: -]+)", _log(second))
    refused = HELD.search(ends[0].terminal + ends[1].terminal)
    return ends, (refused or waited or [""])[0]


def _log(project: Project) -> str:
    """Return the log of the last run of *project*."""
    log = project.path / "reports/run.log"
    return log.read_text(errors="replace") if log.exists() else ""


def _commands(place: Place) -> list[Outcome]:
    """Run three commands of the user's at once on an empty bastion."""
    environment = {**project.shell(), **place.cloud.environment}
    running = [forks.start("etl_manager", *COMMAND, cwd=place.one.path, env=environment) for _ in range(3)]
    found = []
    for each in running:
        said, _ = each.communicate()
        found.append(Outcome((each.returncode or 0) if "said" in said else -1, said, "", ""))
    return found


def _proven(kind: str, ends: list[Outcome], told: str) -> bool:
    """Whether all ended as wanted: one of two in one folder may be refused, and is told who is there."""
    statuses = sorted(end.status for end in ends)
    if kind == "one folder" and statuses != [0, 0]:
        return statuses[0] == 0 and bool(told)
    return set(statuses) == {0}


def _rows(cloud: Cloud) -> dict[str, list[int]]:
    return {
        tenant: [number for (number,) in cloud.rows(f'SELECT user_id FROM "{tenant}".users ORDER BY 1', DATABASE)]  # noqa: S608
        for tenant in TENANTS
    }


def write(measured: list[dict[str, Any]]) -> None:
    """Keep the figures."""
    lines = ",\n".join(json.dumps(each) for each in sorted(measured, key=lambda each: each["seed"]))
    FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
