-- Read the ledger of changes, and hold it against the template.
-- included by: the phase that applies, and inspection (\ir), after template.sql, in the multi-tenant database
-- leaves:      pg_temp.applied (tenant, change, sha256): what is applied; of a schema that is gone nothing is;
--              pg_temp.ledger (exists, readable, remedy): one row;
--              pg_temp.pending (ordinal, tenant, position, change): what is to be applied to the tenants, in order;
--              pg_temp.ledger_problem (kind, change, file_sha256, sha256, later, tenants): why nothing can be applied:
--                change-edited   its file is not the one that was applied to so many tenants
--                change-gone     it was applied, and its file is no more
--                out-of-order    it is new, and tenants already have a later one
SELECT to_regclass('pg_temp.applied') IS NULL AS to_read_ledger \gset
\if :to_read_ledger
BEGIN READ WRITE;

CREATE TEMPORARY TABLE ledger AS
SELECT id IS NOT NULL AS exists,
       id IS NULL OR has_schema_privilege('etl_manager', 'USAGE') AND has_table_privilege(id, 'SELECT') AS readable,
       format('GRANT USAGE ON SCHEMA etl_manager TO %1$I; GRANT SELECT ON etl_manager.applied TO %1$I', current_user) AS remedy
  FROM (SELECT max(class.oid) AS id
          FROM pg_class AS class
          JOIN pg_namespace AS space ON space.oid = relnamespace
         WHERE nspname = 'etl_manager' AND relname = 'applied') AS present;

CREATE TEMPORARY TABLE applied (tenant text NOT NULL, change text NOT NULL, sha256 text NOT NULL);
DO $$ BEGIN
    IF (SELECT exists AND readable FROM pg_temp.ledger) THEN
        INSERT INTO pg_temp.applied
        SELECT tenant, change, sha256
          FROM etl_manager.applied
          JOIN pg_temp.configured ON name = tenant
          JOIN pg_namespace ON nspname = tenant
         WHERE lost_at IS NULL;
    END IF;
END $$;
ANALYZE applied;

CREATE TEMPORARY VIEW pending AS
SELECT tenant.ordinal, tenant.name AS tenant, change.ordinal AS position, change.name AS change
  FROM tenant
 CROSS JOIN change
 WHERE NOT EXISTS (SELECT FROM applied WHERE applied.tenant = tenant.name AND applied.change = change.name);

CREATE TEMPORARY VIEW ledger_problem AS
SELECT 'change-edited' AS kind, name AS change, change.sha256 AS file_sha256, applied.sha256,
       NULL::text AS later, count(*) AS tenants
  FROM change
  JOIN applied ON change = name AND applied.sha256 <> change.sha256
 GROUP BY name, change.sha256, applied.sha256
 UNION ALL
SELECT 'change-gone', change, NULL, min(sha256), NULL, count(*)
  FROM applied
 WHERE change NOT IN (SELECT name FROM change)
 GROUP BY change
 UNION ALL
SELECT 'out-of-order', pending.change, NULL, NULL, (array_agg(change.name ORDER BY change.ordinal DESC))[1],
       count(DISTINCT pending.tenant)
  FROM pending
  JOIN applied ON applied.tenant = pending.tenant
  JOIN change  ON change.name = applied.change AND change.ordinal > pending.position
 GROUP BY pending.change;

COMMIT;
\endif
