-- Give every configured tenant a role that works in the tenant's own schema, and holds nothing else.
-- connects to: the multi-tenant database
-- variables:   lock_wait (default 5min): how long to wait for another run
-- makes:       the role, named after the tenant with _role at its end, which cannot log in; the master user may take it
-- grants:      USAGE on the schema; SELECT, INSERT, UPDATE, DELETE on its tables and views, USAGE on its sequences, also on those
--              to come; EXECUTE on its functions, which PUBLIC loses where that is as PostgreSQL gives it by default
-- prints:      how many tenants there are, and how many roles and privileges were added; then JSON for programs, one object a line:
--              "isolated", "repaired", "failed"
-- A role that can do more than that, or is a member of another, is given nothing; what anybody granted is taken from nobody:
-- verification tells of both, and what would help.
-- Safe to run twice, concurrently and after an interruption.
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\ir ../../shared/lock.sql
\ir ../../shared/shape.sql
\ir ../../shared/isolation.sql
\ir ../../shared/failure.sql

CREATE TEMPORARY TABLE isolated (ordinal bigint, tenant text, role text);
CREATE TEMPORARY TABLE granted (number bigint GENERATED ALWAYS AS IDENTITY, tenant text, object text, found text, statement text);

-- First the roles: what each is to be granted is seen when it is there.
CREATE PROCEDURE pg_temp.isolate(stages int4range) LANGUAGE plpgsql AS $$
DECLARE
    task   record;
    step   record;
    detail text;
    hint   text;
BEGIN
    FOR task IN
        SELECT ordinal, tenant, array_agg(gap ORDER BY stage, object) AS gaps,
               row_number() OVER (ORDER BY ordinal) - 1 AS done, count(*) OVER () AS total
          FROM pg_temp.isolation AS gap
         WHERE statement IS NOT NULL AND stage <@ stages
         GROUP BY ordinal, tenant
         ORDER BY ordinal
    LOOP
        PERFORM pg_temp.progress('isolating', task.done, task.total);
        FOR step IN SELECT * FROM unnest(task.gaps) LOOP
            BEGIN
                EXECUTE step.statement;
                IF step.stage = 1 THEN
                    INSERT INTO pg_temp.isolated SELECT ordinal, name, role FROM pg_temp.configured WHERE name = task.tenant;
                ELSE
                    INSERT INTO pg_temp.granted (tenant, object, found, statement)
                    VALUES (task.tenant, step.object, step.found, step.statement);
                END IF;
            EXCEPTION WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                CALL pg_temp.fail(task.tenant, format('%s: %s', step.object, SQLERRM), SQLSTATE, detail, hint, step.object);
            END;
        END LOOP;
        -- Locks are held until the transaction ends, and the lock table is small.
        COMMIT;
        SET search_path = pg_catalog, pg_temp;
    END LOOP;
END $$;

CALL pg_temp.isolate('[1,1]');
CALL pg_temp.isolate('[2,4]');

SELECT (SELECT count(*) FROM pg_temp.tenant)   AS tenants,
       (SELECT count(*) FROM pg_temp.isolated) AS roles_created,
       (SELECT count(*) FROM pg_temp.granted)  AS privileges_set,
       (SELECT count(DISTINCT tenant) FROM pg_temp.isolation) AS not_isolated;

\pset format unaligned
\pset tuples_only on
SELECT row_to_json(line) FROM (SELECT 'isolated' AS kind, tenant, role FROM pg_temp.isolated ORDER BY ordinal) AS line;
-- What a new role is granted comes with it.
SELECT row_to_json(line)
  FROM (SELECT 'repaired' AS kind, tenant, object, found, statement, false AS with_table
          FROM pg_temp.granted WHERE tenant NOT IN (SELECT isolated.tenant FROM pg_temp.isolated) ORDER BY number) AS line;
SELECT pg_temp.failures();
\pset format aligned
\pset tuples_only off

CALL pg_temp.raise_failures();
