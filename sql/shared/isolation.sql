-- Hold the roles of the tenants against what they are to be: each works in its tenant's schema, and holds nothing else.
-- included by: observation.sql and the phase isolation (\ir), after shape.sql, in the multi-tenant database
-- leaves:      pg_temp.isolation (ordinal, tenant, stage, object, expected, found, kind, statement, remedy): what is not so; no row
--              where the configuration names no phase isolation. Of what is missing, statement adds it, unless this user may
--              not, and then remedy is the statement for somebody who may; of what is too much, remedy takes it away.
-- A schema that is missing has no role yet. What a tenant's role holds too much in its own schema, and what was granted there to
-- others, is found by the comparison with the template.
BEGIN READ WRITE;

CREATE TEMPORARY VIEW isolation AS
WITH me AS (
    -- Who made a role may grant it from PostgreSQL 16 on; before, whoever may make roles (PostgreSQL manual, "CREATE ROLE").
    SELECT rolsuper, rolcreaterole, current_setting('server_version_num')::integer >= 160000 AS by_admin_option
      FROM pg_roles WHERE rolname = current_user
), subject AS MATERIALIZED (
    SELECT tenant.ordinal, tenant.name AS tenant, format('%I', tenant.name) AS schema, space.oid AS space,
           format('%I', configured.role) AS role, found.oid AS id, attributes, memberships,
           me.rolsuper OR pg_has_role(space.nspowner, 'USAGE') AS may_grant_all
      FROM me, tenant
      JOIN configured            ON configured.name = tenant.name AND configured.role IS NOT NULL
      JOIN pg_namespace AS space ON space.nspname = tenant.name
      LEFT JOIN pg_roles AS found ON found.rolname = configured.role
     CROSS JOIN LATERAL (
           SELECT array_agg(attribute)
             FROM (VALUES ('SUPERUSER', found.rolsuper), ('CREATEROLE', found.rolcreaterole), ('CREATEDB', rolcreatedb),
                          ('LOGIN', rolcanlogin), ('REPLICATION', rolreplication), ('BYPASSRLS', rolbypassrls)) AS listed (attribute, has)
            WHERE has) AS of_role (attributes)
     CROSS JOIN LATERAL (
           SELECT array_agg(DISTINCT format('%I', pg_get_userbyid(roleid)) ORDER BY format('%I', pg_get_userbyid(roleid)))
             FROM pg_auth_members WHERE member = found.oid) AS of_others (memberships)
), in_order AS (
    -- A role that can do more, or is somebody's, is given nothing.
    SELECT * FROM subject WHERE id IS NOT NULL AND num_nonnulls(attributes, memberships) = 0
), thing (space, kind, noun, object, sql, owner, by_default, acl) AS (
    SELECT space, 'schema', 'SCHEMA', 'schema', schema, nspowner, nspacl IS NULL, coalesce(nspacl, acldefault('n', nspowner))
      FROM subject JOIN pg_namespace ON pg_namespace.oid = space
     UNION ALL
    -- The sequence of an identity column is used with its table.
    SELECT space, kind, upper(kind), format('%s %I', kind, relname), format('%s.%I', schema, relname), relowner, relacl IS NULL,
           coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
      FROM subject
      JOIN pg_class AS relation ON relnamespace = space AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
     CROSS JOIN LATERAL (SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END) AS named (kind)
     WHERE NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = relation.oid AND deptype = 'i'
                                               AND relkind = 'S')
     UNION ALL
    SELECT space, 'routine', 'ROUTINE', format('%s %I(%s)', CASE prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, proname, arguments),
           format('%s.%I(%s)', schema, proname, arguments), proowner, proacl IS NULL, coalesce(proacl, acldefault('f', proowner))
      FROM subject
      JOIN pg_proc AS routine ON pronamespace = space
     CROSS JOIN LATERAL (SELECT pg_get_function_identity_arguments(routine.oid)) AS named (arguments)
     UNION ALL
    -- What the master user makes from now on. A function to come is made with what PostgreSQL gives by default, and looked at then.
    SELECT space, kind, upper(things), format('%s to come', things), schema, (SELECT oid FROM pg_roles WHERE rolname = current_user), NULL, defaclacl
      FROM subject
     CROSS JOIN (VALUES ('table', 'tables', 'r'::"char"), ('sequence', 'sequences', 'S')) AS listed (kind, things, type)
      LEFT JOIN pg_default_acl ON defaclnamespace = space AND defaclobjtype = type AND pg_get_userbyid(defaclrole) = current_user
), needed AS (
    SELECT in_order.*, thing.*,
           ARRAY(SELECT privilege FROM tenant_privilege WHERE tenant_privilege.kind = thing.kind ORDER BY privilege) AS wanted,
           ARRAY(SELECT privilege FROM tenant_privilege
                  WHERE tenant_privilege.kind = thing.kind
                    AND EXISTS (SELECT FROM aclexplode(acl) WHERE grantee = id AND privilege_type = privilege)
                  ORDER BY privilege) AS held
      FROM in_order JOIN thing USING (space)
), others (space, object, sql) AS (
    -- What PUBLIC holds elsewhere, every tenant's role holds too. What came with an extension belongs to it.
    SELECT DISTINCT nspname, format('%s on %s', privilege_type, named), format('%s ON %s', privilege_type, named)
      FROM configuration
      JOIN pg_namespace AS space ON isolated AND NOT starts_with(nspname, 'pg_') AND nspname <> 'information_schema'
     CROSS JOIN LATERAL (
           SELECT nspacl, 'n', nspowner, format('SCHEMA %I', nspname), space.oid, 'pg_namespace'::regclass
            UNION ALL
           SELECT relacl, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END, relowner,
                  format('%s %I.%I', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, relname), pg_class.oid, 'pg_class'::regclass
             FROM pg_class WHERE relnamespace = space.oid AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
            UNION ALL
           SELECT proacl, 'f', proowner, format('ROUTINE %s', pg_proc.oid::regprocedure), pg_proc.oid, 'pg_proc'::regclass
             FROM pg_proc WHERE pronamespace = space.oid AND prosecdef
         ) AS thing (acl, type, owner, named, id, catalog),
           aclexplode(coalesce(acl, acldefault(type::"char", owner)))
     WHERE grantee = 0 AND privilege_type <> 'USAGE'
       AND nspname NOT IN (SELECT name FROM configured)
       AND EXISTS (SELECT FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) AS open WHERE open.grantee = 0 AND open.privilege_type = 'USAGE')
       AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = catalog AND objid = thing.id AND deptype = 'e')
), gap (ordinal, tenant, stage, object, expected, found, kind, statement, permitted) AS (
    SELECT ordinal, tenant, 1, 'role ' || role, 'exists', 'missing', 'role-missing', format('CREATE ROLE %s NOLOGIN', role),
           rolsuper OR rolcreaterole
      FROM me, subject
     WHERE id IS NULL
     UNION ALL
    SELECT ordinal, tenant, 2, 'attributes of role ' || role, 'none', array_to_string(attributes, ', '), 'isolation-extra',
           format('ALTER ROLE %s NO%s', role, array_to_string(attributes, ' NO')), NULL
      FROM subject
     WHERE attributes IS NOT NULL
     UNION ALL
    SELECT ordinal, tenant, 2, 'memberships of role ' || role, 'none', array_to_string(memberships, ', '), 'isolation-extra',
           format('REVOKE %s FROM %s', array_to_string(memberships, ', '), role), NULL
      FROM subject
     WHERE memberships IS NOT NULL
     UNION ALL
    -- As the tenant's role the proof is tried. Its rights do not become the master user's own.
    SELECT ordinal, tenant, 2, format('role %s for %I', role, current_user), 'may be taken', 'may not be taken', 'isolation-missing',
           format('GRANT %s TO %I', role, current_user) || CASE WHEN by_admin_option THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END,
           CASE WHEN by_admin_option THEN pg_has_role(id, 'MEMBER WITH ADMIN OPTION') ELSE rolcreaterole END
      FROM me, in_order
     WHERE NOT pg_has_role(id, CASE WHEN by_admin_option THEN 'SET' ELSE 'MEMBER' END)
     UNION ALL
    SELECT ordinal, tenant, 3, format('privileges of %s on %s', role, object), array_to_string(wanted, ', '),
           coalesce(nullif(array_to_string(held, ', '), ''), 'none'), 'isolation-missing',
           CASE WHEN by_default IS NULL
                THEN format('ALTER DEFAULT PRIVILEGES IN SCHEMA %s GRANT %s ON %s TO %s', sql, array_to_string(wanted, ', '), noun, role)
                ELSE format('GRANT %s ON %s %s TO %s', array_to_string(wanted, ', '), noun, sql, role) END,
           may_grant_all AND pg_has_role(owner, 'USAGE')
      FROM needed
     WHERE wanted <> held
     UNION ALL
    -- PostgreSQL lets PUBLIC execute every new function. Where somebody said who may, that is theirs to say.
    SELECT ordinal, tenant, 4, format('grant EXECUTE on %s to PUBLIC', object), 'absent', 'granted by default', 'isolation-missing',
           format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', sql), pg_has_role(owner, 'USAGE')
      FROM needed
     WHERE kind = 'routine' AND by_default
     UNION ALL
    SELECT ordinal, tenant, 4, format('grant %s on %s to PUBLIC', privilege_type, object), 'absent', 'granted', 'isolation-extra',
           format('REVOKE %s ON %s %s FROM PUBLIC', privilege_type, noun, sql), NULL
      FROM subject JOIN thing USING (space), aclexplode(acl)
     WHERE grantee = 0 AND NOT (kind = 'routine' AND by_default) AND by_default IS NOT NULL
     UNION ALL
    SELECT ordinal, tenant, 4, format('grant %s (%I) on table %I to PUBLIC', privilege_type, attname, relname), 'absent', 'granted',
           'isolation-extra', format('REVOKE %s (%I) ON TABLE %s.%I FROM PUBLIC', privilege_type, attname, schema, relname), NULL
      FROM subject
      JOIN pg_class ON relnamespace = space
      JOIN pg_attribute ON attrelid = pg_class.oid AND attacl IS NOT NULL AND NOT attisdropped,
           aclexplode(attacl)
     WHERE grantee = 0
     UNION ALL
    -- PostgreSQL keeps a note of every object that a role is named in, also in other databases.
    SELECT ordinal, tenant, 5, format('what role %s holds outside of its schema', role), 'nothing',
           pg_temp.enumeration(array_agg(what ORDER BY what COLLATE "C")), 'isolation-extra', NULL, NULL
      FROM subject
      JOIN pg_shdepend ON refclassid = 'pg_authid'::regclass AND refobjid = id AND deptype IN ('a', 'o')
     CROSS JOIN LATERAL (
           SELECT oid = dbid OR dbid = 0 FROM pg_database WHERE datname = current_database()) AS place (is_here)
     CROSS JOIN LATERAL (
           SELECT CASE deptype WHEN 'o' THEN 'owner of ' ELSE 'privileges on ' END
                  || CASE WHEN is_here THEN pg_describe_object(classid, objid, objsubid)
                          ELSE format('objects in database %I', (SELECT datname FROM pg_database WHERE oid = dbid)) END) AS said (what)
     WHERE NOT is_here
        OR space IS DISTINCT FROM CASE classid WHEN 'pg_namespace'::regclass THEN objid
               WHEN 'pg_class'::regclass THEN (SELECT relnamespace FROM pg_class WHERE oid = objid)
               WHEN 'pg_proc'::regclass THEN (SELECT pronamespace FROM pg_proc WHERE oid = objid)
               WHEN 'pg_type'::regclass THEN (SELECT typnamespace FROM pg_type WHERE oid = objid)
               WHEN 'pg_default_acl'::regclass THEN (SELECT defaclnamespace FROM pg_default_acl WHERE oid = objid) END
     GROUP BY ordinal, tenant, role
     UNION ALL
    SELECT NULL, NULL, 6, format('grant %s to PUBLIC', object), 'absent', 'granted', 'isolation-extra', format('REVOKE %s FROM PUBLIC', sql), NULL
      FROM others
)
SELECT ordinal, tenant, stage, object, expected, found, kind, CASE WHEN permitted THEN statement END AS statement,
       CASE WHEN permitted IS NOT TRUE THEN statement END AS remedy
  FROM gap;

COMMIT;
