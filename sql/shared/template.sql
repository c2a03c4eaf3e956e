-- Read the tenant template: plain SQL that says once what every tenant has.
-- included by: whatever applies, fills or compares tenants (\ir), after configuration.sql, from the workspace root
-- leaves:      pg_temp.change (ordinal, file, name, sha256, sql, transactional): sql/aurora/tenant/changes/*.sql; numbers in
--              their names count as numbers, so that 10-x.sql comes after 9-y.sql;
--              pg_temp.reference (file, name, sql): sql/aurora/tenant/data/*.sql; the name is a table's;
--              pg_temp.enter(schema): resolve names in *schema* only, as the template's files are run.
-- A change without a transaction is one whose first comment has a line "-- no-transaction".
SELECT to_regclass('pg_temp.change') IS NULL AS to_read_template \gset
\if :to_read_template
\set template `LC_ALL=C; export LC_ALL; cd sql/aurora/tenant/changes 2>/dev/null || exit 0; cd ..; echo here; for file in changes/*.sql data/*.sql; do if test -f "$file"; then printf '%s %s\n' "$(base64 -w0 <"$file")" "$file"; fi; done`
BEGIN READ WRITE;

CREATE TEMPORARY TABLE template_file AS
SELECT substr(line, strpos(line, ' ') + 1)        AS name,
       decode(split_part(line, ' ', 1), 'base64') AS content,
       ''                                         AS text
  FROM regexp_split_to_table(:'template', E'\r?\n') WITH ORDINALITY AS listed (line, number)
 WHERE line NOT IN ('', 'here');

SELECT set_config('etl_manager.template', left(:'template', 4), false) \g /dev/null

DO $$
DECLARE
    file record;
BEGIN
    IF current_setting('etl_manager.template') <> 'here' THEN
        RAISE 'the tenant template is not there: no folder sql/aurora/tenant/changes'
        USING HINT = 'Run from the workspace root, and see that sql/aurora/tenant is transferred.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_temp.template_file WHERE name LIKE 'changes/%') THEN
        RAISE 'the tenant template has no changes: no *.sql in sql/aurora/tenant/changes'
        USING HINT = 'Its first change makes what every tenant has, such as 0001-users.sql.';
    END IF;
    FOR file IN SELECT * FROM pg_temp.template_file LOOP
        BEGIN
            -- A byte order mark is no SQL.
            UPDATE pg_temp.template_file
               SET text = convert_from(CASE WHEN substr(content, 1, 3) = '\xefbbbf' THEN substr(content, 4) ELSE content END, 'UTF8')
             WHERE name = file.name;
        EXCEPTION WHEN OTHERS THEN
            RAISE 'sql/aurora/tenant/%: %', file.name, SQLERRM USING HINT = 'Save the file as UTF-8.';
        END;
        IF EXISTS (SELECT FROM pg_temp.template_file WHERE name = file.name AND text !~ '\S') THEN
            RAISE 'sql/aurora/tenant/% is empty, or cannot be read', file.name;
        END IF;
    END LOOP;
END $$;

-- The order of the phases' files too: what stands before a number, the number, and so on; V1__x (Flyway) before V1.1__x.
CREATE FUNCTION pg_temp.natural(file text) RETURNS text[] LANGUAGE sql IMMUTABLE
RETURN ARRAY(SELECT unnest(ARRAY[part[1], lpad(ltrim(part[2], '0'), 100, '0')])
               FROM regexp_matches(replace(regexp_replace(file, '\.sql$', ''), '__', chr(1)), '([^0-9]*)([0-9]*)', 'g')
                    WITH ORDINALITY AS found (part, number)
              ORDER BY number);

CREATE TEMPORARY TABLE change AS
SELECT row_number() OVER (ORDER BY pg_temp.natural(substr(name, 9)) COLLATE "C", name COLLATE "C") AS ordinal,
       'sql/aurora/tenant/' || name                              AS file,
       substr(name, 9)                                           AS name,
       encode(sha256(content), 'hex')                            AS sha256,
       text                                                      AS sql,
       text !~ '^(\s*--[^\n]*\n)*\s*--[ \t]*no-transaction\s*\n' AS transactional
  FROM template_file
 WHERE starts_with(name, 'changes/');

CREATE TEMPORARY TABLE reference AS
SELECT 'sql/aurora/tenant/' || name                                                   AS file,
       regexp_replace(substr(name, 6), '\.sql$', '')                                  AS name,
       -- It becomes part of a statement: what ends it is taken away.
       regexp_replace(text, ';(\s|--[^\n]*(\n|$))*$', '')                             AS sql
  FROM template_file
 WHERE starts_with(name, 'data/');

-- The session's temporary tables come last: a template may call its own tables whatever it likes.
CREATE FUNCTION pg_temp.enter(schema name) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_catalog.set_config('search_path', pg_catalog.quote_ident(schema) OPERATOR(pg_catalog.||) ', pg_temp', true);
END $$;

COMMIT;
\endif
