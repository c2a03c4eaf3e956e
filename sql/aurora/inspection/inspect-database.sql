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

    -- Of a template with several tables, the first one that a data file fills stands for the tenant.
    SELECT row_to_json(line)
      FROM (SELECT 'tenant' AS kind, observed.name AS tenant, schema_exists, schema_owner, coalesce(is_table, false) AS table_exists,
                   CASE WHEN is_table THEN owner END AS table_owner,
                   primary_key,
                   coalesce(is_table, false) AND (SELECT possible FROM expectation)
                       AND NOT EXISTS (SELECT FROM difference
                                        WHERE difference.tenant = observed.name AND relation = observed_table.name
                                          AND class = 'column' AND expected <> 'absent') AS columns_ok,
                   row_count.rows,
                   wanted - coalesce(cardinality(missing), 0) - coalesce(cardinality(altered), 0) AS sample_rows,
                   row_count.rows - wanted + coalesce(cardinality(missing), 0) AS other_rows,
                   CASE WHEN NOT is_table THEN observed_table.kind END AS instead_of_table,
                   coalesce(is_table AND unlogged, false) AS unlogged,
                   coalesce(denied, schema_denied) AS denied,
                   coalesce(remedy, schema_remedy) AS remedy
              FROM observed
              LEFT JOIN observed_table ON observed_table.ordinal = observed.ordinal
                   AND observed_table.name = (SELECT name FROM template_table LEFT JOIN reference USING (name)
                                               ORDER BY file IS NULL, name COLLATE "C" LIMIT 1)
              LEFT JOIN row_count ON row_count.ordinal = observed.ordinal AND row_count.name = observed_table.name
             ORDER BY observed.ordinal) AS line;

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
