r"""SQL files are read as psql reads them, and refused where a run would destroy, or could not run them to their end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from etl_manager.config import load
from etl_manager.errors import ConfigError
from etl_manager.sql_files.check import check

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path):
    """A project of its own: the SQL of this one, and its configuration."""
    shutil.copytree(ROOT / "sql", tmp_path / "sql")
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def refused(project: Path, files: dict[str, str | bytes], config: dict | None = None) -> str:
    """Put *files* into the project, and return what is said against it; empty where it may run."""
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    (project / "config.json").write_text(json.dumps(config or {}))
    try:
        check(load(project / "config.json", project))
    except ConfigError as error:
        return str(error)
    return ""


OWN = "sql/aurora/data/own.sql"
DESTROYING = {
    "DROP DATABASE": "DROP DATABASE IF EXISTS multitenant_analytics WITH (FORCE);",
    "DROP SCHEMA": "/* a */ drop /* x */ schema tenant_a cascade",
    "DROP TABLE": "BEGIN; DROP TABLE tenant_a.users; COMMIT;",
    "DROP OWNED": "DROP OWNED BY app;",
    "TRUNCATE": "TRUNCATE tenant_a.users",
    "DELETE": "WITH gone AS (DELETE FROM tenant_a.users RETURNING *) SELECT * FROM gone;",
    "MERGE … DELETE": "MERGE INTO t USING s ON a = b WHEN MATCHED THEN DELETE;",
    "ALTER TABLE … DROP COLUMN": 'ALTER TABLE IF EXISTS ONLY tenant_a.users ADD x int, DROP "email" CASCADE;',
    "ALTER TYPE … DROP ATTRIBUTE": "ALTER TYPE pair DROP ATTRIBUTE right;",
    "DROP EXTENSION … CASCADE": "DROP EXTENSION hstore CASCADE;",
    "lo_unlink": "SELECT lo_unlink(loid) FROM x;",
}
HIDDEN = {
    "beside a temporary table": "DROP TABLE IF EXISTS pg_temp.users, users;",
    "what a temporary table lists": "DELETE FROM users USING pg_temp.gone WHERE gone.id = users.id;",
    "in a DO block": "DO $$ BEGIN\n  DELETE FROM t; END $$;",
    "in a quoted DO block": "DO 'BEGIN TRUNCATE t; END'",
    "in EXECUTE": "DO $x$ BEGIN EXECUTE 'DROP TABLE ' || x; END $x$;",
    "in format": "DO $$ BEGIN FOR r IN SELECT 1 LOOP EXECUTE format('DELETE FROM %I', r); END LOOP; END $$",
    "in a DO block of an EXECUTE": "do $$ begin execute $q$ do $z$ begin drop table x; end $z$ $q$; end $$",
    "in gexec": "SELECT format('drop table %I', x) FROM y \\gexec",
    "in pieces for gexec": "SELECT 'drop '||'table x' \\gexec",
    "of a kind that is not seen": "SELECT format('DROP %s %I', kind, name) FROM y \\gexec",
    "of a name that is not seen": "SELECT 'TRUNCATE ' || name FROM y \\gexec",
    "after another statement": "SELECT 1\\; DELETE FROM t;",
    "in a variable": "\\set x 'DELETE FROM t'\n:x;",
    "in a variable and outside": "\\set verb DELETE\n:verb FROM t;",
    "in copy": "\\copy (delete from t returning 1) to 'f'",
    "in COPY": "COPY (DELETE FROM t RETURNING 1) TO STDOUT;",
    "in a shell command": "\\! psql -c 'drop table x'",
    "as a program": "\\! dropdb multitenant_analytics",
    "behind a carriage return": "-- a comment\rDELETE FROM t;",
    "behind a backslash": "SELECT 'a\\'; DELETE FROM t; --'",
    "behind the data of a COPY": "COPY t FROM stdin;\nit's\n\\.\nDELETE FROM t;",
    "in a prepared statement": "PREPARE p AS DELETE FROM t; EXECUTE p;",
    "in a function that is called": "CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS 'DELETE FROM t'; SELECT wipe();",
    "in a procedure that a DO block calls": "CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC DELETE FROM t; END;"
    " DO $$ BEGIN CALL p(); END $$;",
}
HARMLESS = {
    "string": "SELECT 'DROP TABLE x'; INSERT INTO docs VALUES ('how to DROP TABLE x');",
    "escape string": "SELECT E'it\\'s; DROP TABLE x';",
    "dollar string": "SELECT $a$; DROP TABLE x; $b$ $a$;",
    "name": 'SELECT 1 AS "delete from", 2 AS "; drop table x;";',
    "comment": "-- DROP TABLE x\nSELECT 1;",
    "nested comment": "/* /* */ DELETE FROM t; */ SELECT 1;",
    "privilege": "GRANT SELECT, DELETE, TRUNCATE ON t TO x; REVOKE DELETE ON t FROM x;",
    "privileges from a list": "SELECT format('GRANT %s ON t TO x', p) FROM unnest(array['SELECT','DELETE','TRUNCATE']) p \\gexec",
    "foreign key": "CREATE TABLE t (x int REFERENCES y ON DELETE CASCADE);",
    "trigger": "CREATE TRIGGER t AFTER DELETE OR TRUNCATE ON x EXECUTE FUNCTION f();",
    "policy": "CREATE POLICY p ON t FOR DELETE USING (true);",
    "function that is defined": "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DELETE FROM t $$; COMMENT ON FUNCTION f() IS 'x';",
    "function in SQL": "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 2 END; DELETE FROM t; END;\nSELECT 3;",
    "publication": "ALTER PUBLICATION p DROP TABLE t;",
    "temporary": 'DROP TABLE IF EXISTS pg_temp.users, pg_temp."b c"; DROP TABLE pg_temp.a; DELETE FROM pg_temp.gone;',
    "constraint": "ALTER TABLE t DROP CONSTRAINT c, ALTER x DROP NOT NULL, ALTER y DROP DEFAULT;",
    "data of a COPY": "COPY t FROM stdin;\nDROP TABLE x; delete from t;\n\\.\nSELECT 1;",
    "temporary table": "CREATE TEMP TABLE x (a int) ON COMMIT DROP; CREATE TEMP TABLE y (a int) ON COMMIT DELETE ROWS;",
    "view, index": "DROP VIEW x; DROP INDEX y; DROP MATERIALIZED VIEW z;",
    "message": "DO $$ BEGIN EXECUTE 'SELECT 1'; RAISE 'DELETE FROM is not allowed'; END $$",
    "dump": "\\restrict abc\nSET standard_conforming_strings = on;\nCREATE TABLE d (t text);\nCOPY d (t) FROM stdin;\nit's\n\\.\n\\unrestrict abc\n",
}


@pytest.mark.parametrize("how", DESTROYING)
def test_file_that_destroys_is_refused(project, how):
    """The message names file, line, what it does, and what to do instead."""
    told = refused(project, {OWN: f"\n{DESTROYING[how]}"})
    assert f"{OWN}:2: {how}: " in told
    assert "-- destroys: WHY" in told


@pytest.mark.parametrize("where", HIDDEN)
def test_destruction_is_found_where_it_hides(project, where):
    """In text that is run, in variables, behind whatever looks like a quote or a comment and is none."""
    assert f"{OWN}:" in refused(project, {OWN: HIDDEN[where]})


@pytest.mark.parametrize("what", HARMLESS)
def test_text_is_no_statement(project, what):
    """What is quoted, commented out, only defined, or a word of another statement destroys nothing."""
    assert refused(project, {OWN: HARMLESS[what]}) == ""


def test_header_allows_what_it_explains(project):
    """A file whose own header says what it destroys and why may run; a comment further down says nothing."""
    text = "DELETE FROM tenant_a.users WHERE user_id > 5;\n"
    assert refused(project, {OWN: f"-- Sweep.\n-- destroys: test rows of last night\n{text}"}) == ""
    assert OWN in refused(project, {OWN: f"{text}-- destroys: too late\n"})
    assert OWN in refused(project, {OWN: f"-- destroys:\n{text}"})


def test_included_files_are_read_too(project):
    """A file that destroys does so as well where another includes it; one that cannot be seen is refused."""
    files = {
        OWN: "\\ir parts/a.sql\n",
        "sql/aurora/data/parts/a.sql": "\\i sql/shared/b.sql\n",
        "sql/shared/b.sql": "DROP TABLE x;",
    }
    assert "sql/shared/b.sql:1: DROP TABLE" in refused(project, files)
    assert "includes sql/aurora/data/none.sql, which is not there" in refused(project, {OWN: "\\ir none.sql"})
    assert "cannot be read beforehand" in refused(project, {OWN: "\\i :file"})


@pytest.mark.parametrize("name", ["teardown", "inspection", "tenant"])
def test_teardown_is_no_phase(project, name):
    """A configuration that names it as a phase is refused, whatever is in the folder."""
    assert f"aurora.phases.{name}: {name} is no phase: " in refused(
        project, {}, {"aurora": {"phases": {name: {"connection_db": "postgres"}}}}
    )


ENDS = {
    "\\q": ("SELECT 1;\n\\q\nSELECT 2;\n", ":2: ends the file early"),
    "\\q in a condition": ("\\if true\n\\q\n\\endif\n", ":2: ends the file early"),
    "open comment": ("SELECT 1;\n/* SELECT 2;\n", ":2: a comment that begins here with /* does not end"),
    "open string": ("SELECT 'x;\n", ":1: a quote that begins here with ' does not end"),
    "open body": ("DO $x$ SELECT $$;\n", ":1: a quote that begins here with $x$ does not end"),
    "NUL": ("SELECT 1;\nSELECT\0 2;\n", ":2: holds a NUL byte"),
    "data that may be run": ("\\set ON_ERROR_STOP off\nCOPY t FROM stdin;\n1\n\\.\n", ":2: where this COPY is not run"),
    "other quotes": ("SET standard_conforming_strings = off;\n", ":1: makes psql read quotes in another way"),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_file_that_would_not_be_run_to_its_end_is_refused(project, end):
    """It would be green with half of it never run, or be read otherwise than it stands."""
    text, told = ENDS[end]
    assert f"{OWN}{told}" in refused(project, {OWN: text})
    assert refused(project, {OWN: "SELECT 1;\n\\q\n"}) == ""


ENCODINGS = [
    ("cp932", "テーブル", "Shift_JIS"),
    ("euc_jp", "日本", "EUC-JP"),
    ("latin-1", "café", "Latin-1"),
    ("utf-16", "é", "UTF-16"),
]


@pytest.mark.parametrize(("codec", "text", "name"), ENCODINGS)
def test_another_encoding_is_named(project, codec, text, name):
    """The message says what it looks like, on which line, and how to convert it; a UTF-8 mark is no matter."""
    told = refused(project, {OWN: f"SELECT 1;\n-- {text}\n".encode(codec)})
    assert f"{OWN}:{1 if codec == 'utf-16' else 2}: is not UTF-8 but looks like {name}; convert it: iconv -f " in told
    assert refused(project, {OWN: b"\xef\xbb\xbf-- destroys: x\nDROP TABLE x;"}) == ""


READ_ONLY = {
    "a shell command": ["\\! rm x", "\\set x `id`", "\\o |cat", "SELECT 1 \\g |cat", "\\copy t to program 'x'", "\\setenv PAGER x",
                        "COPY t TO PROGRAM 'x';"],
    "a connection of its own": ["\\c", "SELECT 1; \\connect postgres"],
    "in a file that runs in one read-only transaction": ["COMMIT;", "SELECT 1\\; END;", "ROLLBACK;", "BEGIN;", "PREPARE TRANSACTION 'x';"],
    "a setting that would let the session write": [
        "SET transaction_read_only = off;", "set default_transaction_read_only to off;", "RESET ALL;", "DISCARD ALL;",
        "SET TRANSACTION READ WRITE;", "SELECT set_config('transaction_read_only', 'off', true);",
        "DO $$ BEGIN SET default_transaction_read_only = off; END $$;", "SELECT 'reset all' \\gexec",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE;",
    ],
    "DELETE": ["DELETE FROM tenant_a.users;"],
}  # fmt: skip


@pytest.mark.parametrize("phase", ["verification/own.sql", "inspection/count-rows.sql"])
@pytest.mark.parametrize(("why", "text"), [(why, text) for why, texts in READ_ONLY.items() for text in texts])
def test_file_that_only_reads_may_not_open_its_session(project, phase, why, text, monkeypatch):
    """Verification and inspection are refused whatever would change something or leave the read-only session."""
    monkeypatch.setattr("etl_manager.project.PACKAGED", project)  # as in a checkout, whose engine is its own
    file = f"sql/aurora/{phase}"
    assert why in refused(project, {file: f"SELECT 1;\n{text}\n"})
    assert (
        refused(project, {file: "SELECT 1; SET default_transaction_read_only = on; SELECT 'COMMIT; read write';\n"})
        == ""
    )


def test_team_s_own_shared_file_may_not_open_the_session(project):
    """What a verification includes is the engine's only under the engine's names."""
    files = {
        "sql/aurora/verification/own.sql": "\\ir ../../shared/ours.sql\n\\ir ../../shared/configuration.sql\n",
        "sql/shared/ours.sql": "COMMIT;\n",
    }
    assert "sql/shared/ours.sql:1: COMMIT in a file that runs in one read-only transaction" in refused(project, files)


def test_sub_folders_are_told(project):
    """SQL in a folder below a phase's would not be run, unless a file includes it."""
    files = {"sql/aurora/data/more/x.sql": "SELECT 1;"}
    assert "sql/aurora/data/more/x.sql: would not be run" in refused(project, files)
    assert refused(project, {**files, OWN: "\\ir more/x.sql\n"}) == ""
