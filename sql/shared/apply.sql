-- Apply the template's changes to the tenants that lack them.
-- included by: create-tenant-schemas.sql (\ir), after compare.sql and failure.sql
-- leaves:      pg_temp.task (ordinal, name, schema_created, left_alone): one row a tenant;
--              pg_temp.tenant_table, and pg_temp.table_before: the template's tables of the tenants now, and before;
--              pg_temp.adopted and pg_temp.done (what was applied)
-- The ledger is etl_manager.applied. A row whose lost_at is set tells of a schema that somebody dropped.
\if :{?run}
\else
  \set run 'by hand'
\endif
SELECT set_config('etl_manager.run', :'run', false) \g /dev/null

DO $$ BEGIN
    IF to_regclass('etl_manager.applied') IS NULL THEN
        CREATE SCHEMA IF NOT EXISTS etl_manager;
        CREATE TABLE etl_manager.applied (
            tenant     text        NOT NULL,
            change     text        NOT NULL,
            sha256     text        NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now(),
            run        text        NOT NULL,
            adopted    boolean     NOT NULL DEFAULT false,
            lost_at    timestamptz,
            PRIMARY KEY (tenant, change));
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE 'the ledger of changes cannot be made: %', SQLERRM
    USING ERRCODE = 'insufficient_privilege',
          HINT = format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user);
END $$;

\ir ledger.sql

-- Nothing is applied while the template and the ledger disagree about what was.
DO $$
DECLARE
    problem record;
    told    text[] := '{}';
BEGIN
    FOR problem IN SELECT * FROM pg_temp.ledger_problem ORDER BY change COLLATE "C" LOOP
        told := told || format(
            CASE problem.kind
                WHEN 'change-edited' THEN 'sql/aurora/tenant/changes/%1$s was edited after it was applied: its sha256 is %2$s, and that of the change that %5$s tenants have is %3$s'
                WHEN 'change-gone' THEN 'sql/aurora/tenant/changes/%1$s is gone: %5$s tenants have it, with sha256 %3$s'
                ELSE 'sql/aurora/tenant/changes/%1$s is new, and stands before %4$s, which %5$s tenants already have'
            END, problem.change, problem.file_sha256, problem.sha256, problem.later, problem.tenants);
    END LOOP;
    IF told <> '{}' THEN
        RAISE '%', told[1]
        USING DETAIL = array_to_string(told[2:20], E'\n'),
              HINT = 'A change that was applied stays as it is: put its file back, and say what is new in a further file that comes last.';
    END IF;
END $$;

CREATE TEMPORARY VIEW tenant_table AS
SELECT tenant.name AS tenant, relname AS name
  FROM tenant
  JOIN pg_namespace AS space ON nspname = tenant.name
  JOIN pg_class ON relnamespace = space.oid AND relkind IN ('r', 'p')
  JOIN template_table ON template_table.name = relname;
CREATE TEMPORARY TABLE table_before AS TABLE tenant_table;

CREATE TEMPORARY TABLE task AS
SELECT tenant.ordinal, tenant.name, space.oid IS NULL AS create_schema, false AS schema_created,
       space.nspowner <> me.oid IS TRUE AND 'own-schema' <> ALL (denied) AS own_schema,
       denied && '{own-schema,create-table}' AS left_alone
  FROM tenant
  JOIN pg_roles AS me             ON me.rolname = current_user
  LEFT JOIN pg_namespace AS space ON space.nspname = tenant.name
 CROSS JOIN LATERAL pg_temp.denied(space, NULL) AS denied;
CREATE UNIQUE INDEX ON task (name);
ANALYZE task;

CREATE TEMPORARY TABLE adopted (ordinal bigint, tenant text, change text, differences bigint);
CREATE TEMPORARY TABLE done (ordinal bigint, tenant text, position bigint, change text);

-- Record a change that was applied; in the transaction that applied it.
CREATE FUNCTION pg_temp.record(work pg_temp.pending, by_adoption boolean) RETURNS void LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO etl_manager.applied (tenant, change, sha256, run, adopted)
    SELECT (work).tenant, name, sha256, current_setting('etl_manager.run'), by_adoption
      FROM pg_temp.change WHERE ordinal = (work).position
        ON CONFLICT (tenant, change) DO UPDATE
       SET sha256 = EXCLUDED.sha256, applied_at = now(), run = EXCLUDED.run, adopted = EXCLUDED.adopted, lost_at = NULL;
    INSERT INTO pg_temp.done
    SELECT (work).ordinal, (work).tenant, (work).position, (work).change WHERE NOT by_adoption;
END;

CREATE FUNCTION pg_temp.fail_change(work pg_temp.pending, message text, state text, detail text, hint text, in_change boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    SELECT * INTO change FROM pg_temp.change WHERE ordinal = work.position;
    CALL pg_temp.fail(
        work.tenant, message, state, detail,
        CASE WHEN NOT in_change AND NOT has_database_privilege(current_database(), 'CREATE')
             THEN format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user)
             WHEN state = '25001'
             THEN 'What cannot run in a transaction is a change of its own, of one statement, with a first line "-- no-transaction".'
             WHEN change.sql ~* '(?n)^\s*(begin|start transaction|commit|end|rollback)\s*;'
             THEN 'A change runs in a transaction of its own: leave out BEGIN and COMMIT.'
             ELSE hint END,
        file => CASE WHEN in_change THEN change.file END);
    -- To find the line, the change is run once more: not for every tenant of many.
    IF in_change AND change.transactional AND (SELECT count(*) FROM pg_temp.failure) <= 20 THEN
        UPDATE pg_temp.failure SET line = pg_temp.failing_line(work.tenant, change.sql, fail_change.message)
         WHERE number = (SELECT max(number) FROM pg_temp.failure);
    END IF;
END $$;

-- Make the schema where it is missing, or take it over where it is another's.
CREATE FUNCTION pg_temp.make_schema(work pg_temp.pending) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_temp.task WHERE name = work.tenant AND create_schema AND NOT schema_created) THEN
        EXECUTE format('CREATE SCHEMA %I', work.tenant);
        UPDATE etl_manager.applied SET lost_at = now() WHERE tenant = work.tenant AND lost_at IS NULL;
        UPDATE pg_temp.task SET schema_created = true WHERE name = work.tenant;
    END IF;
END $$;

CREATE PROCEDURE pg_temp.apply(first_position bigint, last_position bigint) LANGUAGE plpgsql AS $$
DECLARE
    step      record;
    work      pg_temp.pending;
    in_change boolean;
    detail    text;
    hint      text;
BEGIN
    FOR step IN
        SELECT item, done, max(done) OVER () + 1 AS total
          FROM (SELECT pending AS item, dense_rank() OVER (ORDER BY pending.ordinal) - 1 AS done
                  FROM pg_temp.pending
                  JOIN pg_temp.task ON name = tenant AND NOT left_alone
                 WHERE position BETWEEN first_position AND last_position) AS numbered
         ORDER BY done, (item).position
    LOOP
        PERFORM pg_temp.progress('applying changes', step.done, step.total);
        work := step.item;
        CONTINUE WHEN EXISTS (SELECT FROM pg_temp.failure WHERE failure.tenant = work.tenant);
        BEGIN
            in_change := false;
            PERFORM pg_temp.make_schema(work);
            in_change := true;
            PERFORM pg_temp.enter(work.tenant);
            EXECUTE (SELECT sql FROM pg_temp.change WHERE ordinal = work.position);
            SET CONSTRAINTS ALL IMMEDIATE; -- a deferred one would else fail at COMMIT, for all tenants
            RESET ROLE;
            SET LOCAL search_path = pg_catalog, pg_temp;
            in_change := false;
            PERFORM pg_temp.record(work, false);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            PERFORM pg_temp.fail_change(work, SQLERRM, SQLSTATE, detail, hint, in_change);
        END;
        -- Every new object holds a lock until its transaction ends, and the lock table is small.
        COMMIT;
        SET search_path = pg_catalog, pg_temp;
    END LOOP;
END $$;

-- A change without a transaction: the statements that psql is to send, and what came of them.
CREATE FUNCTION pg_temp.statements(of_tenant text, at bigint) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    work pg_temp.pending;
BEGIN
    SELECT pending.* INTO work FROM pg_temp.pending WHERE tenant = of_tenant AND position = at;
    IF NOT EXISTS (SELECT FROM pg_temp.failure WHERE tenant = of_tenant) THEN
        PERFORM pg_temp.make_schema(work);
        RETURN NEXT format('SET search_path = %I, pg_temp', of_tenant);
        RETURN QUERY SELECT sql FROM pg_temp.change WHERE ordinal = at;
    END IF;
END $$;

CREATE FUNCTION pg_temp.settle(of_tenant text, at bigint, failed boolean, message text, state text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    work    pg_temp.pending;
    invalid text;
BEGIN
    SELECT pending.* INTO work FROM pg_temp.pending WHERE tenant = of_tenant AND position = at;
    -- An index whose building was interrupted stays, is not used, and is no error to IF NOT EXISTS.
    SELECT string_agg(indexrelid::regclass::text, ', ') INTO invalid
      FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
     WHERE NOT indisvalid AND relnamespace = to_regnamespace(quote_ident(of_tenant));
    IF EXISTS (SELECT FROM pg_temp.failure WHERE tenant = of_tenant) THEN
        RETURN;
    ELSIF invalid IS NOT NULL THEN
        PERFORM pg_temp.fail_change(work, concat_ws('; ', CASE WHEN failed THEN message END, 'the index ' || invalid || ' is not valid'),
                             '55000', '', format('Take it away, and run again: DROP INDEX CONCURRENTLY %s', invalid), true);
    ELSIF failed THEN
        PERFORM pg_temp.fail_change(work, message, state, '', NULL, true);
    ELSE
        PERFORM pg_temp.record(work, false);
    END IF;
END $$;

-- A tenant without a row in the ledger that has tables of the template was made before, or by hand. It is recorded at the
-- change after which the template is most like it; what then differs is repaired, or told.
CREATE TEMPORARY TABLE resemblance (tenant text, upto bigint, differences bigint, whole boolean);
DO $$
DECLARE
    strangers text[] := ARRAY(
        SELECT DISTINCT tenant FROM pg_temp.table_before WHERE tenant NOT IN (SELECT applied.tenant FROM pg_temp.applied));
    count     bigint;
BEGIN
    IF strangers = '{}' THEN
        RETURN;
    END IF;
    PERFORM pg_temp.expect(true);
    FOR count IN SELECT ordinal FROM pg_temp.change ORDER BY ordinal LOOP
        CALL pg_temp.compare(strangers, count);
        INSERT INTO pg_temp.resemblance
        SELECT tenant, count, count(kind), count(*) FILTER (WHERE class = 'relation' AND expected <> 'absent') = 0
          FROM unnest(strangers) AS tenant LEFT JOIN pg_temp.difference USING (tenant)
         GROUP BY tenant;
    END LOOP;
    INSERT INTO pg_temp.adopted
    SELECT DISTINCT ON (tenant) task.ordinal, tenant, change.name, differences
      FROM pg_temp.resemblance
      JOIN pg_temp.task ON task.name = tenant AND NOT left_alone
      JOIN pg_temp.change ON change.ordinal = upto
     WHERE whole
     ORDER BY tenant, differences, upto;
    PERFORM pg_temp.record(pending, true)
       FROM pg_temp.adopted
       JOIN pg_temp.change ON change.name = adopted.change
       JOIN pg_temp.pending ON pending.tenant = adopted.tenant AND pending.position <= change.ordinal;
    INSERT INTO pg_temp.applied
    SELECT tenant, earlier.name, earlier.sha256
      FROM pg_temp.adopted
      JOIN pg_temp.change ON change.name = adopted.change
      JOIN pg_temp.change AS earlier ON earlier.ordinal <= change.ordinal;
END $$;

-- What is to be run, in order: changes that run in transactions together, each other one tenant by tenant.
-- In a variable's value a line does not end a command of psql; \\ does.
SELECT coalesce(string_agg(
           CASE WHEN transactional THEN format('CALL pg_temp.apply(%s, %s);', first_position, last_position)
                ELSE (SELECT string_agg(format($psql$
SELECT pg_temp.statements(%1$L, %2$s) \gexec \\
\set failed :ERROR \\
\set message :LAST_ERROR_MESSAGE \\
\set state :LAST_ERROR_SQLSTATE \\
SET search_path = pg_catalog, pg_temp;
SELECT pg_temp.settle(%1$L, %2$s, :'failed', :'message', :'state') AS settled \gset \\
$psql$, tenant, position), '' ORDER BY ordinal)
                        FROM pending WHERE position = first_position)
           END, E'\n' ORDER BY first_position), '') AS steps
  FROM (SELECT transactional, min(ordinal) AS first_position, max(ordinal) AS last_position
          FROM (SELECT *, count(*) FILTER (WHERE NOT transactional) OVER (ORDER BY ordinal) AS part FROM change) AS numbered
         GROUP BY part, transactional) AS stretch
\gset
\set ON_ERROR_STOP off
:steps
\set ON_ERROR_STOP on

-- What no exception block catches, such as a statement that somebody cancelled, has stopped all of it.
DO $$
DECLARE
    tenants bigint := (
        SELECT count(DISTINCT name)
          FROM pg_temp.pending
          JOIN pg_temp.task ON name = tenant AND NOT left_alone
         WHERE (tenant, position) NOT IN (SELECT done.tenant, done.position FROM pg_temp.done)
           AND tenant NOT IN (SELECT failure.tenant FROM pg_temp.failure));
BEGIN
    IF tenants > 0 THEN
        RAISE 'changes were not applied to % of % tenants', tenants, (SELECT count(*) FROM pg_temp.task)
        USING HINT = 'The error above says what stopped it. Run again: what was applied is recorded.';
    END IF;
END $$;
