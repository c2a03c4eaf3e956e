-- Tell a program how things stand before anything is changed. Changes nothing.
-- connects to: postgres, then to the multi-tenant database where that exists
-- prints:      JSON, one object a line: one "database", then what inspect-template.sql prints
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\pset format unaligned
\pset tuples_only on

SELECT row_to_json(line)
  FROM (SELECT 'database' AS kind,
               :'database' AS name,
               datname IS NOT NULL AS exists,
               pg_encoding_to_char(encoding) AS encoding,
               pg_get_userbyid(datdba) AS owner,
               current_setting('server_version') AS server_version,
               current_user AS user
          FROM (VALUES (:'database')) AS wanted (name)
          LEFT JOIN pg_database ON datname = wanted.name) AS line;

\ir inspect-template.sql
