"""A second evaluator of data filters, made as plain as possible, so that the compiler is not proven by its own code."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import pytest

Triple = tuple[str, str, str]


def _matcher(part: str, method: str) -> Callable[[str], bool]:
    if part == "*":
        return lambda _: True
    if part[0] != "/":
        return lambda name: name == part
    # Python's dot and dollar know one line terminator only, those of the filter know five.
    pieces = {".": r"[^\n\r\x85\u2028\u2029]", "$": r"(?=(\r\n|[\n\r\x85\u2028\u2029])?\Z)"}
    expression = "".join(pieces.get(atom, atom) for atom in re.findall(r"\\.|.", part[1:-1]))
    compiled = re.compile(expression, re.ASCII)
    return lambda name: getattr(compiled, method)(name) is not None


def plainly_taken(text: str, catalogue: Collection[Triple], method: str) -> set[Triple]:
    """Return what the filter takes, table by table; *method* is "fullmatch" or "search"."""
    taken: set[Triple] = set()
    for pattern in text.split(", "):
        keyword, expression = pattern.split(": ")
        parts = re.fullmatch(r"([^.]+)\.(/.*?(?<!\\)/|[^./]+)\.(/.*/|[^./]+)", expression)
        assert parts, expression
        database, schema, table = parts[1], _matcher(parts[2], method), _matcher(parts[3], method)
        schemas, tables = (
            set(filter(part, {t[place] for t in catalogue})) for place, part in ((1, schema), (2, table))
        )
        matching = {t for t in catalogue if t[0] == database and t[1] in schemas and t[2] in tables}
        taken = taken | matching if keyword == "include" else taken - matching
    return taken


@pytest.fixture
def taken() -> Callable[[str, Collection[Triple], str], set[Triple]]:
    """The second evaluator."""
    return plainly_taken
