-- What is to be in the tenants' tables: the rows of the template's data files.
-- included by: observation.sql, and the phase that fills (\ir), after expectation.sql
-- leaves:      pg_temp.tenant_table (ordinal, tenant, space, name, relation): the tables of the template that a tenant has;
--              pg_temp.fill (name, file, sql, columns, key, stage): what is to be in which table, referred-to tables first;
--              pg_temp.prepare(tenant): completes pg_temp.fill by what the data files give for that tenant
BEGIN READ WRITE;

-- Where the template could not be applied, the tables that the tenants have stand for its tables.
INSERT INTO template_table
SELECT DISTINCT relname
  FROM pg_class JOIN pg_namespace AS space ON space.oid = relnamespace
 WHERE nspname IN (SELECT name FROM tenant) AND relkind IN ('r', 'p') AND NOT relispartition
   AND NOT (SELECT possible FROM expectation);

CREATE TEMPORARY VIEW tenant_table AS
SELECT tenant.ordinal, tenant.name AS tenant, space, relation.relname AS name, relation
  FROM tenant
  JOIN pg_namespace AS space    ON nspname = tenant.name
  JOIN pg_class AS relation     ON relnamespace = space.oid AND relkind IN ('r', 'p')
  JOIN template_table AS wanted ON wanted.name = relname;

CREATE TEMPORARY TABLE fill AS
WITH RECURSIVE deep (name, stage) AS (
    SELECT name, 0 FROM template_table
     UNION
    SELECT template_table.name, stage + 1
      FROM template_table JOIN deep ON deep.name = ANY (after)
     WHERE stage < (SELECT count(*) FROM template_table)
)
SELECT reference.name, file, sql, NULL::text[] AS columns, template_table.key,
       (SELECT max(stage) FROM deep WHERE deep.name = reference.name) AS stage
  FROM reference
  LEFT JOIN template_table USING (name);

DO $$
DECLARE
    stray text;
BEGIN
    SELECT file INTO stray FROM pg_temp.fill
     WHERE name NOT IN (SELECT template_table.name FROM pg_temp.template_table) AND (SELECT possible FROM pg_temp.expectation);
    IF stray IS NOT NULL THEN
        RAISE '% fills a table that no change makes', stray USING HINT = 'A data file is called as its table is: users.sql fills users.';
    END IF;
END $$;

-- The columns that a data file gives are those of its first row.
CREATE OR REPLACE FUNCTION pg_temp.prepare(tenant text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    file  record;
    given text[];
    own   text[];
BEGIN
    FOR file IN SELECT * FROM pg_temp.fill WHERE columns IS NULL LOOP
        SELECT array_agg(attname::text ORDER BY position) INTO own
          FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS part (number, position), pg_attribute
         WHERE conrelid = to_regclass(format('%I.%I', tenant, file.name)) AND contype = 'p' AND attrelid = conrelid AND attnum = number;
        BEGIN
            PERFORM pg_temp.enter(tenant);
            EXECUTE format('SELECT ARRAY(SELECT jsonb_object_keys(to_jsonb(line)) ORDER BY 1) FROM (%s) AS line LIMIT 1', file.sql) INTO given;
            SET LOCAL search_path = pg_catalog, pg_temp;
        EXCEPTION WHEN OTHERS THEN
            RAISE 'tenant "%": %: %', tenant, file.file, SQLERRM
            USING ERRCODE = SQLSTATE, HINT = 'A data file is one SELECT; current_schema() in it is the tenant.';
        END;
        IF NOT given @> coalesce(file.key, own) THEN
            RAISE '% does not give the primary key of %: %', file.file, file.name, array_to_string(coalesce(file.key, own), ', ');
        END IF;
        UPDATE pg_temp.fill SET columns = given, key = coalesce(file.key, own, given) WHERE name = file.name;
    END LOOP;
END $$;

COMMIT;
