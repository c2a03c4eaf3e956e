-- Create the multi-tenant database where it is missing; an existing one is left alone.
-- connects to: postgres
-- prints:      database, state (created | exists)
-- safe to run twice, concurrently and after an interruption.
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql

-- CREATE DATABASE has no IF NOT EXISTS.
\ir ../../shared/lock.sql

SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS database_exists \gset

-- Zero-ETL replicates UTF-8 databases only (AWS: Aurora User Guide, zero-ETL limitations).
-- The site's template1 is used where it is UTF-8; elsewhere template0, which takes any encoding with locale C.
SELECT format('CREATE DATABASE %I ENCODING ''UTF8''', :'database')
       || CASE pg_encoding_to_char(encoding) WHEN 'UTF8' THEN '' ELSE ' TEMPLATE template0 LOCALE ''C''' END
  FROM pg_database
 WHERE datname = 'template1'
   AND NOT :'database_exists'
\gexec

DO $$
DECLARE
    found record;
BEGIN
    SELECT datname AS name, pg_encoding_to_char(encoding) AS encoding INTO STRICT found
      FROM pg_database
      JOIN pg_temp.configuration ON database = datname;
    IF found.encoding <> 'UTF8' THEN
        RAISE 'database "%" exists with encoding %', found.name, found.encoding
        USING HINT = 'Zero-ETL replicates UTF8 only. Move that database away, or name another in aurora.databaseName.';
    END IF;
END $$;

SELECT :'database' AS database,
       CASE WHEN :'database_exists' THEN 'exists' ELSE 'created' END AS state;
