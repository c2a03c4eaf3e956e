"""What of `docs/reliability.md` the seeded defects write: each alteration, what finds it, and what is accepted.

Write it anew: ``python -m tests.defects.report``
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.defects import inside, outside, starved

DOCUMENT = Path(__file__).parents[2] / "docs/reliability.md"
TITLE = "# How far the proof can be trusted\n"
HEADING = "## Seeded defects\n"
STARVED_HEADING = "## Starved machines\n"
INSIDE = "The verification finds no difference in the tenant"
OUTSIDE = "The verification finds nothing out of order outside the tenants"
REFUSED = "The run ends with PostgreSQL's error"


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


def _row(title: str, found: list[str], scenario: str) -> str:
    shown = [*found[:3], *([f"{len(found) - 3} more"] if len(found) > 3 else [])]
    text = "; ".join(shown).replace("TENANT", "tenant").replace("DATABASE", "NAME").replace("|", "\\|")
    return f"| {title} | {text} | {scenario} |".replace("\u200b", "\\u200b")


def section() -> str:
    """Return the section, with its heading."""
    found = [*rows()]
    return "\n".join([
        HEADING,
        "Each alteration is applied alone: to a tenant of twenty tables, or to a database of three such tenants. The look of the",
        "verification names it, and nothing else. `make test` applies all of them; the section is written by",
        "`python -m tests.defects.report` from the same list.",
        "",
        f"**{len(found)} of {len(found)} are caught (100 %)**; {len(outside.HARMLESS)} harmless ones stay green: "
        + ", ".join(outside.HARMLESS) + ".",
        "",
        "What is accepted on purpose:",
        "",
        "| what | why |",
        "|---|---|",
        *(f"| {what} | {why} |" for what, why in outside.ACCEPTED.items()),
        "",
        "What is caught:",
        "",
        "| alteration | what the finding names | scenario that fails |",
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


def written(text: str) -> str:
    """Return *text* with the sections in it written anew; other sections stay."""
    text = text or f"{TITLE}\n"
    for heading, new in ((HEADING, section()), (STARVED_HEADING, starved_section())):
        before, found, rest = text.partition(heading)
        after = re.search(r"^## ", rest, re.M)
        text = (before if found else f"{before}\n") + new + (f"\n{rest[after.start() :]}" if after else "")
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""), encoding="utf-8")
