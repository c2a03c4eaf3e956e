"""Counted and listed things, as messages say them."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMED = 10


def number_of(count: int, noun: str) -> str:
    """Return *count* with its *noun* in the singular or plural: ``1 tenant``, ``1,000 files``."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def enumeration(names: Sequence[str]) -> str:
    """Return *names* as a list in a line: the first ten, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
