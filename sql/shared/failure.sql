-- Keep what fails with a tenant, so that the others go on, and raise it in the end.
-- included by: the phases that go on after a tenant that fails (\ir), after configuration.sql
-- leaves:      pg_temp.failure (number, tenant, file, line, object, message, detail, hint, sqlstate): a row a failure;
--              pg_temp.fail(tenant, message, sqlstate, detail, hint, object, file): adds one, whose line is not known;
--              pg_temp.failures(): all of them as JSON, one object a line, "failed";
--              pg_temp.raise_failures(): the error of the phase, where there is one
CREATE TEMPORARY TABLE failure (
    number bigint GENERATED ALWAYS AS IDENTITY, tenant text, file text, line integer, object text,
    message text, detail text, hint text, sqlstate text);

CREATE PROCEDURE pg_temp.fail(tenant text, message text, sqlstate text, detail text, hint text,
                              object text DEFAULT NULL, file text DEFAULT NULL)
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO pg_temp.failure (tenant, file, object, message, detail, hint, sqlstate)
    VALUES (fail.tenant, fail.file, fail.object, fail.message, fail.detail, fail.hint, fail.sqlstate);
    -- After a lock that was waited for in vain no other is waited for as long: many tenants may stand behind the same one.
    SELECT set_config('lock_timeout', '1s', false) WHERE fail.sqlstate = '55P03';
END;

CREATE FUNCTION pg_temp.failures() RETURNS SETOF json LANGUAGE sql
BEGIN ATOMIC
    SELECT row_to_json(fact)
      FROM (SELECT 'failed' AS kind, tenant, file, line, object, message, detail, hint FROM pg_temp.failure ORDER BY number) AS fact;
END;

CREATE PROCEDURE pg_temp.raise_failures() LANGUAGE plpgsql AS $$
DECLARE
    told  text[];
    first record;
BEGIN
    SELECT array_agg(format('tenant "%s": ', tenant) || coalesce(file || coalesce(', line ' || line, '') || ': ', '') || message ORDER BY number)
      INTO told
      FROM (SELECT * FROM pg_temp.failure ORDER BY number LIMIT 21) AS failure;
    IF told IS NULL THEN
        RETURN;
    END IF;
    SELECT *, (SELECT count(DISTINCT tenant) FROM pg_temp.failure) AS tenants INTO first
      FROM pg_temp.failure ORDER BY number LIMIT 1;
    RAISE '%', concat(CASE WHEN first.tenants > 1
                           THEN format('%s of %s tenants failed; the first: ', first.tenants, (SELECT count(*) FROM pg_temp.tenant)) END,
                      told[1])
    USING ERRCODE = first.sqlstate, HINT = coalesce(first.hint, ''),
          DETAIL = concat_ws(E'\n', nullif(first.detail, ''), nullif(array_to_string(told[2:], E'\n'), ''));
END $$;
