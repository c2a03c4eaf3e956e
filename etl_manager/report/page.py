"""The pages about a run: their contents as blocks, rendered as Markdown and as HTML by the templates beside this file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from etl_manager.gate.verdict import Scenarios, Verdict
from etl_manager.redaction import one_line, redact
from etl_manager.report import DATA_FILTER
from etl_manager.report.results import BAD, EXIT_STATUSES, Result
from etl_manager.report.verdict import RunVerdict
from etl_manager.wording import enumeration, number_of

if TYPE_CHECKING:
    from jinja2 import Environment

MOST = 8
"""Lines of a list; the report has them all."""
_LONGEST, _LONGEST_FILTER = 300, 1_200

HEADLINES = {"ready": "Ready for Phase 3", "not-ready": "Not ready for Phase 3", "none": "No verdict"}
IN_REHEARSAL = "Ready, in a rehearsal that was not on AWS"
MEANINGS = {
    "ready": "Every prerequisite that applies was proven in this run.",
    "not-ready": "Phase 3 must not start on this evidence.",
    "none": "Nothing here says that Phase 3 may start.",
}
REHEARSAL = "What answered was emulated, not AWS: this is a rehearsal, and proves nothing about an Aurora cluster."
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


@dataclass(frozen=True)
class Text:
    """A piece of a line; *report_id* is the scenario it links to, *mark* a state, *code* says that it is verbatim."""

    text: str
    report_id: str = ""
    mark: str = ""
    code: bool = False


Line = tuple[Text, ...]


@dataclass(frozen=True)
class Block:
    """A part of a page. A banner has two lines and a mark, headings and paragraphs one; a table's first row is its header."""

    kind: Literal["banner", "heading", "paragraph", "bullets", "table"]
    lines: tuple[Line, ...] = ()
    rows: tuple[tuple[Line, ...], ...] = ()
    mark: str = ""


def _line(*pieces: str | Text) -> Line:
    return tuple(Text(piece) if isinstance(piece, str) else piece for piece in pieces)


def _banner(mark: str, headline: str, meaning: str) -> Block:
    return Block("banner", (_line(headline), _line(meaning)), mark=mark)


def _heading(text: str) -> Block:
    return Block("heading", (_line(text),))


def _paragraph(*pieces: str | Text) -> Block:
    return Block("paragraph", (_line(*pieces),))


def _bullets(lines: Iterable[str | Text | Line]) -> Block:
    """Return the first of *lines*, and how many more there are."""
    items = [item if isinstance(item, tuple) else _line(item) for item in lines]
    more = [_line(f"… and {len(items) - MOST} more")] if len(items) > MOST else []
    return Block("bullets", (*items[:MOST], *more))


def _table(header: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Block:
    return Block("table", rows=tuple(tuple(_line(cell) for cell in row) for row in (header, *rows)))


def contents(assessment: RunVerdict, manifest: str) -> Iterator[Block]:
    """Yield the page about *assessment*; *manifest* is the SHA-256 of the manifest of digests."""
    record, gate = assessment.record, assessment.gate
    yield _banner(assessment.state, headline(assessment), MEANINGS[assessment.state])
    if gate:
        yield from _place_and_repairs(gate, f"{_time(record.started)} to {_time(record.finished)} UTC")
    if assessment.reasons:
        yield _paragraph("Why not:")
        yield _bullets(map(_short, assessment.reasons))
    if gate and assessment.state != "ready":
        only = " --verify-only" if gate.mode == "verify-only" else ""
        command = f"pytest features/ --target {gate.target}{only} --require-gate"
        yield _paragraph("When that is mended, prove it again: ", Text(command, code=True))
    if gate:
        yield from _prerequisites_and_filter(gate, lambda id_: _evidence(assessment.evidence(id_)))
    yield from _failures(assessment)
    yield from _changes(assessment)
    yield from _since(assessment)
    yield from _completeness(assessment)
    yield from _run(assessment, manifest)


def gate_contents(gate: Verdict) -> Iterator[Block]:
    """Yield the page about the gate's verdict alone."""
    state = "ready" if gate.ready else "not-ready"
    yield _banner("", f"Phase 3 gate: {state.replace('-', ' ')}", MEANINGS[state])
    yield from _place_and_repairs(gate, f"checked at {gate.checked_at.isoformat(timespec='seconds')}")
    if gate.reasons:
        yield _paragraph("Phase 3 may not start:")
        yield _bullets(map(_short, gate.reasons))
    yield from _prerequisites_and_filter(gate)
    source = gate.source
    bound_to = {
        "run": f"{gate.run_id}, {gate.mode}",
        "scenarios": counted(gate.scenarios),
        "commit": (source.commit or "none") + (", with changes it does not hold" if source.dirty else ""),
        "sql/": source.sql_sha256,
        "configuration": f"{source.config}, {source.config_sha256}",
    }
    yield _table(("bound to", ""), bound_to.items())


def headline(assessment: RunVerdict) -> str:
    """Return the verdict in a few words."""
    return IN_REHEARSAL if assessment.state == "ready" and assessment.emulated else HEADLINES[assessment.state]


def counted(scenarios: Scenarios | None) -> str:
    """Return how many scenarios ended how, the worst first."""
    counts = scenarios.model_dump(exclude={"promised"}) if scenarios else {}
    worst_first = ("failed", "not_run", "not_applicable", "passed")
    return (
        ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in worst_first if counts.get(name)) or "none ran"
    )


def _time(stamp: str) -> str:
    return stamp.partition("+")[0].replace("T", " ")


def _place_and_repairs(gate: Verdict, when: str) -> Iterator[Block]:
    """Yield where and when it was, since a verdict on another cluster is none on this one, and what was repaired first."""
    if gate.emulated:
        yield _paragraph(REHEARSAL)
    rows = {
        "target": gate.target + (", emulated" if gate.emulated else ""),
        "account": ", ".join(filter(None, (gate.account, gate.region))),
        "cluster": gate.cluster or gate.endpoint,
        "database": f"{gate.database}, {number_of(len(gate.tenants), 'tenant')}",
        "time": when,
    }
    yield _table(("where and when", ""), [(name, value) for name, value in rows.items() if value])
    repaired = [Text(line, mark="repaired") for phase in gate.phases for line in phase.repaired]
    if repaired:
        yield _paragraph(f"{number_of(len(repaired), 'repair')} by this run, before it proved anything:")
        yield _bullets(repaired)


def _prerequisites_and_filter(gate: Verdict, evidence: Callable[[str], Text] | None = None) -> Iterator[Block]:
    yield _heading("Prerequisites")
    rows: list[list[str | Text]] = [
        [
            item.title if evidence else f"{item.title} ({item.id})",
            Text(item.status.replace("-", " "), mark=item.status),
            _short(item.detail),
            *([evidence(item.id)] if evidence else []),
        ]
        for item in gate.prerequisites
    ]
    yield _table(("prerequisite", "status", "found", *(["evidence"] if evidence else [])), rows)
    yield _heading("Data filter")
    known = gate.data_filter
    if not known:
        yield _paragraph("None: none was proven in this run.")
        return
    yield _paragraph(Text(known if len(known) <= _LONGEST_FILTER else f"{known[:_LONGEST_FILTER]} …", code=True))
    if len(known) > _LONGEST_FILTER:
        yield _paragraph(f"The whole of it, {number_of(len(known), 'character')}, is in {DATA_FILTER}.")


def _evidence(results: Sequence[Result]) -> Text:
    """Return how many scenarios held, linked to the first of those that did not, else to the first of all."""
    if not results:
        return Text("none in this run")
    ran = [result for result in results if result.status != "skipped"]
    held = sum(result.status == "passed" for result in ran)
    shown = next((result for result in ran if result.status in BAD), results[0])
    return Text(f"{held} of {number_of(len(ran), 'scenario')} held" if ran else "not run", report_id=shown.report_id)


def _failures(assessment: RunVerdict) -> Iterator[Block]:
    if not assessment.bad:
        return
    yield _heading(f"What did not hold: {number_of(len(assessment.bad), 'scenario')}")
    by_kind: dict[str, dict[tuple[str, str], list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in assessment.bad:
        kind = result.kind.title if result.kind else "Unknown"
        by_kind[kind][result.scenario.file, result.scenario.name].append(result)
    for kind, groups in by_kind.items():
        mark = next(iter(groups.values()))[0].status
        yield _paragraph(Text(mark, mark=mark), f" {kind}")
        yield _bullets(_group(results) for results in groups.values())


def _group(results: Sequence[Result]) -> Line:
    """Return one line about the rows of a scenario that did not hold: a thousand tenants may be among them."""
    first = results[0]
    line = _line(Text(first.title, first.report_id), f": {_short(first.message)}")
    others = [result.labels.get("tenant") or result.title for result in results[1:]]
    if not others:
        return line
    return (*line, Text(f" (and {len(others)} more: {enumeration(others, MOST)})"))


def _changes(assessment: RunVerdict) -> Iterator[Block]:
    yield _heading("What this run changed in the database")
    gate = assessment.gate
    phases = [item for item in gate.phases if item.changed or item.unchanged] if gate else []
    if gate and gate.mode == "verify-only":
        yield _paragraph("Nothing: it was to prove only.")
    elif not any(item.changed for item in phases):
        nothing = "Nothing." if assessment.bad else "Nothing: it found everything as configured."
        yield _paragraph(nothing if phases else "Nothing is known.")
    else:
        yield Block(
            "bullets",
            tuple(
                _line(
                    f"{item.phase}: {item.created} created, {len(item.repaired)} repaired, {item.unchanged} left alone"
                    + (f", {len(item.lost)} lost" if item.lost else "")
                )
                for item in phases
            ),
        )
        if lost := [Text(line, mark="failed") for item in phases for line in item.lost]:
            yield _bullets(lost)


def _since(assessment: RunVerdict) -> Iterator[Block]:
    yield _heading("What is different from the last run")
    was = assessment.comparison
    if not was.previous:
        yield _paragraph("There is no earlier run of this target and database to compare with.")
        return
    yield _paragraph(f"The last run ended at {was.previous}; commit: {was.previous_commit}.")
    lines: list[Line] = []
    for name, results, mark in (
        ("newly broken", was.broken, "failed"),
        ("mended", was.mended, "passed"),
        ("new", was.new, ""),
    ):
        if results:
            links = [Text(item.title, item.report_id) for item in results[:MOST]]
            separated = [piece for link in links for piece in (Text("; "), link)][1:]
            rest = f" … and {len(results) - MOST} more" if len(results) > MOST else ""
            lines.append(_line(Text(f"{len(results)} {name}", mark=mark), ": ", *separated, rest))
    if was.gone:
        lines.append(_line(f"{len(was.gone)} gone: {enumeration(was.gone, MOST)}"))
    yield _bullets(lines) if lines else _paragraph("Every scenario ended as it did when it last ran.")


def _completeness(assessment: RunVerdict) -> Iterator[Block]:
    yield _heading("Is everything here that was promised")
    found = assessment.completeness
    whole = found.found == found.expected and not found.damaged
    yield _paragraph(
        Text("complete" if whole else "incomplete", mark="passed" if whole else "failed"),
        f": there is a result of {found.found} of {number_of(found.expected, 'scenario')} of the feature files"
        f" ({counted(assessment.gate.scenarios if assessment.gate else None)}).",
    )
    named: Mapping[str, Iterable[object]] = {
        "lost": found.missing,
        "cannot be read": found.unreadable,
        "attachment missing": found.missing_attachments,
        "not of the feature files": found.unexpected,
        "more than one result": found.duplicates,
        "not selected for this run": found.deselected,
    }
    if lines := [f"{name}: {item}" for name, items in named.items() for item in items]:
        yield _bullets(lines)


def _run(assessment: RunVerdict, manifest: str) -> Iterator[Block]:
    record, gate = assessment.record, assessment.gate
    yield _heading("The run")
    shown_above = {"target", "account", "region", "cluster", "database", "tenants"} if gate else set()
    facts = {
        "run": f"{record.run_id}, {gate.mode}" if gate else record.run_id,
        "pytest": f"exit status {record.exit_status}: {EXIT_STATUSES.get(record.exit_status, 'unknown')}",
        **{name: value for name, value in record.metadata.items() if name not in shown_above},
        "manifest": f"sha256:{manifest}",
    }
    cells = [(name, Text(value, code=True)) for name, value in facts.items()]
    half = (len(cells) + 1) // 2
    rows = [(*left, *right) for left, right in zip_longest(cells[:half], cells[half:], fillvalue=("", Text("")))]
    yield _table(("fact", "value", "fact", "value"), rows)


def _short(message: str) -> str:
    """Return *message* on one line of at most `_LONGEST` characters."""
    line = "; ".join(part.strip().removeprefix("- ") for part in message.splitlines() if part.strip())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def render(template: str, **values: object) -> str:
    """Return the file *template* of ``templates/``, filled with *values*."""
    return _templates().get_template(template).render(**values)


def markdown(blocks: Iterable[Block]) -> str:
    """Return *blocks* as Markdown, without secrets."""
    return redact(render("page.md", blocks=list(blocks)))


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["markdown"] = _as_markdown
    return environment


def _as_markdown(line: Line, mark: str = "") -> str:
    return (f"{SIGNS[mark]} " if mark else "") + "".join(map(_piece, line))


def _piece(piece: Text) -> str:
    sign = f"{SIGNS[piece.mark]} " if piece.mark else ""
    text = one_line(piece.text)
    if piece.code and text and not {"`", "|"} & set(text):  # neither can be escaped in code
        return f"{sign}`{text}`"
    return sign + re.sub(r"([\\`*{}\[\]<>|~&]|(?<!\w)_|_(?!\w))", r"\\\1", text)
