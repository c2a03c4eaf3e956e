"""What the verdict's reader needs first: where and when it was, what was repaired, how to prove it again, the data filter."""

from __future__ import annotations

from collections.abc import Iterator

from etl_manager.report import DATA_FILTER
from etl_manager.report.assessment import Assessment
from etl_manager.report.blocks import Block, Heading, Paragraph, Table, listed, text
from etl_manager.wording import number_of

MOST = 8
"""Repairs that are shown; the record has them all."""
_LONGEST_FILTER = 1_200


def place(assessment: Assessment) -> Block:
    """Return where and when it was: a verdict on another cluster is none on this one."""
    record, known = assessment.record, assessment.record.facts
    told = {
        "target": known.get("target", "") + (", emulated" if assessment.emulated else ""),
        "account": ", ".join(known[name] for name in ("account", "region") if known.get(name)),
        "cluster": known.get("cluster", ""),
        "database": known.get("database", "")
        + (f", {number_of(int(known['tenants']), 'tenant')}" if known.get("tenants") else ""),
        "time": f"{_time(record.started)} to {_time(record.finished)} UTC",
    }
    return Table(("where and when", ""), tuple((text(name), text(value)) for name, value in told.items() if value))


def _time(stamp: str) -> str:
    return stamp.partition("+")[0].replace("T", " ")


def repairs(assessment: Assessment) -> Iterator[Block]:
    """Yield what the run put back before it proved anything: it never passes unremarked."""
    repaired = [text(line, mark="repaired") for item in assessment.record.changes for line in item.repaired]
    if repaired:
        yield Paragraph(text(f"{number_of(len(repaired), 'repair')} by this run, before it proved anything:"))
        yield listed(repaired, MOST)


def command(assessment: Assessment) -> str:
    """Return the command that proves the same again."""
    record = assessment.record
    only = " --verify-only" if record.mode == "verify-only" else ""
    return f"pytest features/ --target {record.facts.get('target', 'local')}{only} --require-gate"


def data_filter(assessment: Assessment) -> Iterator[Block]:
    """Yield the data filter that Phase 3 is to be given."""
    yield Heading("Data filter")
    known = assessment.data_filter
    if not known:
        yield Paragraph(text("None: none was proven in this run."))
        return
    yield Paragraph(text(known if len(known) <= _LONGEST_FILTER else f"{known[:_LONGEST_FILTER]} …", code=True))
    if len(known) > _LONGEST_FILTER:
        yield Paragraph(text(f"The whole of it, {number_of(len(known), 'character')}, is in {DATA_FILTER}."))
