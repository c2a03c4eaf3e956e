"""Two runs on one cluster: one works, the other waits, and tells for whom and since when."""

from __future__ import annotations

import concurrent.futures
from dataclasses import replace

import pytest

from etl_manager.provisioning.startup import start_run
from tests.support.runs import BRIEF, full_run, project

HELD = """
CREATE FUNCTION held() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF to_regclass('etl_manager.applied') IS NOT NULL AND current_setting('default_transaction_read_only') = 'off' THEN
        PERFORM pg_advisory_xact_lock(15);
    END IF;
END $$;
CREATE EVENT TRIGGER held ON ddl_command_start WHEN TAG IN ('CREATE SCHEMA') EXECUTE FUNCTION held();
"""
"""Has a build wait in the middle of its schema phase, until the test lets it go on."""
BUILDS = "SELECT FROM pg_stat_activity WHERE wait_event = 'advisory'"


@pytest.mark.parametrize("verify_only", [False, True])
def test_second_run_waits_for_a_build_and_tells_for_whom(account, database, verify_only):
    """Also one that only verifies: half a database is no finding. Both are proven."""
    first = start_run(project(), account(), verify_only=False, warn=print, timeouts=BRIEF)
    first.ensure("database")
    shown: list[str] = []
    with database.connect() as holder, concurrent.futures.ThreadPoolExecutor(1) as pool:
        holder.execute(HELD.encode())
        holder.execute("SELECT pg_advisory_lock(15)")
        building = pool.submit(first.ensure, "data")
        while not holder.execute(BUILDS.encode()).fetchall():
            assert not building.done(), building.result()
        second = start_run(
            project(), account(), verify_only=verify_only, warn=print,
            timeouts=replace(BRIEF, progress_delay=0.5, execution_timeout=60),
        )  # fmt: skip

        def status(line: str) -> None:
            shown.append(line)
            if "waits for another run" in line:
                holder.execute("SELECT pg_advisory_unlock_all()")

        second.sql_runner.bastion.run_command.on_status = status
        found = second.ensure("verification" if verify_only else "data")
        assert all(state.schema_exists for state in found.tenants.values())
        assert all(state.schema_exists for state in building.result(30).tenants.values())
    first.close()
    second.close()
    phase = "inspection" if verify_only else "schema"
    [told, *_] = [line for line in shown if "waits for another run" in line]
    assert told.startswith(f"{phase}: waits for another run, process ")
    assert ", connected since 2" in told
    assert full_run(account()).proven
