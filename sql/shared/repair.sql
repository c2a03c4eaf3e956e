-- Add to every tenant what it lacks of the template, by the template's own definitions.
-- included by: create-tenant-schemas.sql (\ir), after apply.sql
-- leaves:      pg_temp.repaired (number, tenant, class, with_table, object, found, statement)
CREATE TEMPORARY TABLE repaired (
    number bigint GENERATED ALWAYS AS IDENTITY, tenant text, class text, with_table boolean, object text, found text, statement text);

CREATE FUNCTION pg_temp.mend(missing pg_temp.expected, with_relation boolean)
RETURNS TABLE (stage integer, statement text) LANGUAGE sql STABLE
BEGIN ATOMIC
    -- The part's name follows that of its relation in the key; both are quoted there.
    WITH name (table_name, part) AS (
        SELECT quote_ident((missing).relation),
               substr((missing).key, length((missing).class || ' ' || quote_ident((missing).relation) || '.') + 1)
    )
    SELECT mended.stage, mended.statement
      FROM name,
           LATERAL (VALUES
        ('relation' = (missing).class AND (missing).value = 'sequence', 1,
            'CREATE SEQUENCE ' || table_name),
        ('relation' = (missing).class AND (missing).value = 'ordinary table', 2,
            (SELECT format('CREATE %sTABLE %s (%s)',
                           (SELECT 'UNLOGGED ' FROM pg_temp.expected AS other
                             WHERE other.upto = (missing).upto AND other.relation = (missing).relation AND other.class = 'persistence'),
                           quote_ident(min(other.relation)),
                           string_agg(substr(other.key, length(format('column %s.', table_name)) + 1) || ' ' || other.value, ', ' ORDER BY other.id))
               FROM pg_temp.expected AS other
              WHERE other.upto = (missing).upto AND other.relation = (missing).relation AND other.class = 'column')),
        ('column' = (missing).class AND NOT with_relation, 2, format('ALTER TABLE %s ADD COLUMN %s %s', table_name, part, (missing).value)),
        ('sequence' = (missing).class, 3,
            format('ALTER SEQUENCE %s %s', table_name, (missing).value)),
        ('primary-key' = (missing).class, 4, format('ALTER TABLE %s ADD %s', table_name, (missing).value)),
        ('constraint' = (missing).class, CASE WHEN starts_with((missing).value, 'FOREIGN KEY') THEN 6 ELSE 5 END,
            format('ALTER TABLE %s ADD CONSTRAINT %s %s', table_name, part, (missing).value)),
        ('index' = (missing).class, 5, (missing).shown),
        ('definition' = (missing).class AND starts_with((missing).object, 'definition of view'), 7,
            format('CREATE VIEW %s AS %s', table_name, (missing).value)),
        ('definition' = (missing).class AND NOT starts_with((missing).object, 'definition of view'), 7,
            format('CREATE MATERIALIZED VIEW %s AS %s', table_name, (missing).value)),
        ('option' = (missing).class, 8, format('ALTER TABLE %s SET (%s)', table_name, (missing).value)),
        ('replica-identity' = (missing).class, 8, format('ALTER TABLE %s REPLICA IDENTITY %s', table_name, (missing).value)),
        ('row-security' = (missing).class AND starts_with((missing).value, 'enabled'), 8,
            format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', table_name)),
        ('row-security' = (missing).class AND (missing).value LIKE '%forced', 8,
            format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', table_name)),
        ('trigger' = (missing).class OR 'rule' = (missing).class AND with_relation, 8, (missing).value),
        ('policy' = (missing).class, 8, format('CREATE POLICY %s ON %s %s', part, table_name, (missing).value)),
        ('grant' = (missing).class, 9,
            (missing).object || CASE (missing).value WHEN 'granted' THEN '' ELSE ' WITH GRANT OPTION' END)
           ) AS mended (applies, stage, statement)
     WHERE applies;
END;

DO $$
DECLARE
    tenants text[] := ARRAY(SELECT name FROM pg_temp.task WHERE name NOT IN (SELECT tenant FROM pg_temp.failure));
    changes bigint := (SELECT max(ordinal) FROM pg_temp.change);
BEGIN
    CALL pg_temp.compare(tenants, changes);
END $$;

CREATE TEMPORARY TABLE mending AS
WITH allowed AS (
    SELECT difference.*, task.ordinal
      FROM difference
      JOIN task ON task.name = tenant
      JOIN pg_namespace AS space ON nspname = tenant
      LEFT JOIN pg_class AS present ON relnamespace = space.oid AND relname = relation
     CROSS JOIN LATERAL pg_temp.denied(space, present) AS denied
     WHERE NOT denied && '{create-table,own-table}'
)
SELECT ordinal, tenant, class, relation, object, found, false AS with_table, stage, statement
  FROM allowed
 CROSS JOIN LATERAL (SELECT line FROM expected AS line WHERE upto = (SELECT max(ordinal) FROM change) AND line.key = allowed.key) AS wanted
 CROSS JOIN LATERAL pg_temp.mend(wanted.line, false) AS mended
 WHERE missing AND class IN ('relation', 'column', 'primary-key', 'constraint', 'index', 'trigger', 'policy', 'grant')
 UNION ALL
-- A table, view or sequence that is missing comes back with all that belongs to it, such as a sequence.
SELECT ordinal, tenant, (wanted.line).class, allowed.relation, (wanted.line).object, 'missing', true, stage, statement
  FROM allowed
 CROSS JOIN LATERAL (SELECT line FROM expected AS line
                      WHERE upto = (SELECT max(ordinal) FROM change) AND line.key <> allowed.key
                        AND (line.relation = allowed.relation
                             OR line.relation IN (SELECT owned.relation FROM expected AS owned
                                                   WHERE owned.class = 'relation' AND owned.whole = allowed.key))) AS wanted
 CROSS JOIN LATERAL pg_temp.mend(wanted.line, true) AS mended
 WHERE missing AND allowed.class = 'relation'
 UNION ALL
SELECT ordinal, tenant, class, relation, object, found, false, 0,
       format('ALTER %s OWNER TO CURRENT_USER', substr(object, length('owner of ') + 1))
  FROM allowed
 WHERE class LIKE '%-owner' AND expected = current_user;

INSERT INTO failure (tenant, object, message, hint, sqlstate)
SELECT tenant, object, format('%s exists and is not an %s (%s)', relation, expected, found),
       'Move it away; nothing is dropped here.', '42809'
  FROM difference
 WHERE kind LIKE '%-kind' ORDER BY tenant;

-- A schema's own owner is no part of its shape.
INSERT INTO mending
SELECT ordinal, name, 'schema-owner', NULL, 'schema owner', (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = name),
       false, -1, format('ALTER SCHEMA %I OWNER TO CURRENT_USER', name)
  FROM task
 WHERE own_schema;
CREATE INDEX ON mending (ordinal);
ANALYZE mending;

DO $$
DECLARE
    task   record;
    step   record;
    detail text;
    hint   text;
BEGIN
    FOR task IN
        SELECT ordinal, tenant, row_number() OVER (ORDER BY ordinal) - 1 AS done, count(*) OVER () AS total
          FROM pg_temp.mending
         GROUP BY ordinal, tenant
         ORDER BY ordinal
    LOOP
        PERFORM pg_temp.progress('repairing', task.done, task.total);
        FOR step IN
            SELECT * FROM pg_temp.mending WHERE mending.ordinal = task.ordinal ORDER BY stage, object, statement
        LOOP
            BEGIN
                PERFORM pg_temp.enter(task.tenant);
                EXECUTE step.statement;
                SET LOCAL search_path = pg_catalog, pg_temp;
                INSERT INTO pg_temp.repaired (tenant, class, with_table, object, found, statement)
                VALUES (task.tenant, step.class, step.with_table, step.object, step.found, step.statement);
            EXCEPTION WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                CALL pg_temp.fail(task.tenant, SQLERRM, SQLSTATE, detail, hint, step.object);
            END;
        END LOOP;
        -- Locks are held until the transaction ends, and the lock table is small.
        COMMIT;
    END LOOP;
END $$;
