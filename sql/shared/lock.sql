-- One builder at a time; the lock ends with this session.
-- included by: the phases that build (\ir)
-- variables:   lock_wait (default 5min)
\if :{?lock_wait}
\else
  \set lock_wait 5min
\endif
SELECT set_config('etl_manager.lock_wait', :'lock_wait', false) \g /dev/null

-- Who has it; NULL where nobody does.
CREATE OR REPLACE FUNCTION pg_temp.builder() RETURNS text LANGUAGE sql AS $$
    -- An advisory lock of one bigint: its halves stand in classid and objid (PostgreSQL manual, pg_locks).
    SELECT format('process %s (%s), connected since %s', pid, coalesce(nullif(application_name, ''), 'no application name'),
                  date_trunc('second', backend_start))
      FROM pg_locks JOIN pg_stat_activity USING (pid)
     WHERE locktype = 'advisory' AND granted AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = hashtext('etl-manager')::bigint
     LIMIT 1
$$;

DO $$
BEGIN
    IF NOT pg_try_advisory_lock(hashtext('etl-manager')) THEN
        RAISE INFO '[PROGRESS] waits=%', coalesce(pg_temp.builder(), 'another run');
        PERFORM set_config('lock_timeout', current_setting('etl_manager.lock_wait'), true);
        PERFORM pg_advisory_lock(hashtext('etl-manager'));
    END IF;
EXCEPTION WHEN lock_not_available THEN
    RAISE 'another run builds here: %', coalesce(pg_temp.builder(), 'it just ended')
    USING HINT = format('Waited %s for it. Run again when it has ended.', current_setting('etl_manager.lock_wait'));
END $$;
