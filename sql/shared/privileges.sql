-- What the master user may do with a tenant's schema and a table in it: on Aurora it is no superuser.
-- included by: whatever counts or changes rows (\ir), in the multi-tenant database
-- leaves:      pg_temp.denied(space, relation): what the user may not do, of own-schema, create-table, own-table, read,
--              see-all-rows (row-level security may hide rows), insert; empty where nothing stands in the way;
--              pg_temp.remedy(space, relation): the statement that lets it, for somebody who may run it.

SELECT to_regprocedure('pg_temp.denied(pg_namespace, pg_class)') IS NULL AS to_define \gset
\if :to_define
BEGIN READ WRITE;

CREATE FUNCTION pg_temp.denied(space pg_namespace, relation pg_class) RETURNS text[] LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT array_remove(ARRAY[
        CASE WHEN NOT pg_has_role((space).nspowner, 'USAGE') THEN 'own-schema' END,
        -- Whoever may take the schema first may then create in it.
        CASE WHEN (relation).oid IS NULL AND NOT has_schema_privilege((space).oid, 'CREATE')
                  AND (pg_get_userbyid((space).nspowner) = current_user OR NOT pg_has_role((space).nspowner, 'USAGE'))
             THEN 'create-table' END,
        CASE WHEN NOT pg_has_role((relation).relowner, 'USAGE') THEN 'own-table' END,
        CASE WHEN NOT (has_schema_privilege((space).oid, 'USAGE') AND has_table_privilege((relation).oid, 'SELECT'))
             THEN 'read' END,
        CASE WHEN row_security_active((relation).oid) THEN 'see-all-rows' END,
        CASE WHEN NOT (has_schema_privilege((space).oid, 'USAGE') AND has_table_privilege((relation).oid, 'INSERT'))
             THEN 'insert' END
    ], NULL);
END;

CREATE FUNCTION pg_temp.remedy(space pg_namespace, relation pg_class) RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH name (of_schema, of_table) AS (
        SELECT quote_ident((space).nspname), quote_ident((space).nspname) || '.' || quote_ident((relation).relname)
    ), others (statements) AS (
        -- Nobody can be made a member of a superuser without becoming one.
        SELECT string_agg(DISTINCT CASE WHEN rolsuper THEN format('ALTER %s OWNER TO %I', thing, current_user)
                                        ELSE format('GRANT %I TO %I', rolname, current_user) END, '; ')
          FROM name,
               LATERAL (VALUES ('SCHEMA ' || name.of_schema, (space).nspowner),
                               ('TABLE ' || name.of_table, (relation).relowner)) AS owned (thing, owner),
               pg_roles
         WHERE pg_roles.oid = owner AND NOT pg_has_role(owner, 'USAGE')
    )
    SELECT concat_ws('; ',
               coalesce(statements,
                        CASE WHEN (relation).oid IS NULL
                             THEN format('GRANT USAGE, CREATE ON SCHEMA %s TO %I', name.of_schema, current_user)
                             WHEN NOT (has_schema_privilege((space).oid, 'USAGE')
                                       AND has_table_privilege((relation).oid, 'SELECT')
                                       AND has_table_privilege((relation).oid, 'INSERT'))
                             THEN format('GRANT USAGE ON SCHEMA %s TO %I; GRANT SELECT, INSERT ON %s TO %2$I',
                                         name.of_schema, current_user, name.of_table) END),
               CASE WHEN row_security_active((relation).oid) AND (relation).relforcerowsecurity
                    THEN format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', name.of_table) END)
      FROM name, others;
END;

COMMIT;
\endif
