-- Hold every tenant's schema against what the template makes.
-- included by: observation.sql, and the phases that build (\ir), in the multi-tenant database
-- leaves:      pg_temp.compare(tenants, upto): looks at the schemas of those tenants, and fills
--              pg_temp.difference (tenant, kind, class, relation, key, object, expected, found, missing): what differs
--              from the template after *upto* changes; missing, where the tenant has nothing of it
\ir expectation.sql
SELECT to_regclass('pg_temp.difference') IS NULL AS to_compare \gset
\if :to_compare
BEGIN READ WRITE;

CREATE TEMPORARY TABLE difference_of_look (
    look     bigint  NOT NULL,
    tenant   text    NOT NULL,
    kind     text    NOT NULL,
    class    text    NOT NULL,
    relation text,
    key      text    NOT NULL,
    object   text    NOT NULL,
    expected text    NOT NULL,
    found    text    NOT NULL,
    missing  boolean NOT NULL,
    part     oid
);
CREATE TEMPORARY VIEW difference AS
SELECT * FROM difference_of_look WHERE look > nullif(current_setting('etl_manager.compared_after', true), '')::bigint;

CREATE PROCEDURE pg_temp.compare(tenants text[], upto bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    batch text[];
BEGIN
    PERFORM set_config('etl_manager.compared_after', nextval('pg_temp.look')::text, false);
    -- What a look keeps in memory grows with its tenants.
    FOR batch IN
        SELECT array_agg(name ORDER BY number)
          FROM unnest(tenants) WITH ORDINALITY AS listed (name, number)
         GROUP BY (number - 1) / 200
         ORDER BY min(number)
    LOOP
        PERFORM pg_temp.look_at(batch);
        COMMIT;
        CALL pg_temp.deparse(true);
        COMMIT;
        ANALYZE pg_temp.deparsed;
        INSERT INTO pg_temp.difference_of_look
        WITH found AS MATERIALIZED (
            SELECT * FROM pg_temp.described
        ), wanted AS (
            SELECT * FROM pg_temp.expected WHERE expected.upto = compare.upto
        ), same AS (
            SELECT space, count(*) AS lines FROM found JOIN wanted USING (key, value) GROUP BY space
        ), total AS (
            SELECT space, count(*) AS lines FROM found GROUP BY space
        ), suspect AS (
            SELECT scope, scope.id AS space
              FROM pg_temp.scope
              LEFT JOIN same  ON same.space = scope.id
              LEFT JOIN total ON total.space = scope.id
             WHERE same.lines IS DISTINCT FROM (SELECT count(*) FROM wanted) OR same.lines IS DISTINCT FROM total.lines
        ), line AS (
            SELECT scope, coalesce(wanted.class, found.class) AS class, coalesce(wanted.relation, found.relation) AS relation,
                   key, coalesce(wanted.object, found.object) AS object, CASE coalesce(wanted.class, found.class) WHEN 'column' THEN coalesce(wanted.id, found.id) END AS part,
                   coalesce(wanted.whole, found.whole) AS whole, wanted.shown AS expected,
                   CASE found.class WHEN 'index' THEN pg_temp.index_shown(found.id, scope) ELSE found.value END AS found
              FROM (SELECT space, wanted.* FROM suspect, wanted) AS wanted
              FULL JOIN (SELECT found.* FROM found JOIN suspect USING (space)) AS found USING (space, key)
              JOIN suspect USING (space)
             WHERE wanted.value IS DISTINCT FROM found.value
        ), differing AS (
            SELECT line.*, (scope).name AS tenant,
                   -- What PostgreSQL does by itself has no line.
                   CASE WHEN class LIKE '%-owner' THEN current_user
                        WHEN class = 'persistence' THEN 'logged'
                        WHEN class = 'row-security' THEN 'disabled'
                        WHEN class = 'replica-identity' THEN 'default'
                        WHEN class IN ('option', 'inheritance', 'partitioning', 'default-privileges') THEN 'none' END AS default_value
              FROM line
             WHERE expected IS DISTINCT FROM found
        )
        SELECT currval('pg_temp.look'), tenant,
               CASE WHEN class = 'relation'
                    THEN replace(left(object, length('relation') - length(key)), ' ', '-') -- the key is "relation" and the same name
                         || CASE WHEN found IS NULL THEN '-missing' WHEN expected IS NULL THEN '-extra' ELSE '-kind' END
                    WHEN class = 'persistence' THEN coalesce(found, 'logged')
                    WHEN class = 'primary-key' AND num_nonnulls(expected, found) = 2 OR class LIKE '%-owner' THEN class
                    WHEN default_value IS NOT NULL OR num_nonnulls(expected, found) = 2 THEN class || '-differs'
                    WHEN found IS NULL THEN class || '-missing'
                    ELSE class || '-extra' END,
               class, relation, key, object,
               coalesce(expected, default_value, 'absent'),
               coalesce(found, default_value, 'missing'),
               found IS NULL, part
          FROM differing
         -- Of what is missing, too much, or of another kind the parts are not told.
         WHERE NOT EXISTS (SELECT FROM differing AS other
                            WHERE other.tenant = differing.tenant AND other.key = differing.whole
                              AND (other.class = 'relation' OR num_nonnulls(other.expected, other.found) = 1));
    END LOOP;
END $$;

COMMIT;
\endif
