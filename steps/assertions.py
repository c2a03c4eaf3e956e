"""Assertions of the steps: a failure says what was expected, what was found, and nothing else.

``pytest.fail`` without a traceback costs a tenth of a rewritten assert: a thousand tenants may fail at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from etl_manager.wording import bulleted, first_of


class ProofFailed(pytest.fail.Exception):  # type: ignore[misc, name-defined] # pytest gives its type no name
    """A proof that failed; reports show *expected* beside *found*."""

    def __init__(self, message: str, expected: object, found: object) -> None:
        super().__init__(message, pytrace=False)
        self.expected, self.found = expected, found


def assert_equal(what: str, *, expected: object, found: object) -> None:
    """Fail unless *found* is *expected*; *what* names tenant and object."""
    if found != expected:
        raise ProofFailed(f"{what}: expected {expected}, found {found}{_difference(expected, found)}", expected, found)


def assert_met(detail: str, *, met: bool) -> None:
    """Fail unless something was *met*; *detail* says what was found instead."""
    if not met:
        raise ProofFailed(detail, "met", detail)


def _difference(expected: object, found: object) -> str:
    if not (isinstance(expected, int) and isinstance(found, int)):
        return ""
    return f" ({abs(expected - found)} too {'few' if found < expected else 'many'})"


def assert_none(what: str, differences: Iterable[object]) -> None:
    """Fail when there are *differences*: each is a line of the message."""
    lines = [str(difference) for difference in differences]
    if lines:
        raise ProofFailed(f"{what}: {len(lines)}\n{bulleted(lines)}", "none", "\n".join(first_of(lines)))


def assert_same_set(what: str, *, expected: set[object], found: set[object]) -> None:
    """Fail unless two sets are the same: one too many fails like one too few."""
    missing = [f"missing: {_name(item)}" for item in sorted(expected - found, key=str)]
    surplus = [f"not expected: {_name(item)}" for item in sorted(found - expected, key=str)]
    assert_none(f"differences in the {what}", [*missing, *surplus])


def _name(item: object) -> str:
    return " ".join(map(str, item)) if isinstance(item, tuple) else str(item)
