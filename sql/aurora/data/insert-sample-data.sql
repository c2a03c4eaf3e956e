-- Put every configured tenant's sample rows in place.
-- connects to: the multi-tenant database
-- needs:       sql/aurora/schema
-- prints:      how many tenants there are, how many rows were inserted, and how many tenants were left as they are,
--              since the user may not see all of their rows or insert any: verification says what would let it
-- A row that is there is never changed or deleted. Safe to run twice, concurrently and after an interruption.
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\ir ../../shared/privileges.sql

CREATE TEMPORARY TABLE task AS
SELECT tenant.ordinal, tenant.name, denied && '{read,see-all-rows,insert}' AS left_alone
  FROM tenant
  LEFT JOIN pg_namespace AS space ON space.nspname = tenant.name
  LEFT JOIN pg_class AS users     ON users.relnamespace = space.oid AND users.relname = 'users'
 CROSS JOIN LATERAL pg_temp.denied(space, users) AS denied;

CREATE TEMPORARY TABLE inserted (rows bigint NOT NULL);

DO $$
DECLARE
    tenant  record;
    reached integer := 0;
    rows    bigint;
    detail  text;
    hint    text;
BEGIN
    FOR tenant IN SELECT * FROM pg_temp.task WHERE NOT left_alone ORDER BY ordinal LOOP
        BEGIN
            EXECUTE format(
                -- Asked first, and not left to the conflict alone: a table that lost its key must not fill up.
                'INSERT INTO %1$I.users (user_id, name, email)
                 SELECT user_id, name, email FROM pg_temp.sample_users($1) AS sample
                  WHERE NOT EXISTS (SELECT FROM %1$I.users AS present WHERE present.user_id = sample.user_id)
                 ON CONFLICT DO NOTHING', tenant.name)
            USING tenant.name;
            GET DIAGNOSTICS rows = ROW_COUNT;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            RAISE 'tenant "%": %', tenant.name, SQLERRM USING ERRCODE = SQLSTATE, DETAIL = detail, HINT = hint;
        END;
        INSERT INTO pg_temp.inserted VALUES (rows);
        reached := reached + 1;
        -- Locks are held until the transaction ends, and the lock table is small.
        IF reached % 50 = 0 THEN
            COMMIT;
        END IF;
    END LOOP;
END $$;

SELECT (SELECT count(*) FROM tenant)                AS tenants,
       (SELECT coalesce(sum(rows), 0) FROM inserted) AS rows_inserted,
       (SELECT count(*) FROM task WHERE left_alone) AS not_permitted;
