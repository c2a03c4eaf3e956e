-- Give every configured tenant its schema, and in it what the tenant template says (sql/aurora/tenant/changes).
-- connects to: the multi-tenant database
-- variables:   run (optional): a name for this run, kept in the ledger;
--              lock_wait (default 5min): how long to wait for another run
-- applies:     each change once a tenant, in a transaction of its own, recorded in etl_manager.applied
-- repairs:     what is missing of what the template makes (table, column, key, constraint, index, trigger, policy, grant, view,
--              sequence), by the template's own definition, and a wrong owner
-- prints:      how many tenants there are, and how many of each were created or repaired; then JSON for programs, one object
--              a line: "adopted", "applied", "repaired", "failed"
-- What the user may not do is left as it is and counted: verification says what would let it.
-- A tenant that fails is left as it is, the others go on, and in the end it is an error.
-- Nothing is dropped. Safe to run twice, concurrently and after an interruption.
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\ir ../../shared/privileges.sql
\ir ../../shared/lock.sql
\ir ../../shared/compare.sql
\ir ../../shared/failure.sql
\ir ../../shared/apply.sql
\ir ../../shared/repair.sql

SELECT count(*)                                                      AS tenants,
       count(*) FILTER (WHERE schema_created)                        AS schemas_created,
       (SELECT count(*) FROM pg_temp.tenant_table) - (SELECT count(*) FROM pg_temp.table_before) AS tables_created,
       (SELECT count(*) FROM pg_temp.repaired WHERE class = 'primary-key' AND NOT with_table)    AS primary_keys_added,
       (SELECT count(*) FROM pg_temp.repaired WHERE class LIKE '%-owner')                        AS owners_set,
       count(*) FILTER (WHERE left_alone)                            AS not_permitted
  FROM pg_temp.task;

\pset format unaligned
\pset tuples_only on
SELECT row_to_json(line)
  FROM (SELECT 'adopted' AS kind, change, differences, json_agg(tenant ORDER BY ordinal) AS tenants
          FROM pg_temp.adopted GROUP BY change, differences ORDER BY change, differences) AS line;
SELECT row_to_json(line)
  FROM (SELECT 'applied' AS kind, changes, json_agg(tenant ORDER BY ordinal) AS tenants
          FROM (SELECT ordinal, tenant, jsonb_agg(change ORDER BY position) AS changes
                  FROM pg_temp.done GROUP BY ordinal, tenant) AS tenant
         GROUP BY changes ORDER BY min(ordinal)) AS line;
SELECT row_to_json(line)
  FROM (SELECT 'repaired' AS kind, tenant, object, found, statement, with_table FROM pg_temp.repaired ORDER BY number) AS line;
SELECT pg_temp.failures();
\pset format aligned
\pset tuples_only off

CALL pg_temp.raise_failures();
