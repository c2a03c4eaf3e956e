-- Drop the multi-tenant database, with every tenant in it and all their rows. Only a backup brings them back.
-- destroys:    the whole environment, on purpose; no run enters this folder
-- connects to: postgres
-- prints:      database, state (dropped | absent)
-- run by name and by hand only, and only with the database's name given again:
--   CONFIRM_DATABASE=multitenant_analytics scripts/2-sql-execute.sh config.json \
--       sql/aurora/teardown/drop-multitenant-database.sql
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql

-- Asked here too, for whoever runs it by plain psql.
\set confirmed `printf %s "$CONFIRM_DATABASE"`
SELECT :'confirmed' = :'database' AS confirmed \gset
\if :confirmed
\else
    DO $$ BEGIN
        RAISE 'the database was not named again'
        USING HINT = 'Set CONFIRM_DATABASE to its name.';
    END $$;
\endif

SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS database_exists \gset

-- FORCE ends the sessions of whoever is connected.
SELECT format('DROP DATABASE %I WITH (FORCE)', :'database')
 WHERE :'database_exists'
\gexec

SELECT :'database' AS database,
       CASE WHEN :'database_exists' THEN 'dropped' ELSE 'absent' END AS state;
