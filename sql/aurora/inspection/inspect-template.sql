-- Tell a program how the tenants stand to the tenant template. Changes nothing.
-- connects to: postgres, then to the multi-tenant database where that exists
-- prints:      JSON, one object a line: one "template" (changes with file and sha256, tables with primary key and shape, data files);
--              of a database that exists: one "expectation" (possible, problem, remedy), one "ledger" (exists, readable,
--              remedy), a "ledger_problem" for each change that cannot be applied as it stands, a "finding" for each
--              difference, a "stray_schema" for each; a "tenant" for each that is worked on (tables: name to rows, null
--              where they cannot be counted; missing tables are left out; reference_rows: of each table with a data file,
--              how many of its rows are there, altered ones included; applied, pending, findings: how many), a "pending"
--              for each change that some tenants lack; an "isolation" for each tenant whose role was tried (role, table, neighbour,
--              and which statements were allowed in its own schema, and refused in the neighbour's), where the configuration
--              names the phase isolation; and one "end" that counts tenants and findings
\set ON_ERROR_STOP on
\ir ../../shared/configuration.sql
\ir ../../shared/template.sql
\pset format unaligned
\pset tuples_only on

SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS database_exists \gset
\set findings 0

\if :database_exists
    SELECT current_database() <> :'database' AS elsewhere \gset
    \if :elsewhere
        \connect -reuse-previous=on :"database_conninfo"
        \ir ../../shared/configuration.sql
    \endif
    \ir ../../shared/observation.sql

    SELECT row_to_json(line)
      FROM (SELECT 'template' AS kind,
                   (SELECT json_agg(json_build_object('change', name, 'file', file, 'sha256', sha256, 'transactional', transactional)
                                    ORDER BY ordinal) FROM change) AS changes,
                   (SELECT json_agg(json_build_object('table', name, 'primary_key', key, 'shape', shape) ORDER BY name COLLATE "C")
                      FROM template_table) AS tables,
                   (SELECT coalesce(json_agg(json_build_object('table', name, 'file', file) ORDER BY name COLLATE "C"), '[]')
                      FROM reference) AS data) AS line;
    SELECT row_to_json(line) FROM (SELECT 'expectation' AS kind, * FROM expectation) AS line;
    SELECT row_to_json(line)
      FROM (SELECT 'ledger' AS kind, exists, readable, CASE WHEN NOT readable THEN remedy END AS remedy FROM ledger) AS line;
    SELECT row_to_json(line)
      FROM (SELECT 'ledger_problem' AS kind, kind AS problem, change, file_sha256, sha256, later, tenants
              FROM ledger_problem ORDER BY change COLLATE "C", sha256) AS line;
    -- Grouped and joined: looked for one tenant after another, the lines of 10,000 tenants would be read 10,000 times.
    SELECT row_to_json(line)
      FROM (SELECT 'tenant' AS kind, observed.name AS tenant, schema_exists,
                   coalesce(tables, '{}') AS tables, coalesce(reference_rows, '{}') AS reference_rows,
                   coalesce(applied, 0) AS applied, coalesce(pending, 0) AS pending, coalesce(findings, 0) AS findings
              FROM observed
              LEFT JOIN (SELECT ordinal, json_object_agg(observed_table.name, rows ORDER BY observed_table.name COLLATE "C") AS tables
                           FROM observed_table LEFT JOIN row_count USING (ordinal, name)
                          WHERE is_table GROUP BY ordinal) AS counted USING (ordinal)
              LEFT JOIN (SELECT ordinal, json_object_agg(name, wanted - coalesce(cardinality(missing), 0)) AS reference_rows
                           FROM row_count WHERE wanted IS NOT NULL GROUP BY ordinal) AS referred USING (ordinal)
              LEFT JOIN (SELECT tenant AS name, count(*) AS applied FROM applied GROUP BY tenant) AS recorded USING (name)
              LEFT JOIN (SELECT ordinal, count(*) AS pending FROM pending GROUP BY ordinal) AS waiting USING (ordinal)
              LEFT JOIN (SELECT tenant AS name, count(*) AS findings FROM finding GROUP BY tenant) AS found USING (name)
             ORDER BY ordinal) AS line;
    SELECT row_to_json(line)
      FROM (SELECT 'pending' AS kind, change, json_agg(tenant ORDER BY ordinal) AS tenants
              FROM pending GROUP BY position, change ORDER BY position) AS line;
    SELECT row_to_json(line)
      FROM (SELECT 'isolation' AS kind, tenant, role, relation AS table, neighbour,
                   (SELECT coalesce(json_agg(verb ORDER BY number) FILTER (WHERE own AND outcome IS NULL), '[]')
                      FROM attempt WHERE attempt.ordinal = tried.ordinal) AS allowed,
                   (SELECT coalesce(json_agg(verb ORDER BY number) FILTER (WHERE NOT own AND refused), '[]')
                      FROM attempt WHERE attempt.ordinal = tried.ordinal) AS refused
              FROM tried ORDER BY ordinal) AS line;
    SELECT row_to_json(line)
      FROM (SELECT 'finding' AS kind, tenant, relation AS table, object, expected, found, finding.kind AS difference, remedy
              FROM finding ORDER BY number) AS line;
    SELECT row_to_json(line) FROM (SELECT 'stray_schema' AS kind, name AS schema FROM stray ORDER BY name COLLATE "C") AS line;
    SELECT count(*) AS findings FROM finding \gset
\else
    SELECT row_to_json(line)
      FROM (SELECT 'template' AS kind,
                   (SELECT json_agg(json_build_object('change', name, 'file', file, 'sha256', sha256, 'transactional', transactional)
                                    ORDER BY ordinal) FROM change) AS changes,
                   NULL AS tables,
                   (SELECT coalesce(json_agg(json_build_object('table', name, 'file', file) ORDER BY name COLLATE "C"), '[]')
                      FROM reference) AS data) AS line;
    SELECT row_to_json(line)
      FROM (SELECT 'tenant' AS kind, name AS tenant, false AS schema_exists, '{}'::json AS tables, '{}'::json AS reference_rows,
                   0 AS applied, (SELECT count(*) FROM change) AS pending, 0 AS findings
              FROM tenant ORDER BY ordinal) AS line;
    SELECT row_to_json(line)
      FROM (SELECT 'pending' AS kind, change.name AS change, (SELECT json_agg(tenant.name ORDER BY tenant.ordinal) FROM tenant) AS tenants
              FROM change ORDER BY change.ordinal) AS line;
\endif

SELECT row_to_json(line)
  FROM (SELECT 'end' AS kind, count(*) AS tenants, :findings AS findings FROM tenant) AS line;
