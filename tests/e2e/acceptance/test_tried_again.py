"""What ends a phase ends it for the whole run: a plugin's time limit, and a plugin that tries failed tests again."""

from __future__ import annotations

from tests.e2e.acceptance.test_phases_in_order import BUILDING, added

SLOW = "sql/aurora/data/a-slow.sql"
LIMIT = """\
import signal

import pytest

from etl_manager.provisioning.sql_runner import SqlRunner

send = SqlRunner.send


def end(number, frame):
    pytest.fail("Timeout (>2.0s)")


def limited(self, title, *arguments, **how):
    # As pytest-timeout does, but only while the phases are at work.
    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 2 if title.startswith("phases") else 0)
    try:
        return send(self, title, *arguments, **how)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


SqlRunner.send = limited
"""
AGAIN = """\
import pytest
from _pytest.runner import runtestprotocol


def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""


def test_interrupted_phase_is_sent_once(built, cloud):
    """The scenario that met the time limit fails; the others are not run because of it, and the bastion is left alone."""
    with added(built, SLOW, "SELECT pg_sleep(60);\n"), added(built, "limit.py", LIMIT), cloud.counted() as commands:
        outcome = built.run(*BUILDING, "-p", "limit")
    assert outcome.status == 1
    assert outcome.counts == {"failed": 1, "skipped": 13}, outcome.terminal
    assert "not run because phase database was interrupted: Timeout (>2.0s)" in outcome.terminal
    assert len([command for command in commands if " phases " in command["Comment"]]) == 1


def test_last_scenario_tried_again_meets_the_same_run(built, cloud):
    """A rerun after the session's fixtures were torn down opens nothing anew: what failed stays failed, and is sent once."""
    mistake = added(built, "sql/aurora/schema/zz-mistake.sql", "SELECT 1/0;\n")
    with mistake, added(built, "again.py", AGAIN), cloud.counted() as commands:
        outcome = built.run("features/2-schema.feature", "-p", "again", "-k", "nobody")
    assert outcome.status == 1
    assert outcome.counts["failed"] == 1
    assert "division by zero" in outcome.terminal
    assert len([command for command in commands if " phases " in command["Comment"]]) == 1


def test_changes_of_a_repetition_are_not_made_good_by_another(built, cloud):
    """A phase that is not safe to repeat fails its scenario, also where the third time nothing is left to change."""
    once = (
        "CREATE TABLE IF NOT EXISTS public.times (n integer);\n"
        "INSERT INTO public.times SELECT 1;\n"
        "DO $$ BEGIN IF (SELECT count(*) = 2 FROM public.times) THEN\n"
        "  INSERT INTO tenant_a.users VALUES (6, 'x', 'x'); END IF; END $$;\n"
    )
    file, plugin = added(built, "sql/aurora/data/zz-times.sql", once), added(built, "again.py", AGAIN)
    with file, plugin, cloud.counted() as commands:
        outcome = built.run("features/4-verification.feature::Provisioning again changes nothing", "-p", "again")
    assert outcome.status == 1, outcome.terminal
    assert outcome.counts == {"failed": 1}
    assert len([command for command in commands if " phases " in command["Comment"]]) == 1
