-- What every file here starts with: the configuration, read once, the same way.
-- included by: sql/aurora/<phase>/*.sql (\ir)
-- variables:   config_file (default config.json in the working directory);
--              only_tenants (optional): a JSON array of those configured tenants that are to be worked on
-- leaves:      psql variables database, and database_conninfo, to connect with -reuse-previous=on :"database_conninfo";
--              pg_temp.configuration (content, database, users_per_tenant, accept_other_rows, isolated);
--              pg_temp.configured (ordinal, name, role): the configured tenants, in the order of the file, and what the role of
--              each is called; NULL where the configuration names no phase isolation;
--              pg_temp.tenant (ordinal, name): those of them that are to be worked on;
--              the setting etl_manager.users_per_tenant, for the template's files;
--              pg_temp.progress(step, done, total): to be called for each tenant, tells psql every five seconds how far a step is.
-- Temporary objects live in this session only; nothing else is written. A session is told once: a second time it is
-- left as it is, and where sessions are read-only, this is the one transaction of it that writes.
\set QUIET on
\pset pager off
\encoding UTF8

\if :{?config_file}
\else
  \set config_file config.json
\endif

SELECT to_regclass('pg_temp.configuration') IS NULL AS to_configure \gset
\if :to_configure
\set config `cat :'config_file'`
BEGIN READ WRITE;

-- Names in the database must not decide what our names mean, and a limit meant for
-- short queries must not cut off the building of 10,000 tenants.
SET search_path = pg_catalog, pg_temp;
SET statement_timeout = 0;
-- The catalogue of thousands of tables is read by few large queries: in memory, and without compiling each of them first.
SET work_mem = '64MB';
SET temp_buffers = '64MB';
SET jit = off;

-- Who looks now and then in one session may be idle for longer between.
DO $$ BEGIN
    PERFORM set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout';
END $$;

-- Where psql was killed, as by a cancelled SSM command, the server is to stop too, and not to go on building unseen.
DO $$ BEGIN
    PERFORM set_config(name, '2s', false) FROM pg_settings WHERE name = 'client_connection_check_interval';
EXCEPTION WHEN invalid_parameter_value THEN
    NULL; -- a server whose platform cannot tell (PostgreSQL manual, client_connection_check_interval)
END $$;

-- A line for programs, at most every five seconds; whoever runs psql on the bastion keeps it out of the log. An INFO is sent
-- whatever client_min_messages is (PostgreSQL manual, client_min_messages).
CREATE FUNCTION pg_temp.progress(step text, done bigint, total bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    seconds bigint := extract(epoch FROM clock_timestamp());
BEGIN
    IF done = 0 THEN
        PERFORM set_config('etl_manager.step_began', seconds::text, false), set_config('etl_manager.step_told', seconds::text, false);
    ELSIF seconds >= current_setting('etl_manager.step_told')::bigint + 5 THEN
        RAISE INFO '[PROGRESS] tenants=% of=% seconds=% step=%', done, total, seconds - current_setting('etl_manager.step_began')::bigint, step;
        PERFORM set_config('etl_manager.step_told', seconds::text, false);
    END IF;
END $$;

CREATE TEMPORARY TABLE configuration AS
SELECT content,
       coalesce(content #>> '{aurora,databaseName}',
                content #>> '{aurora,phases,schema,connection_db}',
                'multitenant_analytics')                                  AS database,
       coalesce((content #>> '{sampleData,usersPerTenant}')::integer, 5) AS users_per_tenant,
       coalesce(content #>> '{sampleData,otherRows}' = 'accept', false)  AS accept_other_rows,
       content #> '{aurora,phases,isolation}' IS NOT NULL                AS isolated
  FROM (SELECT :'config'::jsonb AS content) AS file;

SELECT database,
       -- In quotes: psql takes a plain name with "=" or "://" in it for a connection string.
       format('dbname=''%s''', replace(replace(database, '\', '\\'), '''', '\''')) AS database_conninfo
  FROM configuration
\gset

CREATE TEMPORARY TABLE configured (
    ordinal bigint NOT NULL,
    name    text   NOT NULL,
    role    text,
    CONSTRAINT tenant_is_named_once PRIMARY KEY (name),
    CONSTRAINT tenant_name_is_1_to_63_bytes_long CHECK (octet_length(name) BETWEEN 1 AND 63),
    CONSTRAINT tenant_name_leaves_room_for_that_of_its_role CHECK (octet_length(role) <= 63),
    CONSTRAINT tenant_name_is_not_that_of_the_ledger CHECK (name <> 'etl_manager')
);

INSERT INTO configured
SELECT listed.ordinal, listed.name, CASE WHEN isolated THEN listed.name || '_role' END
  FROM configuration,
       jsonb_array_elements_text(coalesce(content -> 'tenants', '["tenant_a", "tenant_b", "tenant_c"]'))
           WITH ORDINALITY AS listed (name, ordinal);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_temp.configured) THEN
        RAISE 'the configuration names no tenant'
        USING HINT = 'List them under "tenants", or leave that out for tenant_a, tenant_b and tenant_c.';
    END IF;
END $$;

\if :{?only_tenants}
\else
  \set only_tenants
\endif
CREATE TEMPORARY TABLE tenant AS
SELECT ordinal, name
  FROM configured
 WHERE :'only_tenants' = '' OR nullif(:'only_tenants', '')::jsonb ? name;

ANALYZE tenant;

SELECT set_config('etl_manager.only_tenants', :'only_tenants', false),
       -- For the files of the template: how many sample users each tenant has.
       set_config('etl_manager.users_per_tenant', users_per_tenant::text, false)
  FROM configuration
\g /dev/null

DO $$
DECLARE
    unknown text;
BEGIN
    SELECT string_agg(format('"%s"', name), ', ') INTO unknown
      FROM jsonb_array_elements_text(nullif(current_setting('etl_manager.only_tenants'), '')::jsonb) AS name
     WHERE name NOT IN (SELECT configured.name FROM pg_temp.configured);
    IF unknown IS NOT NULL THEN
        RAISE 'the configuration names no tenant %', unknown
        USING HINT = 'Of the tenants in config.json, only_tenants chooses some.';
    END IF;
END $$;

COMMIT;
\endif
