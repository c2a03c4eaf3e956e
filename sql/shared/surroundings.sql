-- Look at what stands around the tenants' schemas and changes what happens in them; no tenant's template tells of it.
-- included by: observation.sql (\ir), after configuration.sql, in the multi-tenant database, in a transaction that may write
-- leaves:      pg_temp.surrounding (position, object, expected, found, kind, remedy): what is not as it should be.
-- The remedy is for whoever may run it: a run changes nothing outside the tenants.
-- docs/reliability.md lists what is accepted, and why.
CREATE TEMPORARY VIEW surrounding AS
WITH here AS (
    SELECT oid AS id, format('%I', datname) AS name, datdba, datconnlimit, datistemplate, datacl FROM pg_database WHERE datname = current_database()
), inside AS MATERIALIZED (
    SELECT relation.oid AS id, relnamespace AS space, format('%I.%I', tenant.name, relname) AS name
      FROM tenant
      JOIN pg_namespace AS space ON nspname = tenant.name
      JOIN pg_class AS relation  ON relnamespace = space.oid
     WHERE relkind IN ('r', 'p', 'f')
), outside AS MATERIALIZED (
    -- What is in a schema of a tenant is held against the template.
    SELECT relation.oid AS id, format('%I.%I', nspname, relname) AS name
      FROM pg_class AS relation
      JOIN pg_namespace AS space ON space.oid = relnamespace
     WHERE relkind IN ('r', 'p', 'f') AND nspname NOT IN (SELECT tenant.name FROM tenant)
)
SELECT 1 AS position, 'owner of database ' || here.name AS object, current_user::text AS expected,
       pg_get_userbyid(datdba)::text AS found, 'database-differs' AS kind,
       format('ALTER DATABASE %s OWNER TO %I', here.name, current_user) AS remedy
  FROM here
 WHERE pg_get_userbyid(datdba) <> current_user
 UNION ALL
SELECT 2, 'connections of database ' || here.name, 'no limit', datconnlimit::text, 'database-differs',
       format('ALTER DATABASE %s CONNECTION LIMIT -1', here.name)
  FROM here
 WHERE datconnlimit <> -1
 UNION ALL
-- Whoever may create databases can copy a template with all that is in it (PostgreSQL manual, "Template Databases").
SELECT 3, 'database ' || here.name, 'no template', 'a template', 'database-differs', format('ALTER DATABASE %s IS_TEMPLATE false', here.name)
  FROM here
 WHERE datistemplate
 UNION ALL
SELECT 4, format('grant CREATE on database %s to PUBLIC', here.name), 'absent', 'granted', 'database-privileges-differs',
       format('REVOKE CREATE ON DATABASE %s FROM PUBLIC', here.name)
  FROM here
 WHERE EXISTS (SELECT FROM aclexplode(datacl) WHERE grantee = 0 AND privilege_type = 'CREATE')
 UNION ALL
-- Settings that every session of this user in this database begins with; those of other roles are theirs.
SELECT 5, format('setting %s of %s', split_part(setting, '=', 1), target), 'not set', pg_temp.short(substr(setting, strpos(setting, '=') + 1)),
       'setting-extra', format('ALTER %s RESET %s', statement, split_part(setting, '=', 1))
  FROM here, pg_db_role_setting, unnest(setconfig) AS setting,
       LATERAL (SELECT concat_ws(' in ', CASE WHEN setrole <> 0 THEN 'role ' || quote_ident(session_user) END,
                                 CASE WHEN setdatabase <> 0 THEN 'database ' || here.name ELSE 'all databases' END),
                       CASE WHEN setrole = 0 AND setdatabase <> 0 THEN 'DATABASE ' || here.name
                            ELSE concat('ROLE ', CASE setrole WHEN 0 THEN 'ALL' ELSE quote_ident(session_user) END,
                                        CASE WHEN setdatabase <> 0 THEN ' IN DATABASE ' || here.name END) END) AS named (target, statement)
 WHERE setdatabase IN (0, here.id) AND (setrole = 0 OR pg_get_userbyid(setrole) = session_user)
 UNION ALL
-- In a replica no ordinary trigger fires, and no foreign key is checked.
SELECT 6, 'setting session_replication_role of the server', 'origin', setting, 'setting-differs', NULL
  FROM pg_settings
 WHERE name = 'session_replication_role' AND setting <> 'origin' AND source NOT IN ('database', 'user', 'database user', 'global')
 UNION ALL
-- AWS's own are rdsadmin's, an extension's come and go with it.
SELECT 7, format('event trigger %I', evtname), 'absent',
       format('on %s, executes %s', evtevent, evtfoid::regprocedure) || CASE evtenabled WHEN 'R' THEN ' (replica)' WHEN 'A' THEN ' (always)' ELSE '' END,
       'event-trigger-extra', format('DROP EVENT TRIGGER %I', evtname)
  FROM pg_event_trigger AS event_trigger
 WHERE evtenabled <> 'D' AND pg_get_userbyid(evtowner) <> 'rdsadmin'
   AND NOT EXISTS (SELECT FROM pg_depend
                    WHERE classid = 'pg_event_trigger'::regclass AND objid = event_trigger.oid AND deptype = 'e')
 UNION ALL
SELECT 8, format('subscription %I', subname), 'writes to no table of a tenant',
       'writes to ' || pg_temp.enumeration(array_agg(inside.name ORDER BY inside.name COLLATE "C")), 'subscription-extra',
       format('DROP SUBSCRIPTION %I', subname)
  FROM here
  JOIN pg_subscription AS subscription ON subdbid = here.id
  JOIN pg_subscription_rel ON srsubid = subscription.oid
  JOIN inside ON inside.id = srrelid
 GROUP BY subname
 UNION ALL
-- What the template's next object would be given beside what the template says, or its owner not have.
SELECT 9, format('default privileges of %I on %s', current_user, things), 'those of PostgreSQL',
       pg_temp.short(concat_ws('; ', 'granted ' || granted, 'revoked ' || revoked)), 'database-privileges-differs',
       concat_ws('; ', format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE ', current_user) || granted_remedy,
                 format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ', current_user) || revoked_remedy)
  FROM pg_default_acl
 CROSS JOIN LATERAL (
       SELECT CASE defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
                                 WHEN 'n' THEN 'schemas' ELSE 'large objects' END) AS kind (things)
 CROSS JOIN LATERAL (
       SELECT string_agg(format('%s to %s', privilege_type, pg_temp.role(grantee)), ', ' ORDER BY grantee, privilege_type),
              string_agg(format('%s ON %s FROM %s', privilege_type, upper(things), pg_temp.role(grantee)),
                         format('; ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE ', current_user) ORDER BY grantee, privilege_type)
         FROM (SELECT grantee, privilege_type FROM aclexplode(defaclacl) WHERE grantee <> defaclrole
               EXCEPT SELECT grantee, privilege_type FROM aclexplode(acldefault(CASE defaclobjtype WHEN 'S' THEN 's' ELSE defaclobjtype END, defaclrole))) AS more
     ) AS more (granted, granted_remedy)
 CROSS JOIN LATERAL (
       SELECT string_agg(format('%s from %s', privilege_type, pg_temp.role(grantee)), ', ' ORDER BY privilege_type),
              string_agg(format('%s ON %s TO %s', privilege_type, upper(things), pg_temp.role(grantee)),
                         format('; ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ', current_user) ORDER BY privilege_type)
         FROM (SELECT grantee, privilege_type FROM aclexplode(acldefault(CASE defaclobjtype WHEN 'S' THEN 's' ELSE defaclobjtype END, defaclrole))
                WHERE grantee = defaclrole
               EXCEPT SELECT grantee, privilege_type FROM aclexplode(defaclacl)) AS less
     ) AS less (revoked, revoked_remedy)
 WHERE defaclnamespace = 0 AND pg_get_userbyid(defaclrole) = current_user AND num_nonnulls(granted, revoked) > 0
 UNION ALL
-- Whoever reads or counts the tenant's table gets the rows of its children too; replication does not.
SELECT 10, 'table ' || outside.name, 'no child of a table of a tenant', 'child of ' || inside.name, 'inheritance-extra',
       format('ALTER TABLE %s NO INHERIT %s', outside.name, inside.name)
  FROM pg_inherits
  JOIN inside  ON inside.id = inhparent
  JOIN outside ON outside.id = inhrelid
 UNION ALL
-- It keeps the tenant's rows from being changed, or changes with them.
SELECT 11, format('foreign key %I of table %s', conname, outside.name), 'refers to no table of a tenant', 'refers to ' || inside.name,
       'foreign-key-extra', format('ALTER TABLE %s DROP CONSTRAINT %I', outside.name, conname)
  FROM pg_constraint
  JOIN inside  ON inside.id = confrelid
  JOIN outside ON outside.id = conrelid
 WHERE contype = 'f' AND conparentid = 0;
