"""The verification's output: psql's aligned tables agree with the facts, and what is cut or strange is an error."""

from __future__ import annotations

import pytest

from etl_manager.database.difference import Difference
from etl_manager.database.snapshot import DatabaseSnapshot, Template
from etl_manager.database.verification import Verification
from etl_manager.errors import VerificationError
from tests.unit.model.snapshots import snapshot, state

WELL = """\
 schemaname
------------
 tenant_a
 tenant_b
(2 rows)

 schemaname | tablename | tableowner
------------+-----------+------------
 tenant_a   | users     | postgres
 tenant_b   | users     | postgres
(2 rows)

  tenant  | user_count
----------+------------
 tenant_a |          5
 tenant_b |          5
(2 rows)

 tenant | object | expected | found | kind | remedy
--------+--------+----------+-------+------+--------
(0 rows)

"""
ONE_TABLE = Template(changes=("0001-users.sql",), tables=("users",), data=("users",), comparable=True)
TENANTS = ("tenant_a", "tenant_b")
COUNTED = {"tables": {"users": 5}, "reference_rows": {"users": 5}}


def facts(**differences: tuple[Difference, ...]) -> DatabaseSnapshot:
    """Return the snapshot that `WELL` is of, with *differences* of a tenant."""
    states = (state(name, differences=differences.get(name, ()), **COUNTED) for name in TENANTS)
    return snapshot(*states, template=ONE_TABLE)


def with_differences(table: str) -> str:
    """Return `WELL` with another fourth result set."""
    return WELL.rpartition("\n tenant |")[0] + "\n" + table


def test_result_sets_that_agree_with_the_facts():
    """Schemas, tables with owner, counts, and no difference."""
    read = Verification.read(WELL, facts(), live=False)
    assert read.schemas == TENANTS
    assert read.tables == {(tenant, "users"): "postgres" for tenant in TENANTS}
    assert read.counts == {(tenant, "users"): 5 for tenant in TENANTS}
    assert read.differences == ()


SEVERAL = """\
 schemaname
------------
 tenant_a
(1 row)

 schemaname | tablename | tableowner
------------+-----------+------------
 tenant_a   | orders    | postgres
 tenant_a   | users     | postgres
(2 rows)

  tenant  | table  | rows
----------+--------+------
 tenant_a | orders |    0
 tenant_a | users  |    5
(2 rows)

 tenant | object | expected | found | kind | remedy
--------+--------+----------+-------+------+--------
(0 rows)
"""


def test_every_table_of_the_template_is_counted():
    """With more tables than one the third set names them."""
    read = Verification.read(SEVERAL, snapshot(state("tenant_a")), live=False)
    assert read.counts == {("tenant_a", "orders"): 0, ("tenant_a", "users"): 5}
    assert read.csv().splitlines() == [
        "tenant,schema,table,exists,owner,rows,differences",
        "tenant_a,exists,orders,exists,postgres,0,none",
        "tenant_a,exists,users,exists,postgres,5,none",
    ]


WIDE = Difference("column-differs", "tenant_b", "column users.名前", "text DEFAULT 'x | y'", "integer", table="users")
WIDE_TABLE = """\
  tenant  |      object       |       expected       |  found  |      kind      | remedy
----------+-------------------+----------------------+---------+----------------+--------
 tenant_b | column users.名前 | text DEFAULT 'x | y' | integer | column-differs |
(1 row)
"""


def test_difference_may_hold_bars_and_wide_letters():
    """Psql pads letters of double width, and a value may itself hold a bar: the facts are compared without both."""
    read = Verification.read(with_differences(WIDE_TABLE), facts(tenant_b=(WIDE,)), live=False)
    assert read.of("tenant_b") == (WIDE,)
    assert read.of("tenant_a") == ()


FEW = Difference("rows-too-few", "tenant_a", "rows of users", "6", "5", table="users")
DISAGREE = {
    "a row more": (WELL.replace("tenant_b |          5", "tenant_b |          6"), facts(), "rows: only the verification has tenant_b.users 6"),
    "a schema less": (WELL, snapshot(state("tenant_a", **COUNTED), template=ONE_TABLE), "schemas: only the verification has tenant_b"),
    "a table less": (
        WELL,
        snapshot(state("tenant_a", **COUNTED), state("tenant_b", tables={}, reference_rows={}), template=ONE_TABLE),
        "tables: only the verification has tenant_b users",
    ),
    "a difference less": (WELL, facts(tenant_a=(FEW,)), "differences: only the inspection has tenant_a: rows of users: expected 6"),
    "a difference more": (with_differences(WIDE_TABLE), facts(), "differences: only the verification has tenant_b | column users"),
}  # fmt: skip


@pytest.mark.parametrize("case", DISAGREE)
def test_output_that_disagrees_with_the_facts_is_an_error(case):
    """Neither of the two is taken for true."""
    text, found, line = DISAGREE[case]
    with pytest.raises(VerificationError, match="The verification's output and the inspection disagree") as error:
        Verification.read(text, found, live=False)
    assert line in str(error.value)


def test_rows_of_live_tenants_may_change_meanwhile():
    """Where tenants have rows of their own, only which tables were counted is compared."""
    more = WELL.replace("tenant_b |          5", "tenant_b |          6")
    assert Verification.read(more, facts(), live=True).counts["tenant_b", "users"] == 6


STRANGE = {
    "nothing": ("", "other result sets"),
    "three sets": (WELL.rpartition("\n tenant |")[0], "other result sets"),
    "other columns": (WELL.replace("tableowner", "tableOWNER"), "other result sets"),
    "a set twice": (WELL + WELL, "other result sets"),
    "a row less than announced": (WELL.replace(" tenant_b | 5\n", "").replace(" tenant_b |          5\n", ""), "announces 2 rows and has 1"),
    "cut in mid-table": (WELL[: WELL.index(" tenant_b |          5")], "cut off"),
    "a count that is no number": (WELL.replace("         5", "       5.5"), "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", STRANGE)
def test_output_that_is_not_the_verifications_is_an_error(case):
    """What is missing, cut off or of another kind is never read as a proof."""
    text, told = STRANGE[case]
    with pytest.raises(VerificationError, match=told):
        Verification.read(text, facts(), live=False)
