-- Look at every configured tenant, and change nothing: from here on the session is read-only.
-- included by: verification and inspection (\ir), after configuration.sql, in the multi-tenant database
-- leaves:      what compare.sql, ledger.sql and rows.sql leave, filled for all tenants;
--              pg_temp.observed (ordinal, name, schema_exists, schema_owner, schema_denied, schema_remedy): a row a tenant;
--              pg_temp.observed_table (ordinal, tenant, name, kind, is_table, owner, unlogged, primary_key, denied, remedy):
--              a row for each tenant and table of the template; what is not there is NULL;
--              pg_temp.row_count (ordinal, name, rows, wanted, missing, altered): what is in each of them of which all rows
--              can be seen; the last three are NULL where its columns differ, or no data file fills it;
--              pg_temp.finding: all that is not as it should be, for people and programs;
--              pg_temp.stray (name, like_tenant): tenant schemas nobody configured, and the tenant whose name it looks like;
--              what attempts.sql leaves.
-- variables:   look_again (optional): yes, where this session has looked before and is to look anew; the template's files are as
--              they were, and what they make is kept.
-- What was observed once in this session is else not looked for again.
\if :{?look_again}
\else
  \set look_again no
\endif
SELECT to_regclass('pg_temp.finding') IS NULL AS to_observe, to_regclass('pg_temp.finding') IS NOT NULL AND :'look_again' = 'yes' AS to_forget \gset
\if :to_forget
    \ir forget.sql
    \set to_observe yes
\endif
\if :to_observe
\ir privileges.sql
\ir compare.sql
\ir ledger.sql
\ir rows.sql
\ir isolation.sql
BEGIN READ WRITE;

-- One line, not too long; what is cut off still tells two texts apart.
CREATE OR REPLACE FUNCTION pg_temp.short(text text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (SELECT CASE WHEN length(line) <= 300 THEN line ELSE format('%s... (md5 %s)', left(line, 240), md5(text)) END
          FROM regexp_replace(text, '\s+', ' ', 'g') AS line);

\ir surroundings.sql

CREATE TEMPORARY TABLE observed AS
SELECT tenant.ordinal,
       tenant.name,
       space.oid IS NOT NULL                       AS schema_exists,
       pg_get_userbyid(space.nspowner)             AS schema_owner,
       denied                                      AS schema_denied,
       CASE WHEN denied <> '{}' THEN pg_temp.remedy(space, NULL) END AS schema_remedy
  FROM tenant
  LEFT JOIN pg_namespace AS space ON space.nspname = tenant.name
 CROSS JOIN LATERAL pg_temp.denied(space, NULL) AS denied;

CREATE TEMPORARY TABLE observed_table AS
SELECT tenant.ordinal, tenant.name AS tenant, template_table.name,
       pg_temp.relation_kind(relation.relkind)          AS kind,
       relation.relkind IS NOT DISTINCT FROM 'r' OR relation.relkind IS NOT DISTINCT FROM 'p'
           AND EXISTS (SELECT FROM expected WHERE key = format('relation %I', template_table.name)
                                              AND value = 'partitioned table') AS is_table,
       pg_get_userbyid(relation.relowner)               AS owner,
       relation.relpersistence = 'u'                    AS unlogged,
       (SELECT array_agg(attribute.attname::text ORDER BY part.position)
          FROM pg_constraint AS key,
               unnest(key.conkey) WITH ORDINALITY AS part (attnum, position),
               pg_attribute AS attribute
         WHERE key.conrelid = relation.oid AND key.contype = 'p'
           AND attribute.attrelid = key.conrelid AND attribute.attnum = part.attnum) AS primary_key,
       denied,
       CASE WHEN denied <> '{}' THEN pg_temp.remedy(space, relation) END AS remedy
  FROM tenant
 CROSS JOIN template_table
  LEFT JOIN pg_namespace AS space ON space.nspname = tenant.name
  LEFT JOIN pg_class AS relation  ON relation.relnamespace = space.oid AND relation.relname = template_table.name
 CROSS JOIN LATERAL pg_temp.denied(space, relation) AS denied;
ANALYZE observed_table;

-- Names that people take for one another: case, blanks, width of letters, and what cannot be seen tell them apart.
CREATE OR REPLACE FUNCTION pg_temp.seen(name text) RETURNS text LANGUAGE sql STABLE
RETURN CASE getdatabaseencoding()
       WHEN 'UTF8' THEN lower(regexp_replace(normalize(name, NFKC), '[\s\u00ad\u200b-\u200f\u2060\ufeff]', '', 'g'))
       ELSE lower(regexp_replace(name, '\s', '', 'g')) END;

-- A stray tenant schema holds the tables of the template, whatever they are made of there, or looks like a tenant's, or
-- carries the prefix that all configured tenants share: as far as the last underscore, and not from fewer than two characters.
CREATE TEMPORARY TABLE stray AS
WITH edge AS (
    -- What the first and the last name in code point order share, all names between them share.
    SELECT min(name COLLATE "C") AS low, max(name COLLATE "C") AS high FROM configured
), prefix AS (
    SELECT max(left(low, length)) AS text
      FROM edge, generate_series(3, length(low)) AS length
     WHERE left(low, length) = left(high, length) AND substr(low, length, 1) = '_'
)
SELECT space.nspname AS name,
       (SELECT min(configured.name) FROM configured WHERE pg_temp.seen(configured.name) = pg_temp.seen(space.nspname)) AS like_tenant
  FROM pg_namespace AS space, prefix, configuration
 WHERE space.nspname NOT IN (SELECT configured.name FROM configured)
   AND space.nspname NOT IN ('information_schema', 'public', 'etl_manager')
   AND NOT coalesce(content #> '{aurora,otherSchemas}' ? space.nspname, false)
   AND NOT starts_with(space.nspname, 'pg_')
   AND NOT EXISTS (SELECT FROM pg_depend AS member
                    WHERE member.classid = 'pg_namespace'::regclass AND member.objid = space.oid
                      AND member.deptype = 'e')
   AND (starts_with(space.nspname, prefix.text)
        OR pg_temp.seen(space.nspname) IN (SELECT pg_temp.seen(configured.name) FROM configured)
        OR (SELECT count(*) FROM pg_class JOIN template_table ON name = relname
             WHERE relnamespace = space.oid AND relkind IN ('r', 'p', 'v', 'm', 'f')) = (SELECT nullif(count(*), 0) FROM template_table));

CREATE TEMPORARY TABLE row_count (
    ordinal bigint NOT NULL,
    name    text   NOT NULL,
    rows    bigint NOT NULL,
    wanted  bigint,
    missing text[],   -- the keys of those that are not there
    altered text[],   -- the keys of those with other values
    PRIMARY KEY (ordinal, name)
);

COMMIT;
SET default_transaction_read_only = on;

DO $$
DECLARE
    tenants text[] := ARRAY(SELECT name FROM pg_temp.tenant);
    changes bigint := (SELECT max(ordinal) FROM pg_temp.change);
BEGIN
    IF (SELECT possible FROM pg_temp.expectation) THEN
        CALL pg_temp.compare(tenants, changes);
    END IF;
END $$;

-- Rows that a policy hides would not be counted in silence, but be an error.
SET row_security = off;

DO $$
DECLARE
    task      record;
    file      pg_temp.fill;
    key_list  text;
    processed integer := 0;
BEGIN
    FOR task IN
        SELECT present.*, reference.name IS NOT NULL AND NOT EXISTS (
                   SELECT FROM pg_temp.difference
                    WHERE difference.tenant = present.tenant AND relation = present.name AND class = 'column' AND expected <> 'absent') AS comparable,
               max(done) OVER () + 1 AS total
          FROM (SELECT *, dense_rank() OVER (ORDER BY ordinal) - 1 AS done
                  FROM pg_temp.observed_table
                 WHERE is_table AND NOT denied && '{read,see-all-rows}') AS present
          LEFT JOIN pg_temp.reference USING (name)
         ORDER BY ordinal, name
    LOOP
        PERFORM pg_temp.progress('reading rows', task.done, task.total);
        IF task.comparable THEN
            PERFORM pg_temp.prepare(task.tenant);
            SELECT * INTO file FROM pg_temp.fill WHERE fill.name = task.name;
        END IF;
        IF NOT task.comparable OR file.columns IS NULL THEN
            EXECUTE format('INSERT INTO pg_temp.row_count SELECT $1, $2, count(*), $3 FROM %I.%I', task.tenant, task.name)
            USING task.ordinal, task.name, CASE WHEN task.comparable THEN 0 END;
        ELSE
            SELECT string_agg(format('wanted.%I', name), ', ') INTO key_list FROM unnest(file.key) AS name;
            PERFORM pg_temp.enter(task.tenant);
            -- Grouped, since a table that lost its primary key may hold a key twice.
            EXECUTE (
                SELECT format(
                    'INSERT INTO pg_temp.row_count
                     SELECT $1, $2, (SELECT count(*) FROM %1$I.%2$I), count(*),
                            array_agg(key ORDER BY number) FILTER (WHERE missing),
                            array_agg(key ORDER BY number) FILTER (WHERE altered AND NOT missing)
                       FROM (SELECT row_number() OVER (ORDER BY %3$s) AS number, concat_ws('', '', %3$s) AS key,
                                    bool_and(present.tableoid IS NULL) AS missing, bool_or(%4$s) AS altered
                               FROM (%6$s) AS wanted
                               LEFT JOIN %1$I.%2$I AS present ON %5$s
                              GROUP BY %3$s) AS compared',
                    task.tenant, task.name, key_list,
                    string_agg(format(CASE WHEN typname IN ('json', 'xml', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle')
                                           THEN 'present.%1$I::text IS DISTINCT FROM wanted.%1$I::%2$s::text'
                                           ELSE 'present.%1$I IS DISTINCT FROM wanted.%1$I::%2$s' END,
                                      attname, format_type(atttypid, atttypmod)), ' OR '),
                    string_agg(format('present.%1$I = wanted.%1$I', attname), ' AND ') FILTER (WHERE attname = ANY (file.key)),
                    file.sql)
                  FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
                 WHERE attrelid = format('%I.%I', task.tenant, task.name)::regclass AND attname = ANY (file.columns))
            USING task.ordinal, task.name;
            SET LOCAL search_path = pg_catalog, pg_temp;
        END IF;
        processed := processed + 1;
        -- Locks are held until the transaction ends, and the lock table is small.
        IF processed % 20 = 0 THEN
            COMMIT;
        END IF;
    END LOOP;
END $$;

\ir attempts.sql

BEGIN READ WRITE;
CREATE TEMPORARY TABLE finding AS
WITH finding (ordinal, relation, position, part, tenant, object, expected, found, kind, remedy) AS (
    SELECT ordinal, NULL, 1, 0, name, 'schema', 'exists', 'missing', 'schema-missing', NULL
      FROM observed
     WHERE NOT schema_exists
     UNION ALL
    SELECT ordinal, NULL, 2, 0, name, 'schema owner', current_user::text, schema_owner::text, 'schema-owner',
           CASE WHEN 'own-schema' = ANY (schema_denied) THEN schema_remedy END
      FROM observed
     WHERE schema_owner <> current_user
     UNION ALL
    SELECT pending.ordinal, NULL, 3, 0, pending.tenant, 'changes', 'all applied',
           'pending ' || pg_temp.enumeration(array_agg(change ORDER BY position)), 'change-pending',
           CASE WHEN 'create-table' = ANY (schema_denied) THEN schema_remedy END
      FROM pending
      JOIN observed ON observed.ordinal = pending.ordinal AND schema_exists
      JOIN ledger ON readable
     GROUP BY pending.ordinal, pending.tenant, schema_denied, schema_remedy
     UNION ALL
    SELECT observed.ordinal, relation,
           CASE WHEN class = 'relation' THEN 3 WHEN class LIKE '%-owner' THEN 4 WHEN class = 'persistence' THEN 5
                WHEN class = 'primary-key' THEN 6 ELSE 7 END,
           coalesce(part, 0)::bigint, difference.tenant, object, pg_temp.short(expected), pg_temp.short(found), kind,
           CASE WHEN class = 'relation' AND missing AND 'create-table' = ANY (denied)
                  OR (class LIKE '%-owner' OR class <> 'relation' AND missing) AND 'own-table' = ANY (denied)
                THEN pg_temp.remedy(space, present) END
      FROM difference
      JOIN observed ON observed.name = difference.tenant
      JOIN pg_namespace AS space ON nspname = difference.tenant
      LEFT JOIN pg_class AS present ON relnamespace = space.oid AND relname = relation
     CROSS JOIN LATERAL pg_temp.denied(space, present) AS denied
     UNION ALL
    SELECT ordinal, name, 8, 0, tenant, 'table ' || name, 'readable', 'not readable by ' || current_user, 'not-readable', remedy
      FROM observed_table
     WHERE is_table AND 'read' = ANY (denied)
     UNION ALL
    SELECT ordinal, name, 8, 0, tenant, 'table ' || name, 'all rows visible', 'row-level security may hide rows from ' || current_user,
           'row-level-security', remedy
      FROM observed_table
     WHERE is_table AND 'see-all-rows' = ANY (denied) AND 'read' <> ALL (denied)
     UNION ALL
    SELECT ordinal, name, 9, 0, tenant, 'rows of ' || name, wanted::text, rows::text,
           CASE WHEN rows < wanted THEN 'rows-too-few' ELSE 'rows-too-many' END,
           CASE WHEN rows < wanted AND 'insert' = ANY (denied) THEN remedy END
      FROM configuration, observed_table
      JOIN row_count USING (ordinal, name)
     WHERE rows < wanted OR rows > wanted AND NOT accept_other_rows
     UNION ALL
    SELECT ordinal, name, 10, 0, tenant, 'sample rows of ' || name, 'none missing', 'missing ' || pg_temp.enumeration(missing),
           'sample-rows-missing', CASE WHEN 'insert' = ANY (denied) THEN remedy END
      FROM observed_table
      JOIN row_count USING (ordinal, name)
     WHERE missing IS NOT NULL
     UNION ALL
    SELECT ordinal, name, 11, 0, tenant, 'sample rows of ' || name, 'none altered', 'altered ' || pg_temp.enumeration(altered),
           'sample-rows-altered', NULL
      FROM observed_table
      JOIN row_count USING (ordinal, name)
     WHERE altered IS NOT NULL
     UNION ALL
    SELECT NULL, NULL, 12, 0, name, 'schema', 'not configured: absent', concat('exists', ', looks like that of tenant ' || quote_ident(like_tenant)),
           'not-configured', NULL
      FROM stray
     UNION ALL
    SELECT NULL, NULL, 13, 0, NULL, 'tenant template', 'can be applied to a scratch schema', pg_temp.short(problem), 'expectation', remedy
      FROM expectation
     WHERE NOT possible
     UNION ALL
    SELECT NULL, NULL, 14, 0, NULL, 'ledger etl_manager.applied', 'readable', 'not readable by ' || current_user, 'ledger-not-readable', remedy
      FROM ledger
     WHERE NOT readable
     UNION ALL
    SELECT NULL, NULL, 15, 0, NULL, 'change ' || change, coalesce(file_sha256, CASE kind WHEN 'change-gone' THEN 'its file' ELSE 'before ' || later END),
           concat_ws(' ', coalesce(sha256, 'not applied'), format('in %s tenants', tenants)), kind, NULL
      FROM ledger_problem
     UNION ALL
    SELECT NULL, NULL, 16, position, NULL, object, expected, found, kind, remedy
      FROM surrounding
     UNION ALL
    -- What the template does not tell of either is told once.
    SELECT ordinal, NULL, 17, stage, tenant, object, expected, pg_temp.short(found), kind, remedy
      FROM isolation_found AS isolation
     WHERE NOT EXISTS (SELECT FROM difference WHERE (difference.tenant, difference.object) = (isolation.tenant, isolation.object))
     UNION ALL
    SELECT ordinal, NULL, 18, number, tenant, format('%s on %I.%I as role %I', verb, schema, relation, role),
           CASE WHEN own THEN 'allowed' ELSE 'refused' END, pg_temp.short(coalesce(outcome, 'allowed')),
           CASE WHEN own THEN 'isolation-refused' ELSE 'isolation-extra' END, NULL
      FROM attempt
     WHERE CASE WHEN own THEN outcome IS NOT NULL ELSE NOT refused END
     UNION ALL
    SELECT ordinal, NULL, 18, 9, tenant, format('row-level security for role %I', role), 'in force', 'not in force in ' || pg_temp.enumeration(unprotected),
           'isolation-extra', NULL
      FROM tried
     WHERE unprotected <> '{}'
)
SELECT row_number() OVER (ORDER BY ordinal NULLS LAST, relation COLLATE "C" NULLS FIRST, position, part, tenant COLLATE "C", object COLLATE "C") AS number,
       tenant, relation, object, expected, found, kind, remedy
  FROM finding;
COMMIT;
\endif
