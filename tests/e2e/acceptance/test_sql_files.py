"""A run reads its SQL files before it starts."""

from __future__ import annotations

from contextlib import ExitStack

from tests.e2e.acceptance.test_bad_input import untouched
from tests.e2e.acceptance.test_phases_in_order import added

MUST_NOT_RUN = {
    "database/drop.sql": ("-- ours\nDROP DATABASE IF EXISTS multitenant_analytics;\n", ":2: DROP DATABASE: "),
    "verification/sweep.sql": ("DELETE FROM tenant_a.users;\n", ":1: DELETE: "),
    "verification/early.sql": ("SELECT 1;\n\\q\nSELECT 1/0;\n", ":2: ends the file early"),
    "verification/shell.sql": ("\\! touch changed\n", ":1: a shell command"),
}


def test_file_that_would_not_be_run_is_wrong_use(built, cloud):
    """So is one whose name does not end as that of an SQL file."""
    with added(built, "sql/aurora/data/name.SQL", "SELECT 1;\n"):
        outcome = untouched(built, cloud, "--verify-only")
    assert outcome.status == 4
    assert "'sql/aurora/data/name.SQL' would not be run" in outcome.terminal


def test_files_that_must_not_run_are_wrong_use(built, cloud):
    """Exit 4, with each file and line, before anything is started."""
    with ExitStack() as stack:
        for name, (text, _) in MUST_NOT_RUN.items():
            stack.enter_context(added(built, f"sql/aurora/{name}", text))
        outcome = untouched(built, cloud, "--verify-only")
    assert outcome.status == 4
    lines = outcome.terminal.splitlines()
    for name, (_, told) in MUST_NOT_RUN.items():
        assert [line for line in lines if f"sql/aurora/{name}" in line and told in line], name
