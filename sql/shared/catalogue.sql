-- Describe how each table of the database is made; from here on the session is read-only.
-- included by: inspection (\ir), in the multi-tenant database
-- leaves:      pg_temp.described (schema, name, shape): one row a table;
--              pg_temp.shape (number, shape): one row for each way tables are made.
SET search_path = pg_catalog, pg_temp;
SET statement_timeout = 0;

BEGIN READ WRITE;

CREATE TEMPORARY TABLE described AS
WITH named_type AS (
    -- An array is replicated as its elements are.
    SELECT type.oid, base.typname AS base, base.typtype,
           base.typnamespace = 'pg_catalog'::regnamespace AS built_in,
           (SELECT extname
              FROM pg_depend AS member
              JOIN pg_extension ON pg_extension.oid = member.refobjid
             WHERE member.classid = 'pg_type'::regclass AND member.objid = base.oid AND member.deptype = 'e'
               AND member.refclassid = 'pg_extension'::regclass) AS extension
      FROM pg_type AS type
      JOIN pg_type AS base ON base.oid = CASE WHEN type.typtype = 'b' AND type.typcategory = 'A' AND type.typelem <> 0
                                              THEN type.typelem ELSE type.oid END
), column_list AS (
    SELECT attrelid, json_agg(json_build_object('name', attname, 'type', format_type(atttypid, atttypmod),
                                                'base', base, 'typtype', typtype, 'built_in', built_in,
                                                'extension', extension) ORDER BY attnum) AS columns
      FROM pg_attribute
      JOIN named_type ON named_type.oid = atttypid
     WHERE attnum > 0 AND NOT attisdropped
     GROUP BY attrelid
), key AS (
    SELECT conrelid, json_agg(attname ORDER BY position) AS columns
      FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS part (attnum, position), pg_attribute AS attribute
     WHERE contype = 'p' AND attribute.attrelid = conrelid AND attribute.attnum = part.attnum
     GROUP BY conrelid
)
SELECT space.nspname AS schema, relation.relname AS name,
       json_build_object('relkind', relkind, 'persistence', relpersistence, 'primary_key', key.columns,
                         'columns', coalesce(column_list.columns, '[]'))::text AS shape
  FROM pg_class AS relation
  JOIN pg_namespace AS space ON space.oid = relnamespace
  LEFT JOIN key         ON key.conrelid = relation.oid
  LEFT JOIN column_list ON column_list.attrelid = relation.oid
 WHERE relkind IN ('r', 'p', 'f', 'v', 'm')
   AND nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_');

CREATE TEMPORARY TABLE shape AS
SELECT row_number() OVER (ORDER BY shape COLLATE "C") AS number, shape
  FROM (SELECT DISTINCT shape FROM described) AS once;

COMMIT;
SET default_transaction_read_only = on;
