"""What a page is made of, whether it is written as Markdown or as HTML."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from etl_manager.report import DATA_FILTER
from etl_manager.report.results import BAD, EXIT_STATUSES, STATUSES, Result
from etl_manager.report.verdict import Prerequisite, RunVerdict
from etl_manager.wording import number_of


@dataclass(frozen=True)
class Text:
    """A piece of text; *report_id* names the scenario it leads to, *mark* how it went, *code* that it is verbatim."""

    text: str
    report_id: str = ""
    mark: str = ""
    code: bool = False


Line = tuple[Text, ...]
"""Pieces that stand in one line."""


@dataclass(frozen=True)
class Heading:
    """The title of a section."""

    text: str


@dataclass(frozen=True)
class Banner:
    """What must be seen first: a state's *mark*, a headline, and what it means."""

    mark: str
    headline: str
    meaning: str


@dataclass(frozen=True)
class Paragraph:
    """A line of its own."""

    line: Line


@dataclass(frozen=True)
class Bullets:
    """Lines beside one another."""

    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """Rows under a header."""

    header: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]


Block = Heading | Banner | Paragraph | Bullets | Table


def text(content: object, *, report_id: str = "", mark: str = "", code: bool = False) -> Line:
    """Return a line of one piece."""
    return (Text(str(content), report_id, mark, code),)


def listed(lines: list[Line], most: int) -> Bullets:
    """Return the first *most* of *lines*, and how many more there are."""
    rest = len(lines) - most
    return Bullets((*lines[:most], text(f"… and {rest} more")) if rest > 0 else tuple(lines))


MOST = 8
"""Repairs that are shown; the record has them all."""
_LONGEST_FILTER = 1_200


def place(assessment: RunVerdict) -> Block:
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


def repairs(assessment: RunVerdict) -> Iterator[Block]:
    """Yield what the run put back before it proved anything: it never passes unremarked."""
    repaired = [text(line, mark="repaired") for item in assessment.record.changes for line in item.repaired]
    if repaired:
        yield Paragraph(text(f"{number_of(len(repaired), 'repair')} by this run, before it proved anything:"))
        yield listed(repaired, MOST)


def command(assessment: RunVerdict) -> str:
    """Return the command that proves the same again."""
    record = assessment.record
    only = " --verify-only" if record.mode == "verify-only" else ""
    return f"pytest features/ --target {record.facts.get('target', 'local')}{only} --require-gate"


def data_filter(assessment: RunVerdict) -> Iterator[Block]:
    """Yield the data filter that Phase 3 is to be given."""
    yield Heading("Data filter")
    known = assessment.data_filter
    if not known:
        yield Paragraph(text("None: none was proven in this run."))
        return
    yield Paragraph(text(known if len(known) <= _LONGEST_FILTER else f"{known[:_LONGEST_FILTER]} …", code=True))
    if len(known) > _LONGEST_FILTER:
        yield Paragraph(text(f"The whole of it, {number_of(len(known), 'character')}, is in {DATA_FILTER}."))


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


def contents(assessment: RunVerdict, manifest: str) -> Iterator[Block]:
    """Yield the page about *assessment*; *manifest* is the digest of the manifest of digests."""
    meaning = MEANINGS[assessment.state]
    yield Banner(assessment.state, headline(assessment), meaning)
    if assessment.emulated:
        yield Paragraph(text(REHEARSAL))
    yield place(assessment)
    yield from repairs(assessment)
    if assessment.reasons:
        yield Paragraph(text("Why not:"))
        yield listed([text(_short(reason)) for reason in assessment.reasons], MOST)
    if assessment.state != "ready":
        yield Paragraph((Text("When that is mended, prove it again: "), Text(command(assessment), code=True)))
    yield from _prerequisites(assessment)
    yield from data_filter(assessment)
    yield from _failures(assessment)
    yield from _changes(assessment)
    yield from _since(assessment)
    yield from _completeness(assessment)
    yield from _facts(assessment, manifest)


def headline(assessment: RunVerdict) -> str:
    """Return the verdict in a few words."""
    if assessment.state == "ready" and assessment.emulated:
        return IN_REHEARSAL
    return HEADLINES[assessment.state]


def counted(assessment: RunVerdict) -> str:
    """Return how many scenarios ended how, the worst first."""
    counts = assessment.counts()
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status]) or "no result"


def _prerequisites(assessment: RunVerdict) -> Iterator[Block]:
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


def _failures(assessment: RunVerdict) -> Iterator[Block]:
    if not assessment.bad:
        return
    yield Heading(f"What did not hold: {counted(assessment)}")
    by_kind: dict[str, dict[tuple[str, str], list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in assessment.bad:
        by_kind[result.kind.title if result.kind else "Unknown"][result.proof.file, result.proof.scenario].append(
            result
        )
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


def _changes(assessment: RunVerdict) -> Iterator[Block]:
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


def _since(assessment: RunVerdict) -> Iterator[Block]:
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


def _completeness(assessment: RunVerdict) -> Iterator[Block]:
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


def _facts(assessment: RunVerdict, manifest: str) -> Iterator[Block]:
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


SIGNS = {
    "ready": "✅",
    "not-ready": "❌",
    "none": "⚪",
    "passed": "✅",
    "failed": "❌",
    "broken": "🟡",
    "skipped": "⚪",
    "not-run": "⚪",
    "not-applicable": "➖",  # noqa: RUF001 - the sign that is meant
    "repaired": "🔧",
}


def markdown(blocks: Iterable[Block]) -> str:
    """Return *blocks* as Markdown."""
    return "\n".join(line for block in blocks for line in (*_markdown_lines(block), ""))


def _markdown_lines(block: Block) -> Iterator[str]:
    if isinstance(block, Banner):
        yield f"# {SIGNS[block.mark]} {_escaped(block.headline)}"
        yield ""
        yield _escaped(block.meaning)
    elif isinstance(block, Heading):
        yield f"## {_escaped(block.text)}"
    elif isinstance(block, Paragraph):
        yield _markdown_line(block.line)
    elif isinstance(block, Bullets):
        yield from (f"- {_markdown_line(line)}" for line in block.lines)
    elif isinstance(block, Table):
        yield f"| {' | '.join(block.header)} |"
        yield f"|{'---|' * len(block.header)}"
        yield from (f"| {' | '.join(_markdown_line(cell) for cell in row)} |" for row in block.rows)


def _markdown_line(line: Line) -> str:
    return "".join(_markdown_piece(piece.text, piece.mark, code=piece.code) for piece in line)


def _markdown_piece(content: str, mark: str, *, code: bool) -> str:
    sign = f"{SIGNS[mark]} " if mark else ""
    if code and "`" not in content:
        return f"{sign}`{content.replace('|', '/')}`" if content else ""
    return sign + _escaped(content)


def _escaped(content: str) -> str:
    """Return *content* so that Markdown shows it as it is."""
    return re.sub(r"([\\`*{}\[\]<>|~]|(?<!\w)_|_(?!\w))", r"\\\1", content.replace("\n", " "))


STYLE = """
.verdict { box-sizing: border-box; max-width: 62rem; margin: 0 auto; padding: 1rem 1.5rem 2rem; background: #fff; overflow-wrap: anywhere;
  color: #1d2127; font: 14px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.verdict h1, .verdict h2, .verdict p, .verdict ul, .verdict table { margin: 0; padding: 0; }
.verdict .banner { padding: .8rem 1.1rem; border-left: .5rem solid; border-radius: .3rem; margin-bottom: .7rem; }
.verdict h1 { font-size: 26px; line-height: 1.25; font-weight: 700; }
.verdict h2 { font-size: 15px; font-weight: 700; margin: 1.1rem 0 .3rem; border-bottom: 1px solid #d8dde4; }
.verdict p { margin: .3rem 0; }
.verdict ul { margin: .2rem 0 .4rem; padding-left: 1.3rem; list-style: disc; }
.verdict table { border-collapse: collapse; width: 100%; }
.verdict th, .verdict td { text-align: left; vertical-align: top; padding: .22rem .6rem .22rem 0;
  border-bottom: 1px solid #eceff3; }
.verdict th { font-weight: 600; color: #59626e; } .verdict th, .verdict td a { white-space: nowrap; }
.verdict td:first-child { min-width: 5rem; overflow-wrap: normal; }
.verdict code { font: 12.5px/1.4 ui-monospace, "DejaVu Sans Mono", monospace; }
.verdict a { color: #0b57d0; }
.verdict .mark { font-weight: 600; white-space: nowrap; }
.verdict .ready, .verdict .passed { color: #14692f; } .verdict .banner.ready { background: #e6f5ea; }
.verdict .not-ready, .verdict .failed { color: #b3121d; } .verdict .banner.not-ready { background: #fdeaec; }
.verdict .none, .verdict .not-run, .verdict .skipped, .verdict .not-applicable { color: #59626e; }
.verdict .banner.none { background: #eef1f5; }
.verdict .broken, .verdict .repaired { color: #8a4b00; }
@media (max-width: 640px) { .verdict { padding: .8rem; } .verdict h1 { font-size: 21px; }
  .verdict table, .verdict tbody, .verdict tr, .verdict td { display: block; } .verdict tr:first-child { display: none; }
  .verdict tr { padding: .3rem 0; border-bottom: 1px solid #d8dde4; } .verdict td { padding: .1rem 0; border: 0; }
  .verdict td:first-child, .verdict td:has(+ td > code) { font-weight: 600; }
  .verdict td:empty { display: none; } .verdict th, .verdict td a, .verdict .mark { white-space: normal; } }
@page { size: A4; margin: 8mm; }
@media print { .verdict { max-width: none; padding: 0; font-size: 8px; line-height: 1.25; }
  .verdict h1 { font-size: 15px; } .verdict h2 { font-size: 9px; margin-top: .35rem; } .verdict p { margin: .15rem 0; } .verdict code { font-size: 7px; }
  .verdict .banner { padding: .3rem .6rem; margin-bottom: .3rem; print-color-adjust: exact; }
  .verdict ul { margin: .1rem 0; } .verdict th, .verdict td { padding: .04rem .5rem .04rem 0; } }
"""


def document(blocks: Iterable[Block], title: str, report: str | None) -> str:
    """Return *blocks* as a document of its own, whose links lead into the rendered *report*; without one it has none."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>body {{ margin: 0; background: #f4f6f9; }}{STYLE}</style>\n</head>\n"
        f"<body>\n{fragment(blocks, report)}\n</body>\n</html>\n"
    )


def fragment(blocks: Iterable[Block], report: str | None = "") -> str:
    """Return *blocks* as a part of a page; links lead into *report*, by default the page itself."""
    inside = "\n".join(line for block in blocks for line in _lines(block, report))
    return f'<main class="verdict">\n{inside}\n</main>'


def _lines(block: Block, report: str | None) -> Iterator[str]:
    if isinstance(block, Banner):
        yield f'<div class="banner {block.mark}"><h1>{escape(block.headline)}</h1><p>{escape(block.meaning)}</p></div>'
    elif isinstance(block, Heading):
        yield f"<h2>{escape(block.text)}</h2>"
    elif isinstance(block, Paragraph):
        yield f"<p>{_line(block.line, report)}</p>"
    elif isinstance(block, Bullets):
        yield "<ul>" + "".join(f"<li>{_line(line, report)}</li>" for line in block.lines) + "</ul>"
    elif isinstance(block, Table):
        yield "<table><tr>" + "".join(f"<th>{escape(name)}</th>" for name in block.header) + "</tr>"
        for row in block.rows:
            yield "<tr>" + "".join(f"<td>{_line(cell, report)}</td>" for cell in row) + "</tr>"
        yield "</table>"


def _line(line: Line, report: str | None) -> str:
    return "".join(_piece(piece, report) for piece in line)


def _piece(piece: Text, report: str | None) -> str:
    content = escape(piece.text)
    if piece.code:
        content = f"<code>{content}</code>"
    if piece.report_id and report is not None:
        content = f'<a href="{escape(report)}#{piece.report_id}">{content}</a>'
    return f'<span class="mark {piece.mark}">{content}</span>' if piece.mark else content
