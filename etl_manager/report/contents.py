"""The verdict on one page: what it says, and in which order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from etl_manager.report import kinds, overview
from etl_manager.report.assessment import Assessment, Prerequisite
from etl_manager.report.blocks import Banner, Block, Bullets, Heading, Line, Paragraph, Table, Text, listed, text
from etl_manager.report.record import EXIT_STATUSES
from etl_manager.report.results import BAD, STATUSES, Result
from etl_manager.wording import number_of

HEADLINES = {"ready": "Ready for Phase 3", "not-ready": "Not ready for Phase 3", "none": "No verdict"}
IN_REHEARSAL = "Ready, in a rehearsal that was not on AWS"
MEANINGS = {
    "ready": "Every prerequisite that applies was proven in this run.",
    "not-ready": "Phase 3 must not start on this evidence.",
    "none": "Nothing here says that Phase 3 may start.",
}
REHEARSAL = "What answered was emulated, not AWS: this is a rehearsal, and proves nothing about an Aurora cluster."
MOST = 8
"""Lines of a list; the report has them all."""
_LONGEST = 300


def contents(assessment: Assessment, manifest: str) -> Iterator[Block]:
    """Yield the page about *assessment*; *manifest* is the digest of the manifest of digests."""
    meaning = MEANINGS[assessment.state]
    yield Banner(assessment.state, headline(assessment), meaning)
    if assessment.emulated:
        yield Paragraph(text(REHEARSAL))
    yield overview.place(assessment)
    yield from overview.repairs(assessment)
    if assessment.reasons:
        yield Paragraph(text("Why not:"))
        yield listed([text(_short(reason)) for reason in assessment.reasons], MOST)
    if assessment.state != "ready":
        yield Paragraph((Text("When that is mended, prove it again: "), Text(overview.command(assessment), code=True)))
    yield from _prerequisites(assessment)
    yield from overview.data_filter(assessment)
    yield from _failures(assessment)
    yield from _changes(assessment)
    yield from _since(assessment)
    yield from _completeness(assessment)
    yield from _facts(assessment, manifest)


def headline(assessment: Assessment) -> str:
    """Return the verdict in a few words."""
    if assessment.state == "ready" and assessment.emulated:
        return IN_REHEARSAL
    return HEADLINES[assessment.state]


def counted(assessment: Assessment) -> str:
    """Return how many scenarios ended how, the worst first."""
    counts = assessment.counts()
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status]) or "no result"


def _prerequisites(assessment: Assessment) -> Iterator[Block]:
    if not assessment.prerequisites:
        return
    yield Heading("Prerequisites")
    rows = tuple(
        (
            text(item.title),
            text(item.status.replace("-", " "), mark=item.status),
            text(_short(item.detail)),
            _evidence(item),
        )
        for item in assessment.prerequisites
    )
    yield Table(("prerequisite", "status", "found", "evidence"), rows)


def _evidence(item: Prerequisite) -> Line:
    """Return how many scenarios held; it leads to the first of those that did not, else to the first of all."""
    if not item.evidence:
        return text("none in this run")
    ran = [result for result in item.evidence if result.status != "skipped"]
    held = sum(result.status == "passed" for result in ran)
    shown = next((result for result in ran if result.status in BAD), item.evidence[0])
    return text(f"{held} of {number_of(len(ran), 'scenario')} held" if ran else "not run", report_id=shown.report_id)


def _failures(assessment: Assessment) -> Iterator[Block]:
    if not assessment.bad:
        return
    yield Heading(f"What did not hold: {counted(assessment)}")
    by_kind: dict[str, dict[tuple[str, str], list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in assessment.bad:
        by_kind[kinds.read(result.trace) or "Unknown"][result.proof.file, result.proof.scenario].append(result)
    for kind, groups in by_kind.items():
        mark = next(iter(groups.values()))[0].status
        yield Paragraph((Text(mark, mark=mark), Text(f" {kind}")))
        yield listed([_group(results) for results in groups.values()], MOST)


def _group(results: Sequence[Result]) -> Line:
    """Return one line about the rows of a scenario that did not hold: a thousand tenants may be among them."""
    first = results[0]
    line = [Text(first.title, first.report_id), Text(": " + _short(first.message))]
    others = [result.labels.get("tenant") or result.title for result in results[1:]]
    if others:
        rest = f" and {len(others) - MOST} more" if len(others) > MOST else ""
        line.append(Text(f" (and {len(others)} more: {', '.join(others[:MOST])}{rest})"))
    return tuple(line)


def _changes(assessment: Assessment) -> Iterator[Block]:
    yield Heading("What this run changed in the database")
    changes = assessment.record.changes
    if assessment.record.mode == "verify-only":
        yield Paragraph(text("Nothing: it was to prove only."))
    elif not any(item.created or item.repaired or item.lost for item in changes):
        as_configured = "Nothing." if assessment.bad else "Nothing: it found everything as configured."
        yield Paragraph(text(as_configured if changes else "Nothing is known."))
    else:
        lines = [
            text(
                f"{item.phase}: {item.created} created, {len(item.repaired)} repaired, {item.unchanged} left alone"
                + (f", {len(item.lost)} lost" if item.lost else "")
            )
            for item in changes
        ]
        yield Bullets(tuple(lines))
        lost = [text(f"lost {line}", mark="failed") for item in changes for line in item.lost]
        if lost:
            yield listed(lost, MOST)


def _since(assessment: Assessment) -> Iterator[Block]:
    yield Heading("What is different from the last run")
    was = assessment.comparison
    if not was.previous:
        yield Paragraph(text("There is no earlier run of this target and database to compare with."))
        return
    yield Paragraph(text(f"The last run ended at {was.previous}; commit: {was.previous_commit}."))
    named = (("newly broken", was.broken, "failed"), ("mended", was.mended, "passed"), ("new", was.new, ""))
    lines: list[Line] = []
    for name, results, mark in named:
        if results:
            shown = (
                (Text("; ") if index else Text(": "), Text(item.title, item.report_id))
                for index, item in enumerate(results[:MOST])
            )
            rest = (Text(f" … and {len(results) - MOST} more"),) if len(results) > MOST else ()
            lines.append(
                (Text(f"{len(results)} {name}", mark=mark), *(piece for pair in shown for piece in pair), *rest)
            )
    if was.gone:
        lines.append(text(f"{len(was.gone)} gone: {', '.join(was.gone[:MOST])}"))
    yield Bullets(tuple(lines)) if lines else Paragraph(text("Every scenario ended as it did when it last ran."))


def _completeness(assessment: Assessment) -> Iterator[Block]:
    yield Heading("Is everything here that was promised")
    found = assessment.completeness
    whole = found.there == found.promised and not found.damaged
    yield Paragraph(
        (
            Text("complete" if whole else "incomplete", mark="passed" if whole else "failed"),
            Text(
                f": there is a result of {found.there} of {number_of(found.promised, 'scenario')} of the feature files ({counted(assessment)})."
            ),
        )
    )
    lines = [
        *(text(f"lost: {proof}") for proof in found.lost),
        *(text(f"cannot be read: {name}") for name in found.unreadable),
        *(text(f"attachment missing: {name}") for name in found.missing_attachments),
        *(text(f"not of the feature files: {proof}") for proof in found.surplus),
        *(text(f"more than one result: {proof}") for proof in found.repeated),
        *(text(f"not selected for this run: {proof}") for proof in found.left_out),
    ]
    if lines:
        yield listed(lines, MOST)


def _facts(assessment: Assessment, manifest: str) -> Iterator[Block]:
    record = assessment.record
    yield Heading("The run")
    told = {
        "run": f"{record.run_id}, {record.mode}",
        "pytest": f"exit status {record.exit_status}: {EXIT_STATUSES.get(record.exit_status, 'unknown')}",
        **record.facts,
        "manifest": f"sha256:{manifest}",
    }
    shown_above = {"target", "account", "region", "cluster", "database", "tenants"}
    cells = [(text(name), text(value, code=True)) for name, value in told.items() if name not in shown_above]
    half = (len(cells) + 1) // 2
    beside = [*cells[half:], (text(""), text(""))]
    yield Table(
        ("fact", "value", "fact", "value"), tuple(left + right for left, right in zip(cells, beside, strict=False))
    )


def _short(message: str) -> str:
    """Return *message* in one line, and not too long a one."""
    line = "; ".join(part.strip().removeprefix("- ") for part in message.splitlines() if part.strip())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
