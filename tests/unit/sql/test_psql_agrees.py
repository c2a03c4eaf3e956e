"""The lexer and psql read the same file in the same way: what one finds, the other runs."""

from __future__ import annotations

import pytest

from etl_manager.sql_files import rules
from etl_manager.sql_files.lexer import Statement, read

DELETE = "DELETE FROM public.canary;"
FILES = [
    DELETE,
    f"-- {DELETE}",
    f"-- a\r{DELETE}",
    f"/* a /* b */ {DELETE} */",
    f"/* a /* b */ */ {DELETE}",
    f"SELECT 'a\\'; {DELETE} --'",
    f"SELECT E'a\\'; {DELETE} --'",
    f"SELECT 'it''s; {DELETE}';",
    f'SELECT 1 AS "a""; {DELETE}";',
    f"SELECT $$ {DELETE} $$;",
    f"SELECT $a$ $$ {DELETE} $b$ $a$;",
    f"SELECT 1 AS a$b$; {DELETE} --$b$",
    f"SELECT U&'a'; {DELETE}",
    f"SELECT 1 \\g\n{DELETE}",
    f"SELECT 1 AS x \\gset \\echo 'a {DELETE}'",
    f"\\echo {DELETE}",
    f"\\echo a \\\\ {DELETE}",
    f"\\set x 'a''b' \\\\ {DELETE}",
    f"\\set x '{DELETE}'\n:x",
    f"\\set x '{DELETE}'\nSELECT :'x';",
    "\\set x DELETE\n:x FROM public.canary;",
    f"CREATE TEMP TABLE c (t text);\nCOPY c FROM stdin;\nit's\n{DELETE}\n\\.\n",
    f"CREATE TEMP TABLE c (t text);\nCOPY c FROM stdin;\nit's\n\\.\n{DELETE}",
    f"CREATE TEMP TABLE c (t text);\nCOPY c FROM stdin; COPY c FROM stdin;\na\n\\.\n{DELETE}\n\\.\n",
    f"CREATE TEMP TABLE c (t text);\n\\copy c from stdin\n{DELETE}\n\\.\n",
    f"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; {DELETE} SELECT 1; END;",
    f"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;\n{DELETE}",
    f"CREATE RULE r AS ON INSERT TO public.canary DO ALSO ({DELETE} {DELETE});",
    f"SELECT 1\\; {DELETE}",
    "SELECT 'DELETE' || ' FROM public.canary' \\gexec",
    f"DO $$ BEGIN IF true THEN {DELETE} END IF; END $$",
    "DO $$ BEGIN EXECUTE 'DELETE ' || 'FROM public.canary'; END $$",
    f"PREPARE p AS {DELETE} EXECUTE p;",
    "DELETE FROM public.canary \\r\nSELECT 1;",
    "SELECT (SELECT 1;); DELETE FROM public.canary;",
]


@pytest.mark.parametrize("text", FILES)
def test_lexer_finds_what_psql_runs(built, text):
    """A canary's rows go away where, and only where, the file was found to delete."""
    built.break_things(
        "CREATE TABLE public.canary AS SELECT 1 AS n", f"ALTER TABLE public.canary OWNER TO {built.server.user}"
    )
    file = "sql/aurora/data/canary.sql"
    (built.workspace / file).write_bytes(text.encode())
    built.run("psql", "-X", "-q", "-d", built.database, "-f", file, PGHOST=built.server.host,
              PGPORT=str(built.server.port), PGUSER=built.server.user, PGPASSWORD=built.server.password)  # fmt: skip
    gone = built.rows("SELECT count(*) FROM public.canary") == [(0,)]
    parts = read(text)
    found = [rules.destroys(part) if isinstance(part, Statement) else rules.command_destroys(part) for part in parts]
    if text.startswith("\\set x '") and ":'x'" in text:
        assert not gone  # a variable that holds a statement is refused, though it is not run here
    else:
        assert any(found) == gone, parts
