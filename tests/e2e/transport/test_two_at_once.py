"""Two runs on one cluster: one works, the other waits, and tells for whom and since when."""

from __future__ import annotations

import concurrent.futures
from dataclasses import replace

from etl_manager.provisioning.run import ProvisioningRun
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
WAITS = "waits for another run"


def test_others_wait_for_a_build_and_tell_for_whom(warmed, database):
    """A run that builds and one that only verifies: half a database is no finding. All are proven."""
    first = start_run(project(), warmed(), verify_only=False, warn=print, timeouts=BRIEF)
    first.ensure("database")
    shown: dict[str, list[str]] = {"schema": [], "inspection": []}
    with database.connect() as holder, concurrent.futures.ThreadPoolExecutor(3) as pool:
        holder.execute(HELD.encode())
        holder.execute("SELECT pg_advisory_lock(15)")
        building = pool.submit(first.ensure, "data")
        while not holder.execute(BUILDS.encode()).fetchall():
            assert not building.done(), building.result()

        def other(phase: str) -> ProvisioningRun:
            run = start_run(
                project(), warmed(), verify_only=phase == "inspection", warn=print,
                timeouts=replace(BRIEF, progress_delay=0.5, execution_timeout=60),
            )  # fmt: skip

            def status(line: str) -> None:
                shown[phase].append(line)
                if all(any(WAITS in line for line in lines) for lines in shown.values()) and not holder.closed:
                    holder.execute("SELECT pg_advisory_unlock_all()")

            run.sql_runner.bastion.run_command.on_status = status
            return run

        others = {phase: other(phase) for phase in shown}
        waiting = [
            pool.submit(run.ensure, "verification" if phase == "inspection" else phase) for phase, run in others.items()
        ]
        for run in (*waiting, building):
            assert all(state.schema_exists for state in run.result(40).tenants.values())
    for run in (first, *others.values()):
        run.close()
    for phase, lines in shown.items():
        [told, *_] = [line for line in lines if WAITS in line]
        assert told.startswith(f"{phase}: {WAITS}, process ")
        assert ", connected since 2" in told
    assert full_run(warmed(), again=False).proven
