-- Show what is there for the configured tenants, and every difference from what should be. Changes nothing.
-- connects to: the multi-tenant database
-- prints:      the tenants' schemas; their tables of the template with owner; how many rows these have: of the one table
--              users as tenant and user_count, of other templates as tenant, table and rows;
--              then the findings (tenant, object, expected, found, kind, remedy): no row means that all is well.
--              A kind is for programs. A remedy is a statement for somebody who may do more than this user.
-- A finding is not an error here: whoever reads the output judges.
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\ir ../../shared/observation.sql

SELECT name AS schemaname
  FROM observed
 WHERE schema_exists
 ORDER BY ordinal;

SELECT tenant AS schemaname, name AS tablename, owner AS tableowner
  FROM observed_table
 WHERE is_table
 ORDER BY ordinal, name COLLATE "C";

SELECT coalesce(array_agg(name) = '{users}', false) AS only_users FROM template_table \gset
\if :only_users
    SELECT observed.name AS tenant, row_count.rows AS user_count
      FROM observed
      JOIN row_count USING (ordinal)
     ORDER BY ordinal;
\else
    SELECT observed.name AS tenant, row_count.name AS table, row_count.rows
      FROM observed
      JOIN row_count USING (ordinal)
     ORDER BY ordinal, row_count.name COLLATE "C";
\endif

SELECT tenant, object, expected, found, kind, remedy
  FROM finding
 ORDER BY number;
