"""A run reads its SQL files before it starts, runs a user's own phase once, and tells why psql stopped."""

from __future__ import annotations

import pytest

from tests.e2e.acceptance.test_bad_input import untouched
from tests.e2e.acceptance.test_phases_in_order import BUILDING, added

DUMP = """\
CREATE SCHEMA reporting;
CREATE TABLE reporting.daily (day date NOT NULL, tenant text NOT NULL, users bigint);
COPY reporting.daily (day, tenant, users) FROM stdin;
2026-11-26	tenant_a	5
2026-11-26	tenant_b	\\N
\\.
"""


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("database/drop.sql", "-- ours\nDROP DATABASE IF EXISTS multitenant_analytics;\n", ":2: DROP DATABASE: "),
        ("verification/sweep.sql", "DELETE FROM tenant_a.users;\n", ":1: DELETE: "),
        ("verification/early.sql", "SELECT 1;\n\\q\nSELECT 1/0;\n", ":2: ends the file early"),
        ("verification/shell.sql", "\\! touch changed\n", ":1: a shell command"),
        ("data/name.SQL", "SELECT 1;\n", " would not be run"),
    ],
)
def test_file_that_must_not_run_is_wrong_use(built, cloud, name, text, told):
    """Exit 4, with file and line, before anything is started."""
    with added(built, f"sql/aurora/{name}", text):
        outcome = untouched(built, cloud, "--verify-only")
    assert outcome.status == 4
    assert f"sql/aurora/{name}" in outcome.terminal
    assert told in outcome.terminal


def test_what_a_file_destroys_on_purpose_is_shown(built, cloud):
    """Plan, terminal, log and report name the file and the reason that its header gives."""
    text = "-- destroys: rows of a load test\nDELETE FROM tenant_a.users WHERE user_id > 1000;\n"
    with added(built, "sql/aurora/data/sweep.sql", text):
        plan = built.run("features/", "--plan")
        outcome = built.run(*BUILDING)
    assert outcome.status == 0, outcome.terminal
    assert "sql/aurora/data/sweep.sql, which destroys: rows of a load test" in plan.terminal
    for sink in (outcome.terminal, outcome.log):
        assert "sql/aurora/data/sweep.sql destroys: rows of a load test" in sink
    assert "what sql/aurora/data/sweep.sql destroys" in outcome.evidence


def test_phase_of_ones_own_runs_once(built, cloud):
    """A dump that could not be loaded twice is a phase; it is said that it was not repeated."""
    config = built.write("own.json", {"aurora": {"phases": {"reporting": {"connection_db": "multitenant_analytics"}}}})
    try:
        with added(built, "sql/aurora/reporting/dump.sql", DUMP):
            outcome = built.run(*BUILDING, "--config-json", config)
        assert outcome.status == 0, outcome.terminal
        assert "run once, and not repeated: reporting" in outcome.terminal
        assert cloud.rows("SELECT count(*) FROM reporting.daily") == [(2,)]
    finally:
        cloud.execute("DROP SCHEMA reporting CASCADE")


def test_file_of_the_four_phases_that_cannot_be_repeated_is_told_so(built, cloud):
    """It fails where it is repeated, with the reason that it was, and where it belongs."""
    try:
        with added(built, "sql/aurora/data/zz-dump.sql", DUMP):
            outcome = built.run(*BUILDING)
        assert outcome.status == 1
        assert 'schema "reporting" already exists' in outcome.terminal
        assert "run a second time, to prove that they can be" in outcome.terminal
        assert "belongs into a phase of its own" in outcome.terminal
    finally:
        cloud.execute("DROP SCHEMA reporting CASCADE")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "SELECT 1;\n\\copy x from 'seed/shops.csv'\n",
            "psql could not go on: seed/shops.csv: No such file or directory",
        ),
        ("SELECT 1;\n\\frobnicate\n", "psql could not go on: invalid command \\frobnicate"),
        (
            "\\set ON_ERROR_STOP off\nCREATE EXTENSION no_such; \\set ON_ERROR_STOP on\nSELECT * FROM public.no_such_table;\n",
            'PostgreSQL refused a statement: relation "public.no_such_table" does not exist',
        ),
    ],
)
def test_real_cause_is_told(built, cloud, text, told):
    """Psql's own errors and the fatal one, with file and line."""
    with added(built, "sql/aurora/data/zz-stops.sql", text):
        outcome = built.run(*BUILDING)
    assert outcome.status == 1
    assert told in outcome.terminal
    assert f"sql/aurora/data/zz-stops.sql:{text.count(chr(10))}" in outcome.terminal
