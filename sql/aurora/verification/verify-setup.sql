-- Show what is there for the configured tenants, and every difference from what should be. Changes nothing.
-- connects to: the multi-tenant database
-- prints:      the tenants' schemas; their users tables with owner; their user counts;
--              then the findings (tenant, object, expected, found): no row means that all is well.
-- A finding is not an error here: whoever reads the output judges.
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\ir ../../shared/observation.sql

SELECT name AS schemaname
  FROM observed
 WHERE schema_exists
 ORDER BY ordinal;

SELECT name AS schemaname, 'users' AS tablename, table_owner AS tableowner
  FROM observed
 WHERE table_exists
 ORDER BY ordinal;

SELECT observed.name AS tenant, head_count.rows AS user_count
  FROM observed
  JOIN head_count USING (ordinal)
 ORDER BY ordinal;

WITH finding (ordinal, position, tenant, object, expected, found) AS (
    SELECT ordinal, 1, name, 'schema', 'exists', 'missing'
      FROM observed
     WHERE NOT schema_exists
     UNION ALL
    SELECT ordinal, 2, name, 'schema owner', current_user::text, schema_owner::text
      FROM observed
     WHERE schema_owner <> current_user
     UNION ALL
    SELECT ordinal, 3, name, 'table users', 'ordinary table', coalesce(users_kind, 'missing')
      FROM observed
     WHERE schema_exists AND NOT table_exists
     UNION ALL
    SELECT ordinal, 4, name, 'table owner', current_user::text, table_owner::text
      FROM observed
     WHERE table_exists AND table_owner <> current_user
     UNION ALL
    SELECT ordinal, 5, name, 'table users', 'logged', 'unlogged'
      FROM observed
     WHERE table_exists AND unlogged
     UNION ALL
    SELECT ordinal, 6, name, 'primary key', 'user_id', coalesce(array_to_string(primary_key, ', '), 'missing')
      FROM observed
     WHERE table_exists AND primary_key IS DISTINCT FROM '{user_id}'
     UNION ALL
    SELECT ordinal, 7, observed.name, 'column ' || column_finding.name, expected, found
      FROM observed
      JOIN column_finding USING (ordinal)
     UNION ALL
    SELECT ordinal, 8, name, 'table users', 'readable', 'permission denied'
      FROM observed
     WHERE table_exists AND NOT readable
     UNION ALL
    SELECT ordinal, 9, name, 'rows', users_per_tenant::text, rows::text
      FROM configuration, observed
      JOIN head_count USING (ordinal)
     WHERE rows <> users_per_tenant
     UNION ALL
    SELECT ordinal, 10, name, 'sample rows', 'none missing', 'missing ' || pg_temp.enumeration(missing)
      FROM observed
      JOIN head_count USING (ordinal)
     WHERE missing IS NOT NULL
     UNION ALL
    SELECT ordinal, 11, name, 'sample rows', 'none altered', 'altered ' || pg_temp.enumeration(altered)
      FROM observed
      JOIN head_count USING (ordinal)
     WHERE altered IS NOT NULL
     UNION ALL
    SELECT NULL, 12, name, 'schema', 'not configured: absent', 'exists'
      FROM stray
)
SELECT tenant, object, expected, found
  FROM finding
 ORDER BY ordinal NULLS LAST, position, tenant COLLATE "C";
