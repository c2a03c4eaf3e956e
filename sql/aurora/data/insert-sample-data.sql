-- Put into every configured tenant's tables the rows that the tenant template says (sql/aurora/tenant/data).
-- connects to: the multi-tenant database
-- needs:       sql/aurora/schema
-- prints:      how many tenants there are, how many rows were inserted, and how many tenants were left as they are,
--              since the user may not see all of their rows or insert any: verification says what would let it; then JSON
--              for programs, one object a line: "inserted" (tenant, table, rows)
-- A row that is there is never changed or deleted. Safe to run twice, concurrently and after an interruption.
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\ir ../../shared/privileges.sql
\ir ../../shared/expectation.sql
\ir ../../shared/rows.sql

CREATE TEMPORARY TABLE task AS
SELECT tenant.ordinal, tenant.name, fill.name AS table_name, stage, relation.oid AS relation, relation.relkind, denied && '{read,see-all-rows,insert}' AS left_alone
  FROM tenant
 CROSS JOIN fill
  LEFT JOIN pg_namespace AS space ON space.nspname = tenant.name
  LEFT JOIN pg_class AS relation  ON relation.relnamespace = space.oid AND relation.relname = fill.name
 CROSS JOIN LATERAL pg_temp.denied(space, relation) AS denied;

CREATE TEMPORARY TABLE inserted (ordinal bigint, tenant text, name text, rows bigint NOT NULL);

DO $$
DECLARE
    task      record;
    file      record;
    processed integer := 0;
    rows      bigint;
    detail    text;
    hint      text;
BEGIN
    FOR task IN
        SELECT *, max(done) OVER () + 1 AS total
          FROM (SELECT *, dense_rank() OVER (ORDER BY ordinal) - 1 AS done FROM pg_temp.task WHERE NOT left_alone) AS numbered
         ORDER BY ordinal, stage, table_name
    LOOP
        PERFORM pg_temp.progress('inserting rows', task.done, task.total);
        BEGIN
            IF task.relkind NOT IN ('r', 'p') THEN
                RAISE '% exists and is not an ordinary table (relkind %)', task.table_name, task.relkind
                USING ERRCODE = 'wrong_object_type', HINT = 'Move it away; nothing is dropped here.';
            END IF;
            PERFORM pg_temp.prepare(task.name);
            SELECT * INTO file FROM pg_temp.fill WHERE fill.name = task.table_name;
            CONTINUE WHEN file.columns IS NULL;
            PERFORM pg_temp.enter(task.name);
            EXECUTE format(
                -- Asked first, and not left to the conflict alone: a table that lost its key must not fill up.
                'INSERT INTO %1$I.%2$I (%3$s) OVERRIDING SYSTEM VALUE
                 SELECT %6$s FROM (%4$s) AS wanted
                  WHERE NOT EXISTS (SELECT FROM %1$I.%2$I AS present WHERE %5$s)
                 ON CONFLICT DO NOTHING',
                task.name, task.table_name,
                (SELECT string_agg(quote_ident(name), ', ' ORDER BY name) FROM unnest(file.columns) AS name),
                file.sql,
                (SELECT string_agg(format('present.%1$I = wanted.%1$I', name), ' AND ') FROM unnest(file.key) AS name),
                -- A constant of a data file is a text; without a length, so that what is too long is an error.
                (SELECT string_agg(format('%I', name) || coalesce('::' || format_type(atttypid, NULL), ''), ', ' ORDER BY name)
                   FROM unnest(file.columns) AS name
                   LEFT JOIN pg_attribute ON attrelid = task.relation AND attname = name AND NOT attisdropped));
            GET DIAGNOSTICS rows = ROW_COUNT;
            SET LOCAL search_path = pg_catalog, pg_temp;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            RAISE '%', CASE WHEN starts_with(SQLERRM, 'tenant ') THEN SQLERRM ELSE format('tenant "%s": %s', task.name, SQLERRM) END
            USING ERRCODE = SQLSTATE, DETAIL = detail, HINT = hint;
        END;
        INSERT INTO pg_temp.inserted VALUES (task.ordinal, task.name, task.table_name, rows);
        processed := processed + 1;
        -- Locks are held until the transaction ends, and the lock table is small.
        IF processed % 20 = 0 THEN
            COMMIT;
        END IF;
    END LOOP;
END $$;

SELECT (SELECT count(*) FROM tenant)                                   AS tenants,
       (SELECT coalesce(sum(rows), 0) FROM inserted)                   AS rows_inserted,
       (SELECT count(DISTINCT ordinal) FROM task WHERE left_alone)     AS not_permitted;

\pset format unaligned
\pset tuples_only on
SELECT row_to_json(fact)
  FROM (SELECT 'inserted' AS kind, tenant, name AS table, rows FROM inserted WHERE rows > 0 ORDER BY ordinal, name COLLATE "C") AS fact;
\pset format aligned
\pset tuples_only off
