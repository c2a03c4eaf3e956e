"""Whatever psql printed is either read whole or a `VerificationError`: typed lines and tables, cut, mixed or of other types."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_manager.database.drift import PhaseOutput
from etl_manager.database.snapshot import Catalogue, DatabaseSnapshot, read_counts
from etl_manager.database.verification import Verification
from etl_manager.errors import VerificationError
from tests.unit.model.snapshots import few_rows, missing_rows, printed, snapshot, state

bounded = settings(deadline=None, derandomize=True, max_examples=100, database=None)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
)
SNAPSHOT = printed(
    snapshot(
        state("a", differences=(few_rows("a", 4), missing_rows("a", "3"))), state("b", pending=("0002-orders.sql",))
    )
)
COLUMN = {"name": "id", "type": "integer", "typtype": "b", "nullable": False, "generated": False}
CATALOGUE = "".join(json.dumps(line) + "\n" for line in [
    {"kind": "server", "version": "16", "settings": {}},
    {"kind": "database", "name": "d", "encoding": "UTF8"},
    {"kind": "shape", "number": 1, "shape": {"relkind": "r", "persistence": "p", "primary_key": ["id"], "columns": []}},
    {"kind": "tables", "shape": 1, "name": "users", "schemas": ["a"]},
    {"kind": "partition", "schema": "a", "name": "p", "parent_schema": "a", "parent": "users"},
    {"kind": "end", "tables": 1},
])  # fmt: skip
PHASE = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in [
    {"kind": "adopted", "change": "1", "tenants": ["a"]},
    {"kind": "applied", "changes": ["1"], "tenants": ["a"]},
    {"kind": "repaired", "tenant": "a", "object": "o", "found": "f", "statement": "s", "with_table": False},
    {"kind": "inserted", "tenant": "a", "table": "t", "rows": 1},
])  # fmt: skip
COUNTS = "".join(json.dumps(line) + "\n" for line in [
    {"schema": "a", "table": "t", "rows": 1},
    {"schema": "a", "table": "u", "rows": None, "denied": "read", "user": "x", "remedy": "r"},
])  # fmt: skip
READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "snapshot": (DatabaseSnapshot.read, SNAPSHOT),
    "catalogue": (Catalogue.read, CATALOGUE),
    "phase": (PhaseOutput.read, PHASE),
    "counts": (read_counts, COUNTS),
}
BROKEN = st.sampled_from(["{", '{"kind":', '{"kind":"end"', "[]", "1", "null", '"x"', "{}", '{"kind":[]}', "[" * 100_000, "9" * 5_000,
                          '{"kind":"tenant"}', '{"kind":"end"}', "\u2028", "\x85"])  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn, text: str) -> str:
    """Lines of *text*, of which some are gone, doubled, cut, or hold another value."""
    lines = text.split("\n")[:-1]
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(lines) - 1)) if lines else 0
        way = draw(st.sampled_from(["gone", "cut", "value", "key", "broken"]))
        if way == "broken" or not lines:
            lines.insert(at, draw(BROKEN | texts | values.map(json.dumps)))
            continue
        line = lines[at]
        if way == "gone":
            lines.pop(at)
        elif way == "cut":
            lines[at] = line[: draw(st.integers(0, len(line)))]
        else:
            try:
                item = json.loads(line)
                key = draw(st.sampled_from(sorted(item)))
            except (ValueError, TypeError, RecursionError, IndexError):
                continue
            if way == "key":
                del item[key]
            else:
                item[key] = draw(values)
            lines[at] = json.dumps(item, separators=(",", ":"), ensure_ascii=False)
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("reader", READERS)
def test_lines_are_read_as_they_stand(reader):
    """What the properties spoil is whole before."""
    read, whole = READERS[reader]
    read(whole)


@pytest.mark.parametrize("reader", READERS)
def test_any_line(reader):
    """A line of any kind is an error that says so, or is read."""
    read, whole = READERS[reader]

    @bounded
    @given(spoilt(whole))
    def check(text: str) -> None:
        try:
            read(text)
        except VerificationError as error:
            assert error.message  # noqa: PT017 - either end is right

    check()


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x1c", "\u2029"])
def test_a_name_with_a_line_separator_ends_no_line(separator):
    """Only a newline does: JSON leaves others as they are, and PostgreSQL takes them in a name."""
    line = {"schema": f"a{separator}b", "table": "t", "rows": 1}
    assert read_counts(json.dumps(line, ensure_ascii=False) + "\n") == {(f"a{separator}b", "t"): 1}


TABLES = """ schema | x
--------+---
 a      | b
(1 row)

"""


@bounded
@given(
    st.lists(
        st.sampled_from(
            [*TABLES.splitlines(), "", "(2 rows)", "---", "+", "(99999999999999999999 rows)", f"({'9' * 5_000} rows)"]
        )
        | texts,
        max_size=14,
    )
)
def test_any_tables(lines):
    """Tables that are cut, mixed or of another kind are an error."""
    with pytest.raises(VerificationError):
        Verification.read("\n".join(lines), snapshot(state("a")), live=False)
