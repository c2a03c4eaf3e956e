-- Describe how each table of the database is made; from here on the session is read-only.
-- included by: inspection (\ir), in the multi-tenant database
-- leaves:      pg_temp.described (schema, name, shape): one row a table;
--              pg_temp.shape (number, shape): one row for each way tables are made.
SET search_path = pg_catalog, pg_temp;
SET statement_timeout = 0;

BEGIN READ WRITE;

\ir table-shape.sql

CREATE TEMPORARY TABLE described AS
WITH relation AS (
    SELECT class.oid AS id, nspname AS schema, relname AS name
      FROM pg_class AS class
      JOIN pg_namespace AS space ON space.oid = relnamespace
     WHERE relkind IN ('r', 'p', 'f', 'v', 'm')
       AND nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_')
)
SELECT schema, name, shape::text AS shape
  FROM relation
  JOIN pg_temp.table_shapes(ARRAY(SELECT id FROM relation)) USING (id);

CREATE TEMPORARY TABLE shape AS
SELECT row_number() OVER (ORDER BY shape COLLATE "C") AS number, shape
  FROM (SELECT DISTINCT shape FROM described) AS once;

COMMIT;
SET default_transaction_read_only = on;
