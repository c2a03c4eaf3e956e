-- Tell a program how many rows every ordinary table of the multi-tenant database has. Changes nothing.
-- connects to: postgres, then to the multi-tenant database where that exists
-- prints:      JSON, one object a table: schema, table, rows
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\pset format unaligned
\pset tuples_only on

SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS database_exists \gset

\if :database_exists
    \connect -reuse-previous=on :"database_conninfo"
    SET default_transaction_read_only = on;

    -- One statement a table: none takes more than one lock, however many tables there are.
    SELECT format('SELECT row_to_json(line) FROM (SELECT %L AS schema, %L AS table, count(*) AS rows FROM %I.%I) AS line',
                  space.nspname, relation.relname, space.nspname, relation.relname)
      FROM pg_class AS relation
      JOIN pg_namespace AS space ON space.oid = relation.relnamespace
     WHERE relation.relkind IN ('r', 'p')
       AND space.nspname <> 'information_schema'
       AND left(space.nspname, 3) <> 'pg_'
       AND has_schema_privilege(space.oid, 'USAGE') AND has_table_privilege(relation.oid, 'SELECT')
     ORDER BY space.nspname, relation.relname
    \gexec
\endif
