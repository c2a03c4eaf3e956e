"""What a page is made of, whether it is written as Markdown or as HTML."""

from __future__ import annotations

from dataclasses import dataclass


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
