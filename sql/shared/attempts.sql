-- Take on the role of each tenant, and try what it may do in its own schema and may not in another's. Nothing is changed: the
-- statements concern no row, and what they do is rolled back.
-- included by: observation.sql (\ir), after isolation.sql and expectation.sql
-- leaves:      pg_temp.isolation_found: the rows of pg_temp.isolation;
--              pg_temp.attempt (ordinal, tenant, role, own, schema, relation, number, verb, sql, refused, outcome): what was tried;
--              outcome is NULL where it was allowed, else SQLSTATE and message;
--              pg_temp.tried (ordinal, tenant, role, neighbour, unprotected): the tenants that were tried, in whose schema else, and
--              those of their tables for which row-level security is enabled and not in force for the role
-- A tenant's neighbour is the next one, and that of the last is the first: everybody's tables are tried once by another's role, so
-- that there are as many statements as tenants, and not as pairs of them. The catalogue is read for all pairs (isolation.sql).
-- The tables of the template take turns.
BEGIN READ WRITE;

-- Without the phase isolation there is no row: to plan the query for that takes longer than most statements of a small look.
SELECT CASE WHEN isolated THEN '' ELSE 'WITH NO DATA' END AS filled FROM configuration \gset
CREATE TEMPORARY TABLE isolation_found AS TABLE isolation :filled;
ANALYZE isolation_found;

CREATE TEMPORARY TABLE tried AS
WITH ring AS (
    SELECT configured.*, space.oid AS space, coalesce(lead(name) OVER in_turn, first_value(name) OVER in_turn) AS next
      FROM configured
      JOIN pg_namespace AS space ON nspname = name
    WINDOW in_turn AS (ORDER BY ordinal)
), turn AS (
    SELECT name, row_number() OVER (ORDER BY name COLLATE "C") - 1 AS number, count(*) OVER () AS tables FROM template_table
)
SELECT ring.ordinal, ring.name AS tenant, ring.role, nullif(next, ring.name) AS neighbour, turn.name AS relation,
       (SELECT attname FROM pg_attribute
         WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum LIMIT 1) AS column,
       ARRAY(SELECT oid FROM pg_class WHERE relnamespace = space AND relkind IN ('r', 'p') AND relrowsecurity) AS protected,
       NULL::text[] AS unprotected
  FROM ring
  JOIN tenant   ON tenant.name = ring.name
  JOIN pg_roles ON rolname = ring.role
  JOIN turn     ON number = ring.ordinal % tables
  JOIN pg_class AS relation ON relnamespace = space AND relname = turn.name AND relkind IN ('r', 'p')
 WHERE NOT EXISTS (SELECT FROM isolation_found AS gap WHERE gap.tenant = ring.name AND kind = 'isolation-missing');

CREATE TEMPORARY TABLE attempt AS
SELECT ordinal, tenant, role, own, schema, relation, number, verb, format(text, schema, relation, "column") AS sql,
       NULL::boolean AS refused, NULL::text AS outcome
  FROM tried
 CROSS JOIN LATERAL (VALUES (true, tenant), (false, neighbour)) AS whose (own, schema)
 CROSS JOIN (VALUES (1, 'SELECT', 'SELECT FROM %1$I.%2$I LIMIT 0'), (2, 'INSERT', 'INSERT INTO %1$I.%2$I SELECT WHERE false'),
                    (3, 'UPDATE', 'UPDATE %1$I.%2$I SET %3$I = DEFAULT WHERE false'), (4, 'DELETE', 'DELETE FROM %1$I.%2$I WHERE false'))
       AS listed (number, verb, text)
 WHERE schema IS NOT NULL;
CREATE INDEX ON attempt (ordinal);
ANALYZE attempt;

DO $$
DECLARE
    task     record;
    text     text;
    outcomes text[];
    states   text[];
    exposed  text[];
BEGIN
    -- Policies are to hide rows from the role, and not to be an error.
    SET LOCAL row_security = on;
    FOR task IN SELECT tried.*, ARRAY(SELECT sql FROM pg_temp.attempt WHERE attempt.ordinal = tried.ordinal ORDER BY own, number) AS statements,
                       row_number() OVER (ORDER BY ordinal) - 1 AS done, count(*) OVER () AS total
                  FROM pg_temp.tried ORDER BY ordinal LOOP
        PERFORM pg_temp.progress('trying what roles may do', task.done, task.total);
        states := '{}';
        outcomes := '{}';
        BEGIN
            EXECUTE format('SET LOCAL ROLE %I', task.role);
            FOREACH text IN ARRAY task.statements LOOP
                BEGIN
                    EXECUTE text;
                    RAISE SQLSTATE 'ETL00';
                EXCEPTION WHEN OTHERS THEN
                    states := states || SQLSTATE;
                    outcomes := outcomes || CASE SQLSTATE WHEN 'ETL00' THEN NULL ELSE concat(SQLSTATE, ' ', SQLERRM) END;
                END;
            END LOOP;
            exposed := ARRAY(SELECT id::regclass::text FROM unnest(task.protected) AS id WHERE NOT row_security_active(id) ORDER BY 1);
            RAISE SQLSTATE 'ETL00';
        EXCEPTION WHEN SQLSTATE 'ETL00' THEN
            NULL; -- the role is the master user's again
        END;
        UPDATE pg_temp.attempt SET outcome = said.outcome, refused = state = '42501'
          FROM (SELECT outcome, state, row_number() OVER () AS place FROM unnest(outcomes, states) AS listed (outcome, state)) AS said
         WHERE attempt.ordinal = task.ordinal AND place = number + CASE WHEN own AND task.neighbour IS NOT NULL THEN 4 ELSE 0 END;
        UPDATE pg_temp.tried SET unprotected = exposed WHERE tried.ordinal = task.ordinal;
    END LOOP;
END $$;

COMMIT;
