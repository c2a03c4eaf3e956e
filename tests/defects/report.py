"""What of `docs/reliability.md` the seeded defects write: each alteration, what finds it, and what is accepted.

Write it anew: ``python -m tests.defects.report``
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.defects import evidence, inside, isolation, outside, starved, transport, workspace

DOCUMENT = Path(__file__).parents[2] / "docs/reliability.md"
KILLS = Path(__file__).parents[1] / "e2e/stress/kills.json"
"""What `make stress` measured last."""
PAIRS = KILLS.with_name("pairs.json")
"""The same, of those that met."""
TITLE = "# How far the proof can be trusted\n"
HEADING = "## Seeded defects\n"
STARVED_HEADING = "## Starved machines\n"
KILLS_HEADING = "## Killed anywhere\n"
PAIRS_HEADING = "## Two at once\n"
INSIDE = "The verification finds no difference in the tenant"
OUTSIDE = "The verification finds nothing out of order outside the tenants"
REFUSED = "The run ends with PostgreSQL's error"
ISOLATION = "What everybody may do reaches no tenant; The role of the tenant works in its own schema and nowhere else"
ENDED = "The run ends with this error"
WARNED = "The run warns, and runs its own files"
OWN = "The run looks again, and runs its own files"
REPORT_CHECK = "`report check` refuses the evidence"
GATE_CHECK = "`gate check` refuses the verdict"
NOT_READY = "The run is not ready, whatever the gate says"

HARMLESS = {**outside.HARMLESS, **transport.HARMLESS, **workspace.HARMLESS, **evidence.HARMLESS}
ACCEPTED = {**outside.ACCEPTED, **isolation.ACCEPTED, **transport.ACCEPTED, **workspace.ACCEPTED, **evidence.ACCEPTED}


def rows() -> Iterator[str]:
    """Yield the row of each alteration: what was altered, what is found, which scenario fails."""
    for where, alterations in (("inside a tenant", inside.ALTERATIONS), ("inside a tenant", inside.MORE)):
        for title, (_, found) in alterations.items():
            yield _row(f"{where}: {title}", [f"{each[0]} ({each[1]})" for each in found], INSIDE)
    for title, (_, findings) in outside.OUTSIDE.items():
        scenarios = {INSIDE if tenant in outside.TENANTS else OUTSIDE for tenant, *_ in findings}
        yield _row(title, [f"{kind} ({thing})" for _, kind, thing in findings], "; ".join(sorted(scenarios)))
    for title, (_, message) in outside.CLOSED.items():
        yield _row(title, [message], REFUSED)
    for title, (_, _, found) in isolation.DEFECTS.items():
        yield _row(f"isolation: {title}", [thing for _, thing, *_ in found], ISOLATION)
    for title, seed in transport.SEEDS.items():
        yield _row(f"transport: {title}", [seed.told.strip()], ENDED)
    yield from _workspace_rows()
    yield from _evidence_rows()


def _workspace_rows() -> Iterator[str]:
    for title, seed in workspace.BEFORE.items():
        told = seed.told.format(workspace.PLACE)
        yield _row(f"bastion: {title}", [told], ENDED if seed.refused else WARNED)
    for title, seed in workspace.DURING_REFUSED.items():
        yield _row(f"bastion, during a run: {title}", [seed.told], ENDED)
    again = (("during a run", workspace.DURING), ("after the run's copy", workspace.HELD), ("archive", workspace.PARTS))
    for when, alterations in again:
        for title in alterations:
            yield _row(f"bastion, {when}: {title}", ["nothing of it is run"], OWN)


def _evidence_rows() -> Iterator[str]:
    for where, alterations, outcome in (
        ("reports", evidence.LEFT, REPORT_CHECK),
        ("reports", evidence.WENT, NOT_READY),
        ("verdict", evidence.VERDICT, GATE_CHECK),
        ("project since its verdict", evidence.PROJECT, GATE_CHECK),
    ):
        for title, (*_, told) in alterations.items():
            yield _row(f"{where}: {title}", [told], outcome)


def _row(title: str, found: list[str], scenario: str) -> str:
    shown = [*found[:3], *([f"{len(found) - 3} more"] if len(found) > 3 else [])]
    text = "; ".join(shown).replace("TENANT", "tenant").replace("DATABASE", "NAME").replace("|", "\\|")
    return f"| {title} | {text} | {scenario} |".replace("\u200b", "\\u200b")


def section() -> str:
    """Return the section, with its heading."""
    found = [*rows()]
    return "\n".join([
        HEADING,
        "Each alteration is applied to a tenant of its own, to three tenants with roles of their own, or to a database of three",
        "tenants of twenty tables, alone or beside others that have nothing to do with it, where the look of the verification",
        "names it, and nothing else; to what SSM tells of a command; to the workspace on the bastion and the config.json there; to",
        "what a run left in `reports/`; to a verdict, and to the project that it is of. `make test` applies all of them to the",
        "code that runs, and prints how many were caught; the section is written by `python -m tests.defects.report` from the",
        "same lists.",
        "",
        f"**{len(found)} of {len(found)} are caught (100 %)**; {len(HARMLESS)} harmless ones stay green: "
        + ", ".join(HARMLESS) + ".",
        "",
        "What is accepted on purpose:",
        "",
        "| what | why |",
        "|---|---|",
        *(f"| {what} | {why} |" for what, why in ACCEPTED.items()),
        "",
        "What is caught:",
        "",
        "| alteration | what the finding names | scenario that fails, or what else comes of it |",
        "|---|---|---|",
        *found,
        "",
    ])  # fmt: skip


def starved_section() -> str:
    """Return the section on what a machine may lack, with its heading."""
    return "\n".join([
        STARVED_HEADING,
        "Each ends in one message; nothing half written is taken for whole. Written by `python -m tests.defects.report`.",
        "",
        "| what is wrong | what happens | the test |",
        "|---|---|---|",
        *(f"| {what} | {happens} | `{test}` |" for what, happens, test in starved.STARVED),
        "",
    ])  # fmt: skip


def kills_section() -> str:
    """Return the section on runs that were killed, with its heading."""
    kills = json.loads(KILLS.read_text(encoding="utf-8"))

    def row(name: str, of: list[dict[str, Any]]) -> str:
        proven, own = sum(each["proven"] for each in of), sum(each["ended"] == 0 for each in of)
        doubled, lost = sum(each["doubled"] for each in of), sum(each["lost"] for each in of)
        left = sum(bool(each["left"]) for each in of)
        return f"| {name} | {len(of)} | {own} | {proven} | {doubled} | {lost} | {left} |"

    victims = dict.fromkeys(each["victim"] for each in kills)
    sizes = sorted({each["tenants"] for each in kills})
    return "\n".join([
        KILLS_HEADING,
        "Runs of `pytest features/` in which a process is killed with SIGKILL at a moment that a seed draws, on an account that",
        "outlives them and on the local target, on an empty and on a built database; then the next run of the project. Measured by",
        "`make stress` (`KILLS=100`), which keeps its figures in `tests/e2e/stress/kills.json`; two kills are in `make test`.",
        "",
        "| killed | kills | of them proven all the same | next run proven | rows doubled | rows lost | left something on the bastion |",
        "|---|---|---|---|---|---|---|",
        *(row(victim, [each for each in kills if each["victim"] == victim]) for victim in victims),
        *(row(f"at {size} tenants", [each for each in kills if each["tenants"] == size]) for size in sizes),
        row("**all**", kills),
        "",
        "Next run not proven: " + ("; ".join(f"seed {each['seed']}: {each['why']}" for each in kills if not each["proven"]) or "none") + ".",
        "",
        "What a killed run leaves, and when it goes: [aws.md](aws.md#a-run-that-was-killed).",
        "",
    ])  # fmt: skip


def pairs_section() -> str:
    """Return the section on runs that met, with its heading."""
    pairs = json.loads(PAIRS.read_text(encoding="utf-8"))

    def row(kind: str) -> str:
        of = [each for each in pairs if each["kind"] == kind]
        proven, told = sum(not any(each["ended"]) for each in of), sum(bool(each["told"]) for each in of)
        return f"| {kind} | {len(of)} | {proven} | {told} | {sum(each['as wanted'] for each in of)} |"

    return "\n".join([
        PAIRS_HEADING,
        "Runs on one account, one bastion and one cluster on which nothing is built, the second begun at a moment that a seed draws.",
        "As wanted: each is proven with every row once; in one folder the second may be refused, and is told by which process, and",
        "since when. A run that waits says so on its live line, with whom it waits for, where the wait outlasts 20 seconds. Measured",
        "by `make stress`, which keeps its figures in `tests/e2e/stress/pairs.json`; four are in `make test`.",
        "",
        "| at once | times | all proven | one was told of the other | as wanted |",
        "|---|---|---|---|---|",
        *map(row, dict.fromkeys(each["kind"] for each in pairs)),
        "",
        "That the lock dies with its holder: `tests/unit/sql/test_sql_template.py::test_second_runner_goes_on_when_the_first_one_ends`;",
        "that a wait ends after five minutes, with the holder in the error: `test_second_runner` there, and for `--verify-only`",
        "`test_build_that_does_not_end_is_told`.",
        "",
    ])  # fmt: skip


def written(text: str) -> str:
    """Return *text* with the sections in it written anew; other sections stay."""
    text = text or f"{TITLE}\n"
    sections = {
        HEADING: section(),
        STARVED_HEADING: starved_section(),
        KILLS_HEADING: kills_section(),
        PAIRS_HEADING: pairs_section(),
    }
    for heading, new in sections.items():
        before, found, rest = text.partition(heading)
        after = re.search(r"^## ", rest, re.M)
        text = (before if found else f"{before}\n") + new + (f"\n{rest[after.start() :]}" if after else "")
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""), encoding="utf-8")
