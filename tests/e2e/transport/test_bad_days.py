"""Each bad day of AWS's: a run ends proven, or tells what is known and what to do; and the documentation says the same."""

from __future__ import annotations

import pytest

from tests.e2e.transport import faults
from tests.e2e.transport.faults import CASES, DOCUMENT


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_run_on_a_bad_day_ends_as_documented(case, account, database, warm):
    """It is proven where it can be; the row of docs/faults.md is what it shows.

    Where chance decides what a command left, the next run is proven all the same; the stress test has it so for all.
    """
    row, outcome = faults.row(case, account, database, warm)
    assert outcome.proven == case.proven, outcome.message
    assert row in DOCUMENT.read_text(encoding="utf-8").splitlines()


def test_documented_days_are_the_tested_ones():
    """The document has no row but those of the cases, and they are in their order."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    rows = lines[lines.index("|---|---|---|") + 1 :]
    assert [line.split("<br>")[0].removeprefix("| ") for line in rows] == [case.title for case in CASES]
    assert faults.document(rows).splitlines() == lines
