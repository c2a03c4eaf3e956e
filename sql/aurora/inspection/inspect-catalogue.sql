-- Tell a program what zero-ETL would find: the cluster's databases, and how each table of the multi-tenant one is made.
-- connects to: postgres, then to the multi-tenant database where that exists. Changes nothing.
-- prints:      JSON, one object a line: one "server"; a "database" for each of the cluster; then, of the multi-tenant
--              database, a "shape" for each way its tables are made, a "tables" for each shape and table name with the
--              schemas that hold it, a "partition" for each partition; and one "end" that counts the tables.
-- Tables of other databases are not listed: a connection sees one database, and a data filter names its databases.
\ir ../../shared/configuration.sql
\pset format unaligned
\pset tuples_only on

SELECT row_to_json(line)
  FROM (SELECT 'server' AS kind,
               current_setting('server_version') AS version,
               (SELECT coalesce(json_object_agg(name, setting), '{}') FROM pg_settings
                 WHERE name = 'rds.logical_replication' OR name LIKE 'aurora.%logical_replication%') AS settings) AS line;

SELECT row_to_json(line)
  FROM (SELECT 'database' AS kind, datname AS name, pg_encoding_to_char(encoding) AS encoding
          FROM pg_database
         ORDER BY datname COLLATE "C") AS line;

SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS database_exists \gset

\if :database_exists
    -- In quotes: psql takes a plain name with "=" or "://" in it for a connection string.
    SELECT format('dbname=''%s''', replace(replace(database, '\', '\\'), '''', '\''')) AS database_conninfo
      FROM configuration \gset
    \connect -reuse-previous=on :"database_conninfo"
    \ir ../../shared/catalogue.sql

    SELECT row_to_json(line)
      FROM (SELECT 'shape' AS kind, number, shape::json AS shape FROM shape ORDER BY number) AS line;

    SELECT row_to_json(line)
      FROM (SELECT 'tables' AS kind, number AS shape, name, json_agg(schema ORDER BY schema COLLATE "C") AS schemas
              FROM described
              JOIN shape USING (shape)
             GROUP BY number, name
             ORDER BY number, name COLLATE "C") AS line;

    SELECT row_to_json(line)
      FROM (SELECT 'partition' AS kind, space.nspname AS schema, part.relname AS name,
                   parent_space.nspname AS parent_schema, parent.relname AS parent
              FROM pg_inherits
              JOIN pg_class AS part             ON part.oid = inhrelid
              JOIN pg_namespace AS space        ON space.oid = part.relnamespace
              JOIN pg_class AS parent           ON parent.oid = inhparent
              JOIN pg_namespace AS parent_space ON parent_space.oid = parent.relnamespace
             WHERE part.relispartition AND part.relkind IN ('r', 'p', 'f')
             ORDER BY 2, 3) AS line;

    SELECT count(*) AS tables FROM described \gset
\else
    \set tables 0
\endif

SELECT row_to_json(line) FROM (SELECT 'end' AS kind, :tables AS tables) AS line;
