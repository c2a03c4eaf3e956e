"""Counted and listed things, as messages say them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

MOST_NAMED, MOST_LISTED = 10, 20
"""Names in a line, and lines below one another, that a message shows; the report and the log have them all."""


def number_of(count: int, noun: str) -> str:
    """Return *count* with its *noun* in the singular or plural: ``1 tenant``, ``1,000 files``."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def enumeration(names: Sequence[object], most: int = MOST_NAMED) -> str:
    """Return *names* as a list in a line: the first *most* of them, and how many more there are."""
    more = len(names) - most
    return ", ".join(map(str, names[:most])) + (f" and {more:,} more" if more > 0 else "")


def first_of(lines: Sequence[object], most: int = MOST_LISTED) -> list[str]:
    """Return the first *most* of *lines*, and a line that says how many more there are."""
    more = len(lines) - most
    return [*map(str, lines[:most]), *([f"… and {more:,} more"] if more > 0 else [])]


def as_csv(rows: Iterable[Iterable[object]]) -> str:
    """Return *rows* as a table that spreadsheets read."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def bulleted(lines: Sequence[object]) -> str:
    """Return *lines* as a list below a message, a line each, and how many more there are."""
    return "\n".join(f"  - {line}" for line in first_of(lines))
