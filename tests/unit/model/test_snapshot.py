"""The snapshot: what the inspection printed becomes facts, and what it did not print in whole is an error."""

from __future__ import annotations

import pytest

from etl_manager.database.difference import Difference
from etl_manager.database.snapshot import DatabaseSnapshot
from etl_manager.errors import VerificationError
from tests.unit.model.snapshots import absent, printed, snapshot, state

INDEX = Difference("index-missing", "a", "index users.users_name", "CREATE INDEX …", "missing", table="users")
STRAY = Difference("not-configured", "tenant_z", "schema", "not configured: absent", "exists")
LEDGER = Difference("ledger-not-readable", None, "ledger etl_manager.applied", "readable", "not readable", "GRANT …")
FOUND = snapshot(state("a", differences=(INDEX,)), absent("b"), strays=(STRAY,), common=(LEDGER,))
TEXT = printed(FOUND)


def test_every_line_becomes_a_fact():
    """Database, template, tenants in their order, pending changes, differences by tenant, and schemas not configured."""
    assert DatabaseSnapshot.read(TEXT) == FOUND
    assert list(DatabaseSnapshot.read(TEXT).tenants) == ["a", "b"]


def test_empty_lines_are_no_facts():
    """Between statements psql leaves empty lines."""
    assert DatabaseSnapshot.read(TEXT.replace("\n", "\n\n")) == FOUND


def test_differences_are_told_apart_by_what_they_are_about():
    """What concerns all tenants is a tenant's too; a kind that nobody named before is one of the shape."""
    assert FOUND.of("a", "shape") == (INDEX,)
    assert FOUND.of("b", "schema", "changes") == (*FOUND.tenants["b"].differences, LEDGER)
    assert Difference("collation-differs", "a", "…", "x", "y").aspect == "shape"


def test_another_encoding_is_a_difference():
    """Replication demands UTF8."""
    found = DatabaseSnapshot.read(printed(snapshot(state("a"), encoding="LATIN1")))
    assert [str(each) for each in found.differences] == ["encoding of database analytics: expected UTF8, found LATIN1"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.rpartition('{"kind": "end"')[0],
        TEXT.partition("\n")[2],
        printed(FOUND, tenants=3),
        printed(FOUND, findings=9),
        TEXT[:-20],
        TEXT.partition("\n")[0] + "\n" + TEXT,
        TEXT + '{"kind": "surprise"}\n',
        TEXT + "5\n",
        "psql: something else\n",
    ],
    ids=["nothing", "no end", "no database", "a tenant less", "a difference less", "cut off", "two databases",
         "unknown kind", "no object", "no JSON"],
)  # fmt: skip
def test_inspection_that_is_not_whole_is_an_error(text):
    """A tenant that is not listed is never taken for one that is in order."""
    with pytest.raises(VerificationError, match="The inspection"):
        DatabaseSnapshot.read(text)


@pytest.mark.parametrize(
    ("table", "reference_only", "rows"),
    [("users", False, 7), ("users", True, 5), ("orders", True, 3), ("orders", False, 3), ("parts", False, None)],
)
def test_rows_of_a_table(table, reference_only, rows):
    """Rows of the tenant's own are left out only where a data file says which the others are."""
    assert state("a", tables={"users": 7, "orders": 3}).rows(table, reference_only=reference_only) == rows


def test_rows_that_cannot_be_seen():
    """The reason takes the place of the number."""
    hidden = Difference(
        "row-level-security", "a", "table users", "all rows visible", "hidden", "ALTER …", table="users"
    )
    assert state("a", tables={"users": None}, differences=(hidden,)).rows("users", reference_only=True) == hidden
    assert hidden.found_and_remedy == "hidden; what helps: ALTER …"
