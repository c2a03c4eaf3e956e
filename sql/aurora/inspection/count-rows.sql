-- Tell a program how many rows every ordinary table of the multi-tenant database has, but for the ledger. Changes nothing.
-- connects to: postgres, then to the multi-tenant database where that exists
-- prints:      JSON, one object a table: schema, table, rows; where not all of them can be seen, rows is null, and
--              denied (read | see-all-rows), user and remedy say why
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\pset format unaligned
\pset tuples_only on

SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS database_exists \gset

\if :database_exists
    \connect -reuse-previous=on :"database_conninfo"
    SET search_path = pg_catalog, pg_temp;
    \ir ../../shared/privileges.sql
    SET default_transaction_read_only = on;
    SET row_security = off;

    -- One statement a table: none takes more than one lock, however many tables there are.
    SELECT CASE WHEN denied && '{read,see-all-rows}'
                THEN format('SELECT row_to_json(line) FROM (SELECT %L AS schema, %L AS table, NULL AS rows,'
                            ' %L AS denied, current_user AS user, %L AS remedy) AS line',
                            space.nspname, relation.relname,
                            CASE WHEN 'read' = ANY (denied) THEN 'read' ELSE 'see-all-rows' END,
                            pg_temp.remedy(space, relation))
                ELSE format('SELECT row_to_json(line) FROM'
                            ' (SELECT %1$L AS schema, %2$L AS table, count(*) AS rows FROM %1$I.%2$I) AS line',
                            space.nspname, relation.relname) END
      FROM pg_class AS relation
      JOIN pg_namespace AS space ON space.oid = relation.relnamespace
     CROSS JOIN LATERAL pg_temp.denied(space, relation) AS denied
     WHERE relation.relkind IN ('r', 'p')
       AND space.nspname NOT IN ('information_schema', 'etl_manager')
       AND left(space.nspname, 3) <> 'pg_'
     ORDER BY space.nspname, relation.relname
    \gexec
\endif
