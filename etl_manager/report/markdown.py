"""A page as Markdown: ``reports/summary.md``, for a CI job's summary or a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from etl_manager.report.blocks import Banner, Block, Bullets, Heading, Line, Paragraph, Table

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
    return "\n".join(line for block in blocks for line in (*_lines(block), ""))


def _lines(block: Block) -> Iterator[str]:
    if isinstance(block, Banner):
        yield f"# {SIGNS[block.mark]} {_escaped(block.headline)}"
        yield ""
        yield _escaped(block.meaning)
    elif isinstance(block, Heading):
        yield f"## {_escaped(block.text)}"
    elif isinstance(block, Paragraph):
        yield _line(block.line)
    elif isinstance(block, Bullets):
        yield from (f"- {_line(line)}" for line in block.lines)
    elif isinstance(block, Table):
        yield f"| {' | '.join(block.header)} |"
        yield f"|{'---|' * len(block.header)}"
        yield from (f"| {' | '.join(_line(cell) for cell in row)} |" for row in block.rows)


def _line(line: Line) -> str:
    return "".join(_piece(piece.text, piece.mark, code=piece.code) for piece in line)


def _piece(content: str, mark: str, *, code: bool) -> str:
    sign = f"{SIGNS[mark]} " if mark else ""
    if code and "`" not in content:
        return f"{sign}`{content.replace('|', '/')}`" if content else ""
    return sign + _escaped(content)


def _escaped(content: str) -> str:
    """Return *content* so that Markdown shows it as it is."""
    return re.sub(r"([\\`*{}\[\]<>|~]|(?<!\w)_|_(?!\w))", r"\\\1", content.replace("\n", " "))
