-- What every file here starts with: the configuration, read once, the same way.
-- included by: sql/aurora/<phase>/*.sql (\ir)
-- variables:   config_file (default config.json in the working directory)
-- leaves:      psql variables database, and database_conninfo, to connect with -reuse-previous=on :"database_conninfo";
--              pg_temp.configuration (content, database, users_per_tenant, accept_other_rows);
--              pg_temp.tenant (ordinal, name): the configured tenants, in the order of the file;
--              pg_temp.sample_users(tenant): the sample rows that tenant must hold.
-- Temporary objects live in this session only; nothing else is written. A session is told once: a second time it is
-- left as it is, and where sessions are read-only, this is the one transaction of it that writes.
\set QUIET on
\pset pager off
\encoding UTF8

\if :{?config_file}
\else
  \set config_file config.json
\endif
\set config `cat :'config_file'`

SELECT to_regclass('pg_temp.configuration') IS NULL AS to_configure \gset
\if :to_configure
BEGIN READ WRITE;

-- Names in the database must not decide what our names mean, and a limit meant for
-- short queries must not cut off the building of 10,000 tenants.
SET search_path = pg_catalog, pg_temp;
SET statement_timeout = 0;

-- Where psql was killed, as by a cancelled SSM command, the server is to stop too, and not to go on building unseen.
DO $$ BEGIN
    PERFORM set_config(name, '2s', false) FROM pg_settings WHERE name = 'client_connection_check_interval';
EXCEPTION WHEN invalid_parameter_value THEN
    NULL; -- a server whose platform cannot tell (PostgreSQL manual, client_connection_check_interval)
END $$;

CREATE TEMPORARY TABLE configuration AS
SELECT content,
       coalesce(content #>> '{aurora,databaseName}',
                content #>> '{aurora,phases,schema,connection_db}',
                'multitenant_analytics')                                  AS database,
       coalesce((content #>> '{sampleData,usersPerTenant}')::integer, 5) AS users_per_tenant,
       coalesce(content #>> '{sampleData,otherRows}' = 'accept', false)  AS accept_other_rows
  FROM (SELECT :'config'::jsonb AS content) AS file;

SELECT database,
       -- In quotes: psql takes a plain name with "=" or "://" in it for a connection string.
       format('dbname=''%s''', replace(replace(database, '\', '\\'), '''', '\''')) AS database_conninfo
  FROM configuration
\gset

CREATE TEMPORARY TABLE tenant (
    ordinal bigint NOT NULL,
    name    text   NOT NULL,
    CONSTRAINT tenant_is_named_once PRIMARY KEY (name),
    CONSTRAINT tenant_name_is_1_to_63_bytes_long CHECK (octet_length(name) BETWEEN 1 AND 63)
);

INSERT INTO tenant
SELECT listed.ordinal, listed.name
  FROM configuration,
       jsonb_array_elements_text(coalesce(content -> 'tenants', '["tenant_a", "tenant_b", "tenant_c"]'))
           WITH ORDINALITY AS listed (name, ordinal);

ANALYZE tenant;

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_temp.tenant) THEN
        RAISE 'the configuration names no tenant'
        USING HINT = 'List them under "tenants", or leave that out for tenant_a, tenant_b and tenant_c.';
    END IF;
END $$;

-- The one place that says what a sample row is: its content follows from tenant and number alone.
SELECT format(
    'CREATE FUNCTION pg_temp.sample_users(tenant text)
     RETURNS TABLE (user_id integer, name varchar(100), email varchar(255))
     LANGUAGE sql IMMUTABLE
     BEGIN ATOMIC
         SELECT number, format(''User %%s of %%s'', number, tenant), format(''%%s.user%%s@example.com'', tenant, number)
           FROM generate_series(1, %s) AS number;
     END', users_per_tenant)
  FROM configuration
\gexec

COMMIT;
\endif
