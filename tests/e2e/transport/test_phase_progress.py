"""A phase that takes long tells how far it is, while it runs: the project's own SQL, psql, the bastion and SSM."""

from __future__ import annotations

import logging
from dataclasses import replace

from etl_manager.progress import NullProgress
from etl_manager.provisioning.startup import start_run
from tests.support.runs import BRIEF, project

SLOW = """
CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    -- Not the scratch schema, which is made before there is a ledger, or where sessions are read-only.
    IF to_regclass('etl_manager.applied') IS NOT NULL AND current_setting('default_transaction_read_only') = 'off' THEN
        IF NOT EXISTS (SELECT FROM etl_manager.applied) THEN
            PERFORM pg_sleep(5.6);
        ELSE
            PERFORM pg_advisory_xact_lock(14);
        END IF;
    END IF;
END $$;
CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE SCHEMA') EXECUTE FUNCTION slow();
"""
TOLD = "schema, applying changes: 1 of 3 tenants, "


def test_phase_that_takes_long_tells_how_far_it_is(warmed, database, caplog):
    """The second tenant's schema is not made before the terminal has shown that the first one's is; the log has it too."""
    caplog.set_level(logging.INFO, "etl_manager")
    shown: list[str] = []
    attached: dict[str, str] = {}
    progress = NullProgress()
    run = start_run(
        project(),
        warmed(),
        verify_only=False,
        progress=progress,
        attach=lambda name, text, _: attached.update({name: text}),
        warn=shown.append,
        timeouts=replace(BRIEF, progress_delay=6.0, execution_timeout=60),
    )
    try:
        run.ensure("database")
        with database.connect() as holder:
            holder.execute(SLOW.encode())
            holder.execute("SELECT pg_advisory_lock(14)")

            def status(line: str) -> None:
                shown.append(line)
                if line.startswith(TOLD):
                    holder.execute("SELECT pg_advisory_unlock_all()")

            run.sql_runner.bastion.run_command.on_status = status
            before = run.commands_sent
            assert all(state.schema_exists for state in run.ensure("schema").tenants.values())
            assert 2 <= run.commands_sent - before <= 4
    finally:
        run.close()
    assert any(line.startswith(TOLD) for line in shown)
    assert any(record.getMessage().startswith(f"phase schema: {TOLD}") for record in caplog.records)
    assert not any(
        "[PROGRESS]" in text for name, text in attached.items() if not name.endswith(".sql") or " of " in name
    )
