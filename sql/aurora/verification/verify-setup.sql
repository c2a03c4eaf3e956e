-- Show what is there for the configured tenants, and every difference from what should be. Changes nothing.
-- connects to: the multi-tenant database
-- prints:      the tenants' schemas; their users tables with owner; their user counts;
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

SELECT name AS schemaname, 'users' AS tablename, table_owner AS tableowner
  FROM observed
 WHERE table_exists
 ORDER BY ordinal;

SELECT observed.name AS tenant, head_count.rows AS user_count
  FROM observed
  JOIN head_count USING (ordinal)
 ORDER BY ordinal;

WITH finding (ordinal, position, tenant, object, expected, found, kind, remedy) AS (
    SELECT ordinal, 1, name, 'schema', 'exists', 'missing', 'schema-missing', NULL
      FROM observed
     WHERE NOT schema_exists
     UNION ALL
    SELECT ordinal, 2, name, 'schema owner', current_user::text, schema_owner::text, 'schema-owner',
           CASE WHEN 'own-schema' = ANY (denied) THEN remedy END
      FROM observed
     WHERE schema_owner <> current_user
     UNION ALL
    SELECT ordinal, 3, name, 'table users', 'ordinary table', coalesce(users_kind, 'missing'),
           CASE WHEN users_kind IS NULL THEN 'table-missing' ELSE 'table-kind' END,
           CASE WHEN 'create-table' = ANY (denied) THEN remedy END
      FROM observed
     WHERE schema_exists AND NOT table_exists
     UNION ALL
    SELECT ordinal, 4, name, 'table owner', current_user::text, table_owner::text, 'table-owner',
           CASE WHEN 'own-table' = ANY (denied) THEN remedy END
      FROM observed
     WHERE table_exists AND table_owner <> current_user
     UNION ALL
    SELECT ordinal, 5, name, 'table users', 'logged', 'unlogged', 'unlogged', NULL
      FROM observed
     WHERE table_exists AND unlogged
     UNION ALL
    SELECT ordinal, 6, name, 'primary key', 'user_id', coalesce(array_to_string(primary_key, ', '), 'missing'),
           CASE WHEN primary_key IS NULL THEN 'primary-key-missing' ELSE 'primary-key' END,
           CASE WHEN primary_key IS NULL AND 'own-table' = ANY (denied) THEN remedy END
      FROM observed
     WHERE table_exists AND primary_key IS DISTINCT FROM '{user_id}'
     UNION ALL
    SELECT ordinal, 7, observed.name, 'column ' || column_finding.name, expected, found, 'column', NULL
      FROM observed
      JOIN column_finding USING (ordinal)
     UNION ALL
    SELECT ordinal, 8, name, 'table users', 'readable', 'not readable by ' || current_user, 'not-readable', remedy
      FROM observed
     WHERE table_exists AND 'read' = ANY (denied)
     UNION ALL
    SELECT ordinal, 8, name, 'table users', 'all rows visible', 'row-level security may hide rows from ' || current_user,
           'row-level-security', remedy
      FROM observed
     WHERE table_exists AND 'see-all-rows' = ANY (denied) AND 'read' <> ALL (denied)
     UNION ALL
    SELECT ordinal, 9, name, 'rows', users_per_tenant::text, rows::text,
           CASE WHEN rows < users_per_tenant THEN 'rows-too-few' ELSE 'rows-too-many' END,
           CASE WHEN rows < users_per_tenant AND 'insert' = ANY (denied) THEN remedy END
      FROM configuration, observed
      JOIN head_count USING (ordinal)
     WHERE rows < users_per_tenant OR rows > users_per_tenant AND NOT accept_other_rows
     UNION ALL
    SELECT ordinal, 10, name, 'sample rows', 'none missing', 'missing ' || pg_temp.enumeration(missing),
           'sample-rows-missing', CASE WHEN 'insert' = ANY (denied) THEN remedy END
      FROM observed
      JOIN head_count USING (ordinal)
     WHERE missing IS NOT NULL
     UNION ALL
    SELECT ordinal, 11, name, 'sample rows', 'none altered', 'altered ' || pg_temp.enumeration(altered),
           'sample-rows-altered', NULL
      FROM observed
      JOIN head_count USING (ordinal)
     WHERE altered IS NOT NULL
     UNION ALL
    SELECT NULL, 12, name, 'schema', 'not configured: absent', 'exists', 'not-configured', NULL
      FROM stray
)
SELECT tenant, object, expected, found, kind, remedy
  FROM finding
 ORDER BY ordinal NULLS LAST, position, tenant COLLATE "C";
