"""A page as HTML that needs nothing else: ``reports/verdict.html``, and the first page of the rendered report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from etl_manager.report.blocks import Banner, Block, Bullets, Heading, Line, Paragraph, Table, Text

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
