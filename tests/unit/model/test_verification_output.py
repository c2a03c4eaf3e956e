"""The verification's output: psql's aligned tables become facts, and what is cut or strange is an error."""

from __future__ import annotations

import pytest

from etl_manager.database.verification import Difference, Verification
from etl_manager.errors import VerificationError

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
FINDINGS = """\
  tenant  |   object    |        expected        |         found         |        kind         |   remedy
----------+-------------+------------------------+-----------------------+---------------------+------------
 tenant_a | rows        | 5                      | 4                     | rows-too-few        |
 tenant_a | sample rows | none missing           | missing 3             | sample-rows-missing |
 tenant_b | table users | readable               | not readable by chief | not-readable        | GRANT b TO chief
 tenant_z | schema      | not configured: absent | exists                | not-configured      |
(4 rows)
"""


def test_four_result_sets_become_facts():
    """Schemas, tables with owner, counts, and no finding."""
    read = Verification.read(WELL)
    assert read.schemas == ("tenant_a", "tenant_b")
    assert read.tables == {("tenant_a", "users"): "postgres", ("tenant_b", "users"): "postgres"}
    assert read.counts == {"tenant_a": 5, "tenant_b": 5}
    assert read.findings == ()


def test_findings_are_told_by_tenant():
    """A tenant's findings are its own; those of schemas nobody configured are kept apart."""
    read = Verification.read(WELL.rpartition("\n tenant |")[0] + "\n" + FINDINGS)
    assert read.of("tenant_a") == (
        Difference("tenant_a", "rows", "5", "4", "rows-too-few"),
        Difference("tenant_a", "sample rows", "none missing", "missing 3", "sample-rows-missing"),
    )
    assert [str(finding) for finding in read.of("tenant_b")] == [
        "tenant_b: table users: expected readable, found not readable by chief; what helps: GRANT b TO chief"
    ]
    assert read.uncounted == {"tenant_b"}
    assert [str(finding) for finding in read.strays(["tenant_a", "tenant_b"])] == [
        "tenant_z: schema: expected not configured: absent, found exists"
    ]


def test_value_may_hold_a_bar():
    """Columns are told by their place, not by the bars in a value."""
    odd = """\
 tenant | object | expected |  found   |  kind  | remedy
--------+--------+----------+----------+--------+--------
 a      | column | x | y    | a | b    | column | p | q
(1 row)
"""
    read = Verification.read(WELL.rpartition("\n tenant |")[0] + "\n" + odd)
    assert read.findings == (Difference("a", "column", "x | y", "a | b", "column", "p | q"),)


def test_nothing_there_is_read_as_nothing():
    """Empty result sets are sets without rows, and not an error."""
    empty = """\
 schemaname
------------
(0 rows)

 schemaname | tablename | tableowner
------------+-----------+------------
(0 rows)

 tenant | user_count
--------+------------
(0 rows)

 tenant | object | expected | found | kind | remedy
--------+--------+----------+-------+------+--------
(0 rows)
"""
    read = Verification.read(empty)
    assert (read.schemas, read.tables, read.counts) == ((), {}, {})


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
        Verification.read(text)
