-- Tell a program how things stand before anything is changed. Changes nothing.
-- connects to: postgres, then to the multi-tenant database where that exists
-- prints:      JSON, one object a line: one "database", a "tenant" for each configured one, in the order of
--              config.json, a "stray_schema" for each tenant schema nobody configured, and one "end".
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\pset format unaligned
\pset tuples_only on

SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS database_exists \gset

SELECT row_to_json(line)
  FROM (SELECT 'database' AS kind,
               :'database' AS name,
               :'database_exists'::boolean AS exists,
               pg_encoding_to_char(encoding) AS encoding,
               pg_get_userbyid(datdba) AS owner,
               current_setting('server_version') AS server_version,
               current_user AS user
          FROM (VALUES (:'database')) AS wanted (name)
          LEFT JOIN pg_database ON datname = wanted.name) AS line;

\if :database_exists
    \connect -reuse-previous=on :"database_conninfo"
    \ir ../../shared/configuration.sql
    \ir ../../shared/observation.sql

    SELECT row_to_json(line)
      FROM (SELECT 'tenant' AS kind, name AS tenant, schema_exists, schema_owner, table_exists,
                   CASE WHEN table_exists THEN table_owner END AS table_owner,
                   primary_key,
                   table_exists AND ordinal NOT IN (SELECT ordinal FROM column_finding) AS columns_ok,
                   head_count.rows,
                   head_count.sample_rows,
                   head_count.rows - head_count.sample_rows
                       - coalesce(cardinality(head_count.altered), 0) AS other_rows,
                   CASE WHEN NOT table_exists THEN users_kind END AS instead_of_table,
                   table_exists AND unlogged AS unlogged,
                   denied,
                   remedy
              FROM observed
              LEFT JOIN head_count USING (ordinal)
             ORDER BY ordinal) AS line;

    SELECT row_to_json(line)
      FROM (SELECT 'stray_schema' AS kind, name AS schema FROM stray ORDER BY name COLLATE "C") AS line;
\else
    SELECT row_to_json(line)
      FROM (SELECT 'tenant' AS kind, name AS tenant, false AS schema_exists, NULL::text AS schema_owner,
                   false AS table_exists, NULL::text AS table_owner, NULL::text[] AS primary_key,
                   false AS columns_ok, NULL::bigint AS rows, NULL::bigint AS sample_rows,
                   NULL::bigint AS other_rows, NULL::text AS instead_of_table, false AS unlogged,
                   '{}'::text[] AS denied, NULL::text AS remedy
              FROM tenant
             ORDER BY ordinal) AS line;
\endif

SELECT row_to_json(line)
  FROM (SELECT 'end' AS kind, count(*) AS tenants FROM tenant) AS line;
