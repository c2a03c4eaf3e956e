-- What every tenant must look like: the template applied to a scratch schema, read from the catalogue, and rolled back.
-- included by: whatever compares or builds tenants (\ir), after configuration.sql, in the multi-tenant database
-- leaves:      pg_temp.expected: the rows of pg_temp.described for the scratch schema; upto is the number of changes that were
--              applied; shown is the value in words;
--              pg_temp.template_table (name, key, after, shape): the tables, their primary keys, the tables they refer to, and how they
--              are made (table-shape.sql);
--              pg_temp.expectation (possible, problem, remedy): one row, whether and why not;
--              pg_temp.expect(every): adds to pg_temp.expected what there is after the last change, or after every one;
--              pg_temp.failing_line(schema, sql, message): at which line the statement of a change begins that fails so.
SELECT to_regclass('pg_temp.expectation') IS NULL AS to_expect \gset
\if :to_expect
\ir template.sql
\ir shape.sql
BEGIN READ WRITE;
\ir table-shape.sql

CREATE TEMPORARY TABLE expected (
    upto     bigint NOT NULL,
    class    text   NOT NULL,
    relation text,
    key      text   NOT NULL,
    object   text   NOT NULL,
    value    text   NOT NULL,
    id       oid,
    whole    text,
    shown    text   NOT NULL
);
CREATE TEMPORARY TABLE template_table (name text NOT NULL, key text[], after text[], shape json);
CREATE TEMPORARY TABLE expectation (possible boolean NOT NULL, problem text, remedy text);

-- PostgreSQL does not say at which statement of several EXECUTE failed. They are executed once more, one after another, to
-- find out, and rolled back. A statement ends with a line that ends in a semicolon, unless it cannot be parsed so.
CREATE FUNCTION pg_temp.failing_line(schema name, sql text, message text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    part  text := '';
    start integer := 1;
    found integer;
    line  record;
BEGIN
    FOR line IN
        SELECT text, number, number = max(number) OVER () AS last
          FROM pg_catalog.regexp_split_to_table(sql, E'\n') WITH ORDINALITY AS listed (text, number)
         ORDER BY number
    LOOP
        IF part = '' THEN
            CONTINUE WHEN line.text ~ '^\s*(--|$)' AND NOT line.last;
            start := line.number;
        END IF;
        part := part || line.text || E'\n';
        CONTINUE WHEN NOT line.last AND (line.text !~ ';\s*(--.*)?$' OR line.text ~ '--.*;\s*$');
        BEGIN
            PERFORM pg_temp.enter(schema);
            EXECUTE part;
            part := '';
        EXCEPTION WHEN OTHERS THEN
            IF SQLERRM = message THEN
                found := start;
            END IF;
            EXIT WHEN found IS NOT NULL OR SQLSTATE <> '42601';
        END;
    END LOOP;
    RAISE SQLSTATE 'ETL00';
EXCEPTION WHEN SQLSTATE 'ETL00' THEN
    RETURN found;
END $$;

CREATE FUNCTION pg_temp.expect(every boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    scratch constant name := pg_catalog.format('etl_manager_scratch_%s', pg_catalog.pg_backend_pid());
    change  record;
    rows    jsonb[] := '{}';
    tables  jsonb;
    why     text;
    helps   text;
    line    integer;
BEGIN
    BEGIN
        SET LOCAL client_min_messages = error;
        EXECUTE pg_catalog.format('CREATE SCHEMA %I', scratch);
        FOR change IN
            SELECT *, ordinal = max(ordinal) OVER () AS last FROM pg_temp.change ORDER BY ordinal
        LOOP
            BEGIN
                PERFORM pg_temp.enter(scratch);
                -- In a transaction an index cannot be built beside its table's use, which nobody uses here.
                EXECUTE CASE WHEN change.transactional THEN change.sql
                             ELSE pg_catalog.regexp_replace(change.sql, '\mINDEX\s+CONCURRENTLY\M', 'INDEX', 'gi') END;
                RESET ROLE;
            EXCEPTION WHEN OTHERS THEN
                line := pg_temp.failing_line(scratch, change.sql, SQLERRM);
                RAISE '%', pg_catalog.concat(change.file, ', line ' || line, ': ', SQLERRM);
            END;
            SET LOCAL search_path = pg_catalog, pg_temp;
            CONTINUE WHEN NOT every AND NOT change.last;
            -- The changes after the first one are another look at the same schema.
            PERFORM pg_temp.look_at(ARRAY[scratch::text]);
            CALL pg_temp.deparse(false);
            rows := array_append(rows, (SELECT jsonb_agg(to_jsonb(described) - 'space' || jsonb_build_object(
                                 'upto', change.ordinal,
                                 'shown', CASE class WHEN 'index' THEN pg_temp.index_shown(described.id, scope) ELSE value END))
                               FROM pg_temp.described
                               JOIN pg_temp.scope ON scope.id = described.space
                              WHERE scope.name = scratch));
        END LOOP;
        SET LOCAL search_path = pg_catalog, pg_temp;
        SELECT jsonb_agg(jsonb_build_object(
                   'name', relname,
                   'key', (SELECT jsonb_agg(attname ORDER BY position)
                             FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS part (number, position), pg_attribute
                            WHERE conrelid = class.oid AND contype = 'p' AND attrelid = conrelid AND attnum = number),
                   'shape', (SELECT replace(shape::text, scratch || '.', '')::json FROM pg_temp.table_shapes(ARRAY[class.oid])),
                   'after', (SELECT jsonb_agg(DISTINCT other.relname)
                               FROM pg_constraint JOIN pg_class AS other ON other.oid = confrelid
                              WHERE conrelid = class.oid AND contype = 'f' AND confrelid <> conrelid)))
          INTO tables
          FROM pg_class AS class
         WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = scratch) AND relkind IN ('r', 'p')
           AND NOT relispartition;
        RAISE SQLSTATE 'ETL00';
    EXCEPTION
        WHEN SQLSTATE 'ETL00' THEN
            NULL;
        WHEN OTHERS THEN
            why := SQLERRM;
            IF NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') THEN
                helps := pg_catalog.format('GRANT CREATE ON DATABASE %I TO %I', pg_catalog.current_database(), current_user);
            END IF;
    END;
    SET LOCAL search_path = pg_catalog, pg_temp;
    INSERT INTO pg_temp.expected
    SELECT line.* FROM unnest(rows) AS part, jsonb_populate_recordset(NULL::pg_temp.expected, part) AS line
     WHERE NOT EXISTS (SELECT FROM pg_temp.expected AS known WHERE known.upto = line.upto);
    IF NOT EXISTS (SELECT FROM pg_temp.expectation) THEN
        INSERT INTO pg_temp.expectation VALUES (why IS NULL, why, helps);
        INSERT INTO pg_temp.template_table
        SELECT (jsonb_populate_record(NULL::pg_temp.template_table, part)).* FROM jsonb_array_elements(tables) AS part;
    END IF;
END $$;

SELECT pg_temp.expect(false) \g /dev/null
ANALYZE expected;

COMMIT;
\endif
