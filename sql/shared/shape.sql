-- Describe how the objects of some schemas are made, so that two schemas can be compared.
-- included by: expectation.sql (\ir)
-- leaves:      pg_temp.scope (id, name, …): the schemas that are looked at; pg_temp.look_at(names) chooses them;
--              pg_temp.described: a row for each fact of each object in them:
--                class     what kind of fact, a word for programs
--                relation  the table, view or sequence that it belongs to, or NULL
--                key       names the object within the schema; object names it for people
--                value     how it is made, in the words of SQL; the schema's own name is taken out
--                whole     the key of what comes and goes as a whole and this fact with it, or NULL
--                id        of an index, whose value is raw catalogue columns: pg_temp.index_shown(id, …) puts it in words;
--                          of a column its number
--              pg_temp.deparse(in_transactions): to be called before pg_temp.described is read;
--              pg_temp.enumeration(names): the first ten, for people
-- What is as PostgreSQL makes it by itself (logged, no row-level security) has no row.
-- search_path must be pg_catalog, pg_temp: names of other schemas are then written out.
BEGIN READ WRITE;

-- One look follows another: the last one's rows are those that count.
CREATE TEMPORARY SEQUENCE look;
CREATE TEMPORARY TABLE scope_of_look (
    look    bigint NOT NULL,
    id      oid  NOT NULL,
    name    name NOT NULL,
    prefix  text NOT NULL, -- as the schema stands before a name
    inside  text NOT NULL, -- the same within a string
    outside text NOT NULL, -- regular expression: a string, a quoted name, or the prefix
    literal text NOT NULL, -- regular expression: the prefix in a constant such as 's.orders_id_seq'::regclass
    isolated boolean NOT NULL, -- whether tenants have roles
    role    text           -- the role of the tenant whose schema this is, as it stands in SQL
);
CREATE TEMPORARY VIEW scope AS
SELECT * FROM scope_of_look WHERE look = nullif(current_setting('etl_manager.look', true), '')::bigint;

CREATE FUNCTION pg_temp.look_at(names text[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('etl_manager.look', nextval('pg_temp.look')::text, false);
    INSERT INTO pg_temp.scope_of_look
    SELECT currval('pg_temp.look'), oid, nspname, prefix, inside,
           '(''(?:[^'']|'''')*'')|("(?:[^"]|"")*")|(?<![[:alnum:]_$"])' || regexp_replace(prefix, '([][*+?.^$|(){}\\])', '\\\1', 'g'),
           'E?''' || regexp_replace(inside, '([][*+?.^$|(){}\\])', '\\\1', 'g') || '((?:[^'']|'''')*''::reg)',
           isolated, quote_ident(configured.role)
      FROM pg_temp.configuration, pg_namespace
      LEFT JOIN pg_temp.configured ON configured.name = nspname,
           LATERAL (SELECT quote_ident(nspname) || '.') AS named (prefix),
           LATERAL (SELECT replace(replace(prefix, '\', '\\'), '''', '''''')) AS quoted (inside)
     WHERE nspname = ANY (names);
    ANALYZE pg_temp.scope_of_look;
END $$;

-- The text without the schema's own name; strings that only look like it stay.
-- In PL/pgSQL, since a function in SQL is put in place of its call, and *text* worked out anew wherever it stands.
CREATE FUNCTION pg_temp.own(text text, scope pg_temp.scope) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$ BEGIN
    IF strpos(text, scope.prefix) = 0 AND strpos(text, scope.inside) = 0 THEN
        RETURN text;
    END IF;
    RETURN regexp_replace(regexp_replace(text, scope.literal, '''\1', 'g'), scope.outside, '\1\2', 'g');
END $$;

-- The first ten tell a reader where to look.
CREATE FUNCTION pg_temp.enumeration(names text[]) RETURNS text LANGUAGE sql IMMUTABLE
RETURN array_to_string(names[1:10], ', ')
       || CASE WHEN cardinality(names) > 10 THEN format(' and %s more', cardinality(names) - 10) ELSE '' END;

CREATE FUNCTION pg_temp.role(id oid) RETURNS text LANGUAGE sql STABLE
RETURN CASE id WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(id)) END;

-- What each kind of relation is called; in kinds of differences, and in SQL.
CREATE FUNCTION pg_temp.noun(relkind "char") RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'f' THEN 'foreign table' WHEN 'v' THEN 'view'
                    WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' END;

CREATE FUNCTION pg_temp.relation_kind(relkind "char") RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE relkind WHEN 'r' THEN 'ordinary table' WHEN 'p' THEN 'partitioned table' WHEN 'c' THEN 'composite type'
                    WHEN 'i' THEN 'index' WHEN 'I' THEN 'partitioned index'
                    ELSE coalesce(pg_temp.noun(relkind), relkind::text) END;

CREATE FUNCTION pg_temp.firing(enabled "char") RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE enabled WHEN 'O' THEN '' WHEN 'D' THEN ' (disabled)' WHEN 'R' THEN ' (replica)' ELSE ' (always)' END;

CREATE FUNCTION pg_temp.index_shown(id oid, scope pg_temp.scope) RETURNS text LANGUAGE sql STABLE
RETURN (SELECT pg_temp.own(pg_get_indexdef(indexrelid), scope) || CASE WHEN indisvalid THEN '' ELSE ' (invalid)' END
          FROM pg_index WHERE indexrelid = id);

-- The privileges of an object, but for its owner's and those by which this user does its work.
CREATE FUNCTION pg_temp.grants(acl aclitem[], owner oid)
RETURNS TABLE (privilege text, grantee text, value text) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT privilege_type, pg_temp.role(grantee), CASE WHEN bool_or(is_grantable) THEN 'granted with grant option' ELSE 'granted' END
      FROM aclexplode(acl)
     WHERE grantee <> owner AND (grantee = 0 OR pg_get_userbyid(grantee) <> current_user)
     GROUP BY 1, 2
     UNION ALL
    SELECT '', '', string_agg(privilege_type, ', ' ORDER BY privilege_type)
      FROM aclexplode(acl)
     WHERE grantee = owner;
END;

-- What the role of a tenant holds in its schema; the phase isolation grants it, and no template tells of it.
CREATE TEMPORARY TABLE tenant_privilege (kind text NOT NULL, privilege text NOT NULL);
INSERT INTO tenant_privilege
VALUES ('schema', 'USAGE'), ('table', 'SELECT'), ('table', 'INSERT'), ('table', 'UPDATE'), ('table', 'DELETE'),
       ('sequence', 'USAGE'), ('routine', 'EXECUTE');

-- Whether a grant is one that the phase isolation looks after, and so is held against no template: what the tenant's role is
-- to hold, and that PUBLIC may execute what nobody said anything of.
CREATE FUNCTION pg_temp.of_isolation(scope pg_temp.scope, kind text, privilege text, grantee text, value text)
RETURNS boolean LANGUAGE sql STABLE
RETURN scope.isolated
       AND (grantee = scope.role AND value = 'granted'
            AND EXISTS (SELECT FROM pg_temp.tenant_privilege AS held WHERE (held.kind, held.privilege) = (of_isolation.kind, of_isolation.privilege))
            OR grantee = 'PUBLIC' AND kind = 'routine');

-- Putting a view, a rule or a function in words locks what it reads until the transaction ends: it is done beforehand.
CREATE TEMPORARY TABLE deparsed (look bigint NOT NULL, id oid NOT NULL, value text NOT NULL);

CREATE PROCEDURE pg_temp.deparse(in_transactions boolean) LANGUAGE plpgsql AS $$
DECLARE
    thing     record;
    processed integer := 0;
BEGIN
    FOR thing IN
        SELECT class.oid AS id, 'view' AS kind FROM pg_temp.scope JOIN pg_class AS class ON relnamespace = scope.id WHERE relkind IN ('v', 'm')
         UNION ALL
        SELECT rule.oid, 'rule' FROM pg_temp.scope JOIN pg_class AS class ON relnamespace = scope.id
          JOIN pg_rewrite AS rule ON ev_class = class.oid AND rulename <> '_RETURN'
         UNION ALL
        SELECT oid, 'function' FROM pg_temp.scope JOIN pg_proc ON pronamespace = scope.id WHERE prosqlbody IS NOT NULL
    LOOP
        INSERT INTO pg_temp.deparsed
        SELECT look, thing.id, text
          FROM (SELECT nullif(current_setting('etl_manager.look', true), '')::bigint,
                       CASE thing.kind WHEN 'view' THEN pg_get_viewdef(thing.id) WHEN 'rule' THEN pg_get_ruledef(thing.id)
                                       ELSE pg_get_function_sqlbody(thing.id) END) AS made (look, text)
         WHERE text IS NOT NULL;
        processed := processed + 1;
        IF in_transactions AND processed % 20 = 0 THEN
            COMMIT;
        END IF;
    END LOOP;
END $$;

CREATE TEMPORARY VIEW described AS
WITH fact AS (
WITH relation AS (
    -- The sequence of an identity column is part of that column.
    SELECT scope, scope.id AS space, class.*, pg_temp.noun(relkind) AS noun, format('%I', relname) AS named,
           refobjid AS owned_by, refobjsubid AS owned_by_column
      FROM pg_temp.scope
      JOIN pg_class AS class ON relnamespace = scope.id
      LEFT JOIN pg_depend ON relkind = 'S' AND classid = 'pg_class'::regclass AND objid = class.oid
                         AND refclassid = 'pg_class'::regclass AND refobjsubid > 0 AND deptype IN ('a', 'i')
     WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c') AND deptype IS DISTINCT FROM 'i'
), routine AS (
    SELECT scope, scope.id AS space, proc.*,
           CASE prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS noun,
           format('%I(%s)', proname, pg_temp.own(pg_get_function_identity_arguments(proc.oid), scope)) AS named
      FROM pg_temp.scope
      JOIN pg_proc AS proc ON pronamespace = scope.id
), own_type AS (
    -- Every relation and every type brings types of its own; they are no objects of their own.
    SELECT scope, scope.id AS space, type.*, format('%I', typname) AS named
      FROM pg_temp.scope
      JOIN pg_type AS type ON typnamespace = scope.id
     WHERE typrelid = 0 AND typtype IN ('e', 'd', 'r')
), acl (scope, kind, relation, key, object, acl, owner) AS (
    SELECT scope, CASE noun WHEN 'sequence' THEN noun ELSE 'table' END, relname, format('%s %s', noun, named), CASE WHEN noun IN ('sequence', 'type') THEN noun ELSE 'table' END || ' ' || named,
           coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)), relowner
      FROM relation WHERE relkind <> 'c'
     UNION ALL
    SELECT scope, 'routine', NULL, format('%s %s', noun, named), format('%s %s', CASE noun WHEN 'aggregate' THEN 'function' ELSE noun END, named),
           coalesce(proacl, acldefault('f', proowner)), proowner
      FROM routine
     UNION ALL
    SELECT scope, 'type', NULL, format('type %s', named), format('type %s', named), coalesce(typacl, acldefault('T', typowner)), typowner
      FROM own_type
     UNION ALL
    SELECT scope, 'schema', NULL, 'schema', 'schema', coalesce(nspacl, acldefault('n', nspowner)), nspowner
      FROM pg_temp.scope JOIN pg_namespace AS space ON space.oid = scope.id
)
SELECT space, 'relation' AS class, relname AS relation, 'relation ' || named AS key, noun || ' ' || named AS object,
       pg_temp.relation_kind(relkind) AS value, owned_by AS id
  FROM relation
 UNION ALL
SELECT space, replace(noun, ' ', '-') || '-owner', relname, 'owner ' || named, format('owner of %s %s', noun, named), pg_get_userbyid(relowner)::text, NULL
  FROM relation WHERE pg_get_userbyid(relowner) <> current_user
 UNION ALL
SELECT space, 'persistence', relname, 'persistence ' || named, noun || ' ' || named, 'unlogged', NULL
  FROM relation WHERE relpersistence = 'u' AND relkind <> 'S'
 UNION ALL
SELECT space, 'row-security', relname, 'row-security ' || named, 'row-level security of ' || named,
       concat_ws(' and ', CASE WHEN relrowsecurity THEN 'enabled' ELSE 'disabled' END, CASE WHEN relforcerowsecurity THEN 'forced' END), NULL
  FROM relation WHERE relrowsecurity OR relforcerowsecurity
 UNION ALL
SELECT space, 'replica-identity', relname, 'replica-identity ' || named, 'replica identity of ' || named,
       CASE relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full'
                         ELSE coalesce((SELECT format('using index %I', relname) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                                         WHERE indrelid = relation.oid AND indisreplident), 'nothing') END, NULL
  FROM relation WHERE relkind IN ('r', 'p', 'm') AND relreplident <> 'd'
 UNION ALL
SELECT space, 'option', relname, 'option ' || named, format('options of %s %s', noun, named),
       concat_ws(', ', (SELECT string_agg(option, ', ' ORDER BY option) FROM unnest(reloptions) AS option),
                 (SELECT 'using ' || amname FROM pg_am WHERE pg_am.oid = relam AND amname <> 'heap'),
                 (SELECT 'tablespace ' || quote_ident(spcname) FROM pg_tablespace AS t WHERE t.oid = reltablespace),
                 CASE WHEN reloftype <> 0 THEN 'of ' || pg_temp.own(reloftype::regtype::text, scope) END), NULL
  FROM relation
 WHERE reloptions IS NOT NULL OR reltablespace <> 0 OR reloftype <> 0
    OR relkind IN ('r', 'm') AND relam <> (SELECT oid FROM pg_am WHERE amname = 'heap')
 UNION ALL
SELECT space, 'inheritance', relname, 'inheritance ' || named, 'parents of ' || named,
       string_agg(pg_temp.own(inhparent::regclass::text, scope), ', ' ORDER BY inhseqno)
           || coalesce(' ' || pg_temp.own(pg_get_expr(relpartbound, relation.oid), scope), ''), NULL
  FROM relation JOIN pg_inherits ON inhrelid = relation.oid
 GROUP BY space, scope, relname, named, relpartbound, relation.oid
 UNION ALL
SELECT space, 'partitioning', relname, 'partitioning ' || named, 'partitioning of ' || named,
       pg_temp.own(pg_get_partkeydef(oid), scope), NULL
  FROM relation WHERE relkind = 'p'
 UNION ALL
SELECT space, 'definition', relname, 'definition ' || named, format('definition of %s %s', noun, named),
       btrim(pg_temp.own(deparsed.value, scope)), NULL
  FROM relation JOIN deparsed ON deparsed.id = relation.oid AND deparsed.look = (scope).look
 WHERE relkind IN ('v', 'm')
 UNION ALL
SELECT space, 'column', relname, format('column %s.%I', named, attname), format('column %s.%I', named, attname),
       pg_temp.own(format_type(atttypid, atttypmod), scope)
       || CASE WHEN attcollation NOT IN (0, typcollation) THEN ' collate ' || pg_temp.own(attcollation::regcollation::text, scope) ELSE '' END
       || CASE WHEN attnotnull THEN ' not null' WHEN relkind IN ('r', 'p', 'f') THEN ' null' ELSE '' END
       || CASE attidentity WHEN '' THEN ''
               ELSE CASE attidentity WHEN 'a' THEN ' generated always as identity' ELSE ' generated by default as identity' END
                    || coalesce((SELECT format(' (increment %s minvalue %s maxvalue %s start %s cache %s%s)', seqincrement, seqmin,
                                               seqmax, seqstart, seqcache, CASE WHEN seqcycle THEN ' cycle' ELSE '' END)
                                   FROM pg_depend JOIN pg_sequence ON seqrelid = objid
                                  WHERE refclassid = 'pg_class'::regclass AND refobjid = attrelid AND refobjsubid = attnum
                                    AND classid = 'pg_class'::regclass AND deptype = 'i'
                                    AND (seqincrement, seqmin, seqstart, seqcache, seqcycle, seqtypid) <> (1, 1, 1, 1, false, atttypid)), '')
          END
       || coalesce(CASE attgenerated WHEN '' THEN ' default ' || pg_temp.own(pg_get_expr(adbin, adrelid), scope)
                       ELSE format(' generated always as (%s)%s', pg_temp.own(pg_get_expr(adbin, adrelid), scope),
                                   CASE attgenerated WHEN 's' THEN ' stored' ELSE ' virtual' END) END, ''),
       attnum::oid
  FROM relation
  JOIN pg_attribute ON attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
  JOIN pg_type ON pg_type.oid = atttypid
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE relkind <> 'S'
 UNION ALL
SELECT space, CASE contype WHEN 'p' THEN 'primary-key' ELSE 'constraint' END, relname,
       CASE contype WHEN 'p' THEN 'primary-key ' || named ELSE format('constraint %s.%I', named, conname) END,
       CASE contype WHEN 'p' THEN 'primary key of ' || named ELSE format('constraint %s.%I', named, conname) END,
       CASE contype WHEN 'p' THEN format('constraint %I ', conname) ELSE '' END
       || pg_temp.own(pg_get_constraintdef(con.oid), scope)
       || CASE WHEN con.conislocal THEN '' ELSE ' (inherited)' END
       || CASE WHEN contype = 'f' AND EXISTS (SELECT FROM pg_trigger WHERE tgconstraint = con.oid AND tgenabled <> 'O')
               THEN ' (disabled)' ELSE '' END
       || CASE WHEN contype IN ('p', 'u', 'x') AND NOT (SELECT indisvalid FROM pg_index WHERE indexrelid = conindid)
               THEN ' (invalid)' ELSE '' END, NULL
  FROM relation
  JOIN pg_constraint AS con ON conrelid = relation.oid AND contype IN ('p', 'u', 'c', 'f', 'x')
 UNION ALL
SELECT space, 'index', relation.relname, format('index %I', index.relname), format('index %I', index.relname),
       -- Raw, since PostgreSQL takes long to put an index in words. Equal columns of pg_index on tables whose columns
       -- stand in the same order are equal indexes; where they differ, the words decide.
       concat_ws(' ', relation.relname, columns, to_jsonb(pg_index) - '{indexrelid,indrelid}'::text[],
                 index.relam, index.reloptions, index.reltablespace,
                 (SELECT string_agg(attoptions::text, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = index.oid)),
       index.oid
  FROM relation
  JOIN pg_index ON indrelid = relation.oid
  JOIN pg_class AS index ON index.oid = indexrelid
  JOIN (SELECT attrelid, string_agg(attname || ' ' || attnum, ',' ORDER BY attnum) AS columns
          FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped GROUP BY attrelid) AS ordered ON attrelid = relation.oid
 WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
 UNION ALL
SELECT space, 'trigger', relname, format('trigger %s.%I', named, tgname), format('trigger %s.%I', named, tgname),
       pg_temp.own(pg_get_triggerdef(tg.oid), scope) || pg_temp.firing(tgenabled), NULL
  FROM relation JOIN pg_trigger AS tg ON tgrelid = relation.oid AND NOT tgisinternal
 UNION ALL
SELECT space, 'rule', relname, format('rule %s.%I', named, rulename), format('rule %s.%I', named, rulename),
       pg_temp.own(deparsed.value, scope) || pg_temp.firing(ev_enabled), NULL
  FROM relation JOIN pg_rewrite AS rule ON ev_class = relation.oid AND rulename <> '_RETURN'
  JOIN deparsed ON deparsed.id = rule.oid AND deparsed.look = (scope).look
 UNION ALL
SELECT space, 'policy', relname, format('policy %s.%I', named, polname), format('policy %s.%I', named, polname),
       format('as %s for %s to %s', CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END,
              CASE polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete' ELSE 'all' END,
              (SELECT string_agg(pg_temp.role(role), ', ' ORDER BY pg_temp.role(role)) FROM unnest(polroles) AS role))
       || coalesce(' using (' || pg_temp.own(pg_get_expr(polqual, polrelid), scope) || ')', '')
       || coalesce(' with check (' || pg_temp.own(pg_get_expr(polwithcheck, polrelid), scope) || ')', ''), NULL
  FROM relation JOIN pg_policy ON polrelid = relation.oid
 UNION ALL
SELECT space, 'sequence', relname, 'parameters ' || named, 'sequence ' || named,
       format('as %s increment %s minvalue %s maxvalue %s start %s cache %s %s owned by %s', format_type(seqtypid, NULL), seqincrement,
              seqmin, seqmax, seqstart, seqcache, CASE WHEN seqcycle THEN 'cycle' ELSE 'no cycle' END,
              coalesce(pg_temp.own(owned_by::regclass::text, scope)
                       || '.' || (SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = owned_by AND attnum = owned_by_column),
                       'none')), NULL
  FROM relation JOIN pg_sequence ON seqrelid = relation.oid
 UNION ALL
SELECT space, 'function', NULL, format('%s %s', noun, named), format('%s %s', noun, named),
       concat_ws(' ', format('(%s)', pg_temp.own(pg_get_function_arguments(routine.oid), scope)),
                 'returns ' || pg_temp.own(pg_get_function_result(routine.oid), scope),
                 'language ' || (SELECT lanname FROM pg_language WHERE oid = prolang),
                 CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
                 CASE WHEN proisstrict THEN 'strict' END, CASE WHEN prosecdef THEN 'security definer' END,
                 CASE WHEN proleakproof THEN 'leakproof' END,
                 'parallel ' || CASE proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END,
                 'cost ' || procost, CASE WHEN proretset THEN 'rows ' || prorows END, CASE prokind WHEN 'w' THEN 'window' END,
                 'set ' || proconfig::text, pg_temp.own(nullif(prosupport, 0)::regproc::text, scope),
                 (SELECT concat_ws(' ', aggtransfn, aggfinalfn, aggcombinefn, aggsortop, aggtranstype::regtype, agginitval)
                    FROM pg_aggregate WHERE aggfnoid = routine.oid),
                 'as', coalesce(pg_temp.own(deparsed.value, scope), prosrc), probin), NULL
  FROM routine LEFT JOIN deparsed ON deparsed.id = routine.oid AND deparsed.look = (scope).look
 UNION ALL
SELECT space, noun || '-owner', NULL, format('owner %s %s', noun, named), format('owner of %s %s', noun, named), pg_get_userbyid(proowner)::text, NULL
  FROM routine WHERE pg_get_userbyid(proowner) <> current_user
 UNION ALL
SELECT space, 'type', NULL, 'type ' || named, CASE typtype WHEN 'd' THEN 'domain ' ELSE 'type ' END || named,
       CASE typtype
           WHEN 'e' THEN format('enum (%s)', (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
                                                FROM pg_enum WHERE enumtypid = own_type.oid))
           WHEN 'd' THEN concat_ws(' ', pg_temp.own(format_type(typbasetype, typtypmod), scope),
                                   CASE WHEN typnotnull THEN 'not null' END,
                                   'default ' || pg_temp.own(typdefault, scope),
                                   'collate ' || nullif(typcollation, 0)::regcollation::text,
                                   (SELECT string_agg(format('constraint %I %s', conname, pg_temp.own(pg_get_constraintdef(con.oid), scope)), ' ' ORDER BY conname)
                                      FROM pg_constraint AS con WHERE contypid = own_type.oid AND contype = 'c'))
           ELSE (SELECT format('range of %s', pg_temp.own(format_type(rngsubtype, NULL), scope)) FROM pg_range WHERE rngtypid = own_type.oid)
       END, NULL
  FROM own_type
 UNION ALL
SELECT space, 'type-owner', NULL, 'owner type ' || named, 'owner of type ' || named, pg_get_userbyid(typowner)::text, NULL
  FROM own_type WHERE pg_get_userbyid(typowner) <> current_user
 UNION ALL
SELECT scope.id, 'statistics', NULL, format('statistics %I', stxname), format('statistics %I', stxname),
       pg_temp.own(pg_get_statisticsobjdef(stat.oid), scope) || coalesce(' target ' || nullif(to_jsonb(stat) ->> 'stxstattarget', '-1'), ''), NULL
  FROM pg_temp.scope JOIN pg_statistic_ext AS stat ON stxnamespace = scope.id
 UNION ALL
SELECT scope.id, 'other', NULL, other.kind || ' ' || other.name, other.kind || ' ' || other.name, 'exists', NULL
  FROM pg_temp.scope
  JOIN (SELECT collnamespace, 'collation', quote_ident(collname) FROM pg_collation
         UNION ALL SELECT oprnamespace, 'operator', oprname || format('(%s, %s)', oprleft::regtype, oprright::regtype) FROM pg_operator
         UNION ALL SELECT opcnamespace, 'operator class', quote_ident(opcname) FROM pg_opclass
         UNION ALL SELECT cfgnamespace, 'text search configuration', quote_ident(cfgname) FROM pg_ts_config
         UNION ALL SELECT dictnamespace, 'text search dictionary', quote_ident(dictname) FROM pg_ts_dict)
       AS other (space, kind, name) ON other.space = scope.id
 UNION ALL
SELECT (scope).id, CASE grantee WHEN '' THEN 'owner-privileges' ELSE 'grant' END, relation,
       format(E'grant %s\t%s %s', key, privilege, grantee),
       CASE grantee WHEN '' THEN 'privileges of the owner of ' || object
                    ELSE format('grant %s on %s to %s', privilege, object, grantee) END,
       coalesce(granted.value, 'none'), NULL
  FROM acl, pg_temp.grants(acl, owner) AS granted
 WHERE NOT coalesce((scope).isolated AND pg_temp.of_isolation(scope, kind, privilege, grantee, granted.value), false)
 UNION ALL
SELECT space, 'grant', relname, format('grant %s %s.%I %s', privilege, named, attname, grantee),
       format('grant %s (%I) on table %s to %s', privilege, attname, named, grantee), granted.value, NULL
  FROM relation
  JOIN pg_attribute ON attrelid = relation.oid AND attacl IS NOT NULL AND NOT attisdropped,
       pg_temp.grants(attacl, relowner) AS granted
 WHERE grantee <> ''
 UNION ALL
SELECT scope.id, 'default-privileges', NULL, format('default-privileges %s %s', defaclobjtype, pg_temp.role(defaclrole)),
       format('default privileges of %s on %s', pg_temp.role(defaclrole),
              CASE defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' ELSE 'types' END),
       others, NULL
  FROM pg_temp.scope JOIN pg_default_acl ON defaclnamespace = scope.id
 CROSS JOIN LATERAL (
       SELECT string_agg(format('%s to %s', privilege_type, pg_temp.role(grantee)), ', ' ORDER BY 1)
         FROM aclexplode(defaclacl)
        WHERE NOT coalesce(pg_temp.of_isolation(scope, CASE defaclobjtype WHEN 'r' THEN 'table' WHEN 'S' THEN 'sequence' END, privilege_type,
                                                pg_temp.role(grantee), CASE WHEN NOT is_grantable THEN 'granted' END), false)
     ) AS other (others)
 WHERE others IS NOT NULL
)
SELECT fact.*,
       CASE WHEN class = 'relation' THEN (SELECT 'relation ' || quote_ident(relname) FROM pg_class WHERE oid = id)
            WHEN relation IS NOT NULL THEN 'relation ' || quote_ident(relation)
            WHEN class LIKE '%-owner' THEN substr(key, length('owner ') + 1)
            WHEN class IN ('grant', 'owner-privileges') THEN split_part(substr(key, length('grant ') + 1), E'\t', 1) END AS whole
  FROM fact;

COMMIT;
