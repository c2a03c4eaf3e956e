-- Look at every configured tenant, and change nothing: from here on the session is read-only.
-- included by: verification and inspection (\ir), after configuration.sql, in the multi-tenant database
-- leaves:      pg_temp.observed: one row a configured tenant; what is not there is NULL;
--              pg_temp.column_finding (ordinal, name, expected, found): columns that differ;
--              pg_temp.head_count: what is in each users table of which all rows can be seen;
--              pg_temp.stray (name): tenant schemas nobody configured;
--              pg_temp.enumeration(numbers): the first ten, for people.
-- What was observed once in this session is not looked for again.
SELECT to_regclass('pg_temp.observed') IS NULL AS to_observe \gset
\if :to_observe
\ir privileges.sql
BEGIN READ WRITE;

-- The first ten numbers tell a reader where to look.
CREATE FUNCTION pg_temp.enumeration(numbers integer[]) RETURNS text LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT array_to_string((SELECT array_agg(number ORDER BY number) FROM unnest(numbers) AS number)[1:10], ', ')
           || CASE WHEN cardinality(numbers) > 10 THEN format(' and %s more', cardinality(numbers) - 10) ELSE '' END;
END;

CREATE TEMPORARY TABLE observed AS
SELECT tenant.ordinal,
       tenant.name,
       space.oid IS NOT NULL                       AS schema_exists,
       pg_get_userbyid(space.nspowner)             AS schema_owner,
       users.oid                                   AS users_oid,
       CASE users.relkind
           WHEN 'r' THEN 'ordinary table' WHEN 'p' THEN 'partitioned table' WHEN 'f' THEN 'foreign table'
           WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
           WHEN 'c' THEN 'composite type' WHEN 'i' THEN 'index'
           ELSE users.relkind::text
       END                                         AS users_kind,
       users.relkind IS NOT DISTINCT FROM 'r'      AS table_exists,
       pg_get_userbyid(users.relowner)             AS table_owner,
       users.relpersistence = 'u'                  AS unlogged,
       (SELECT array_agg(attribute.attname::text ORDER BY part.position)
          FROM pg_constraint AS key,
               unnest(key.conkey) WITH ORDINALITY AS part (attnum, position),
               pg_attribute AS attribute
         WHERE key.conrelid = users.oid AND key.contype = 'p'
           AND attribute.attrelid = users.oid AND attribute.attnum = part.attnum) AS primary_key,
       denied,
       CASE WHEN denied <> '{}' THEN pg_temp.remedy(space, users) END AS remedy
  FROM tenant
  LEFT JOIN pg_namespace AS space ON space.nspname = tenant.name
  LEFT JOIN pg_class AS users     ON users.relnamespace = space.oid AND users.relname = 'users'
 CROSS JOIN LATERAL pg_temp.denied(space, users) AS denied;

-- The columns of sql/aurora/schema/create-tenant-schemas.sql. Further columns are the tenant's own affair.
CREATE TEMPORARY TABLE column_finding AS
SELECT observed.ordinal,
       wanted.name,
       wanted.type || ' not null' AS expected,
       coalesce(format_type(present.atttypid, present.atttypmod)
                || CASE WHEN present.attnotnull THEN ' not null' ELSE ' null' END, 'missing') AS found
  FROM observed
 CROSS JOIN (VALUES (1, 'user_id',    'integer'),
                    (2, 'name',       'character varying(100)'),
                    (3, 'email',      'character varying(255)'),
                    (4, 'created_at', 'timestamp with time zone')) AS wanted (position, name, type)
  LEFT JOIN pg_attribute AS present ON present.attrelid = observed.users_oid AND present.attname = wanted.name
                                   AND NOT present.attisdropped
 WHERE observed.table_exists
   AND (present.attnum IS NULL OR NOT present.attnotnull
        OR format_type(present.atttypid, present.atttypmod) <> wanted.type)
 ORDER BY observed.ordinal, wanted.position;

-- A stray tenant schema holds a users table, or carries the prefix that all configured tenants share:
-- as far as the last underscore, and not from fewer than two characters.
CREATE TEMPORARY TABLE stray AS
WITH edge AS (
    -- What the first and the last name in code point order share, all names between them share.
    SELECT min(name COLLATE "C") AS low, max(name COLLATE "C") AS high FROM tenant
), prefix AS (
    SELECT max(left(low, length)) AS text
      FROM edge, generate_series(3, length(low)) AS length
     WHERE left(low, length) = left(high, length) AND substr(low, length, 1) = '_'
)
SELECT space.nspname AS name
  FROM pg_namespace AS space, prefix, configuration
 WHERE space.nspname NOT IN (SELECT tenant.name FROM tenant)
   AND space.nspname NOT IN ('information_schema', 'public')
   AND NOT coalesce(content #> '{aurora,otherSchemas}' ? space.nspname, false)
   AND NOT starts_with(space.nspname, 'pg_')
   AND NOT EXISTS (SELECT FROM pg_depend AS member
                    WHERE member.classid = 'pg_namespace'::regclass AND member.objid = space.oid
                      AND member.deptype = 'e')
   AND (starts_with(space.nspname, prefix.text)
        OR EXISTS (SELECT FROM pg_class AS users
                    WHERE users.relnamespace = space.oid AND users.relname = 'users' AND users.relkind IN ('r', 'p')));

CREATE TEMPORARY TABLE head_count (
    ordinal     bigint PRIMARY KEY,
    rows        bigint NOT NULL,
    sample_rows bigint,      -- how many sample rows are as they should be; these three are NULL where columns differ
    missing     integer[],   -- the numbers of those that are not there
    altered     integer[]    -- the numbers of those with another name or email
);

COMMIT;
SET default_transaction_read_only = on;
-- Rows that a policy hides would not be counted in silence, but be an error.
SET row_security = off;

DO $$
DECLARE
    tenant  record;
    reached integer := 0;
BEGIN
    FOR tenant IN
        SELECT observed.ordinal, observed.name,
               EXISTS (SELECT FROM pg_temp.column_finding AS finding
                        WHERE finding.ordinal = observed.ordinal) AS columns_differ
          FROM pg_temp.observed
         WHERE observed.table_exists AND NOT observed.denied && '{read,see-all-rows}'
         ORDER BY observed.ordinal
    LOOP
        IF tenant.columns_differ THEN
            EXECUTE format('INSERT INTO pg_temp.head_count SELECT $1, count(*) FROM %I.users', tenant.name)
            USING tenant.ordinal;
        ELSE
            -- DISTINCT, since a table that lost its primary key may hold a number twice.
            EXECUTE format(
                'INSERT INTO pg_temp.head_count
                 SELECT $1, (SELECT count(*) FROM %1$I.users),
                        wanted - coalesce(cardinality(missing), 0) - coalesce(cardinality(altered), 0), missing, altered
                   FROM (SELECT count(DISTINCT sample.user_id) AS wanted,
                                array_agg(sample.user_id) FILTER (WHERE present.user_id IS NULL) AS missing,
                                array_agg(DISTINCT sample.user_id) FILTER
                                    (WHERE present.name <> sample.name OR present.email <> sample.email) AS altered
                           FROM pg_temp.sample_users($2) AS sample
                           LEFT JOIN %1$I.users AS present ON present.user_id = sample.user_id) AS compared',
                tenant.name)
            USING tenant.ordinal, tenant.name;
        END IF;
        reached := reached + 1;
        -- Locks are held until the transaction ends, and the lock table is small.
        IF reached % 50 = 0 THEN
            COMMIT;
        END IF;
    END LOOP;
END $$;
\endif
