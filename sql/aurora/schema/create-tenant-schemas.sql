-- Give every configured tenant its schema and its users table.
-- connects to: the multi-tenant database
-- repairs:     a missing schema, table or primary key, and a wrong owner of schema or table
-- prints:      how many tenants there are, and how many of each were created or repaired
-- What the user may not do is left as it is and counted: verification says what would let it.
-- Nothing is dropped. Safe to run twice, concurrently and after an interruption.
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\ir ../../shared/privileges.sql

-- One builder at a time; the lock ends with this session.
DO $$ BEGIN PERFORM pg_advisory_lock(hashtext('etl-manager')); END $$;

-- What is to be done, from the catalogue in one look: a second run finds nothing and touches nothing.
CREATE TEMPORARY TABLE task AS
SELECT tenant.ordinal,
       tenant.name,
       space.oid IS NULL                                                        AS create_schema,
       space.nspowner <> me.oid IS TRUE AND 'own-schema' <> ALL (denied)        AS own_schema,
       users.oid IS NULL AND 'create-table' <> ALL (denied)                     AS create_table,
       users.relkind                                                            AS relkind,
       users.relowner <> me.oid IS TRUE AND 'own-table' <> ALL (denied)         AS own_table,
       users.oid IS NOT NULL AND key.conrelid IS NULL
           AND 'own-table' <> ALL (denied)                                      AS add_primary_key,
       denied && '{own-schema,create-table,own-table}'                          AS left_alone
  FROM tenant
  JOIN pg_roles AS me           ON me.rolname = current_user
  LEFT JOIN pg_namespace AS space ON space.nspname = tenant.name
  LEFT JOIN pg_class AS users   ON users.relnamespace = space.oid AND users.relname = 'users'
  LEFT JOIN pg_constraint AS key ON key.conrelid = users.oid AND key.contype = 'p'
 CROSS JOIN LATERAL pg_temp.denied(space, users) AS denied;

DO $$
DECLARE
    task    record;
    reached integer := 0;
    detail  text;
    hint    text;
BEGIN
    FOR task IN
        SELECT * FROM pg_temp.task
         WHERE create_schema OR own_schema OR create_table OR own_table OR add_primary_key OR relkind <> 'r'
         ORDER BY ordinal
    LOOP
        BEGIN
            IF task.relkind <> 'r' THEN
                RAISE 'users exists and is not an ordinary table (relkind %)', task.relkind
                USING ERRCODE = 'wrong_object_type', HINT = 'Move it away; nothing is dropped here.';
            END IF;
            IF task.create_schema THEN
                EXECUTE format('CREATE SCHEMA %I', task.name);
            ELSIF task.own_schema THEN
                EXECUTE format('ALTER SCHEMA %I OWNER TO CURRENT_USER', task.name);
            END IF;
            IF task.create_table THEN
                -- Types that zero-ETL replicates, and the primary key it demands.
                EXECUTE format(
                    'CREATE TABLE %I.users (
                         user_id    integer      PRIMARY KEY,
                         name       varchar(100) NOT NULL,
                         email      varchar(255) NOT NULL,
                         created_at timestamptz  NOT NULL DEFAULT now())', task.name);
            END IF;
            IF task.own_table THEN
                EXECUTE format('ALTER TABLE %I.users OWNER TO CURRENT_USER', task.name);
            END IF;
            IF task.add_primary_key THEN
                EXECUTE format('ALTER TABLE %I.users ADD PRIMARY KEY (user_id)', task.name);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            IF NOT has_database_privilege(current_database(), 'CREATE') THEN
                hint := format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user);
            END IF;
            RAISE 'tenant "%": %', task.name, SQLERRM USING ERRCODE = SQLSTATE, DETAIL = detail, HINT = hint;
        END;
        reached := reached + 1;
        -- Every new object holds a lock until its transaction ends, and the lock table is small.
        IF reached % 50 = 0 THEN
            COMMIT;
        END IF;
    END LOOP;
END $$;

SELECT count(*)                               AS tenants,
       count(*) FILTER (WHERE create_schema)   AS schemas_created,
       count(*) FILTER (WHERE create_table)    AS tables_created,
       count(*) FILTER (WHERE add_primary_key) AS primary_keys_added,
       count(*) FILTER (WHERE own_schema) + count(*) FILTER (WHERE own_table) AS owners_set,
       count(*) FILTER (WHERE left_alone)      AS not_permitted
  FROM pg_temp.task;
