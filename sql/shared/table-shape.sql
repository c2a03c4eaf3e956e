-- How tables are made, as zero-ETL would find them.
-- included by: catalogue.sql and expectation.sql (\ir), in a transaction that may write, with search_path = pg_catalog, pg_temp
-- leaves:      pg_temp.table_shapes(ids): of each of these relations kind, persistence, primary key and columns with their types.
CREATE FUNCTION pg_temp.table_shapes(ids oid[]) RETURNS TABLE (id oid, shape json) LANGUAGE sql STABLE AS $$
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
     WHERE attrelid = ANY (ids) AND attnum > 0 AND NOT attisdropped
     GROUP BY attrelid
), key AS (
    SELECT conrelid, json_agg(attname ORDER BY position) AS columns
      FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS part (attnum, position), pg_attribute AS attribute
     WHERE contype = 'p' AND conrelid = ANY (ids) AND attribute.attrelid = conrelid AND attribute.attnum = part.attnum
     GROUP BY conrelid
)
SELECT relation.oid,
       json_build_object('relkind', relkind, 'persistence', relpersistence, 'primary_key', key.columns,
                         'columns', coalesce(column_list.columns, '[]'))
  FROM pg_class AS relation
  LEFT JOIN key         ON key.conrelid = relation.oid
  LEFT JOIN column_list ON column_list.attrelid = relation.oid
 WHERE relation.oid = ANY (ids)
$$;
