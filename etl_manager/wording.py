"""Counted things, as messages say them."""

from __future__ import annotations


def number_of(count: int, noun: str) -> str:
    """Return *count* with its *noun* in the singular or plural: ``1 tenant``, ``1,000 files``."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"
