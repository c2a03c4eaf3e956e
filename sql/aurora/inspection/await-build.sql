-- Wait until no run builds the multi-tenant database: what it is at would be found half built. Changes nothing.
-- connects to: postgres
-- variables:   lock_wait (default 5min): how long to wait
-- prints:      nothing
-- Sessions that build, and that which looks from a run's first phase to its last, are named so (scripts/2-sql-execute.sh).
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\if :{?lock_wait}
\else
  \set lock_wait 5min
\endif
SELECT set_config('etl_manager.lock_wait', :'lock_wait', false) \g /dev/null

DO $$
DECLARE
    builder text;
    told text;
    began timestamptz := clock_timestamp();
    seen timestamptz := '-infinity';
BEGIN
    LOOP
        PERFORM pg_stat_clear_snapshot();
        SELECT format('process %s (%s), connected since %s', pid, application_name, date_trunc('second', backend_start))
          INTO builder
          FROM pg_stat_activity
         WHERE application_name ~ '^2-sql-execute\.\w+ building$'
           AND datname IN ('postgres', (SELECT database FROM pg_temp.configuration))
         ORDER BY pid
         LIMIT 1;
        -- Between two files of a build there is no session of it for a moment.
        EXIT WHEN builder IS NULL AND clock_timestamp() > seen + interval '2 s';
        IF builder IS NOT NULL THEN
            seen := clock_timestamp();
        END IF;
        IF clock_timestamp() > began + current_setting('etl_manager.lock_wait')::interval THEN
            RAISE 'another run builds here: %', coalesce(builder, told)
            USING HINT = format('Waited %s for it. Run again when it has ended.', current_setting('etl_manager.lock_wait'));
        END IF;
        IF builder <> told OR told IS NULL THEN
            RAISE INFO '[PROGRESS] waits=%', builder;
            told := builder;
        END IF;
        PERFORM pg_sleep(0.2);
    END LOOP;
END $$;
