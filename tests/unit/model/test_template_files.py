r"""The tenant template is read before anything starts: what the server could not be sent, tenant by tenant, is refused."""

from __future__ import annotations

import pytest

from tests.unit.model.test_sql_files import project, refused

__all__ = ["project"]

CHANGE = "sql/aurora/tenant/changes/0002-more.sql"
DATA = "sql/aurora/tenant/data/users.sql"
REFUSED = {
    "a command of psql": ("SELECT 1;\n\\echo x", 2, r"\echo is a command of psql"),
    "an include": ("\\ir 0001-users.sql", 1, r"\ir is a command of psql"),
    "a gexec": ("SELECT 'CREATE TABLE x ()' \\gexec", 1, r"\gexec is a command of psql"),
    "data of a COPY": ("COPY users FROM stdin;\n1\tx\n\\.\n", 1, "COPY from data in the file"),
    "BEGIN": ("/* a */ begin; ALTER TABLE users ADD a int; COMMIT;", 1, "BEGIN: each change is a transaction"),
    "COMMIT": ("ALTER TABLE users ADD a int;\nCOMMIT", 2, "COMMIT: each change is a transaction"),
    "ROLLBACK": ("ROLLBACK;", 1, "ROLLBACK: each change"),
    "SAVEPOINT": ("SAVEPOINT a;", 1, "SAVEPOINT: each change"),
    "two-phase commit": ("PREPARE TRANSACTION 'x';", 1, "PREPARE: each change"),
    "a search_path": ("SET LOCAL search_path = public;", 1, "another search_path"),
    "the search_path of the role": ("RESET search_path;", 1, "another search_path"),
    "an index beside the use": (
        "-- an index\nCREATE UNIQUE INDEX CONCURRENTLY a ON users (name);",
        2,
        "CONCURRENTLY cannot run in a transaction",
    ),
    "its removal": ("DROP INDEX CONCURRENTLY a;", 1, "CONCURRENTLY cannot run in a transaction"),
    "the header too late": ("SELECT 1;\n-- no-transaction\nREINDEX TABLE CONCURRENTLY users;", 3, "CONCURRENTLY cannot"),
    "two statements": ("-- no-transaction\nCREATE INDEX CONCURRENTLY a ON users (name);\nSELECT 1;", 3, "a second statement"),
    "DROP": ("DROP TABLE users;", 1, "DROP TABLE: "),
    "DELETE": ("DELETE FROM users;", 1, "DELETE: "),
    "TRUNCATE": ("DO $$ BEGIN TRUNCATE users; END $$;", 1, "TRUNCATE: "),
    "DROP COLUMN": ("ALTER TABLE users DROP email;", 1, "ALTER TABLE … DROP COLUMN: "),
    "a tenant": ("CREATE VIEW v AS\nSELECT * FROM tenant_b.users;", 2, "names the schema of the tenant tenant_b"),
    "a tenant in quotes": ('ALTER TABLE "tenant_a".users ADD a int;', 1, "names the schema of the tenant tenant_a"),
    "a tenant in a block": ("DO $$ BEGIN UPDATE TENANT_C.users SET name = ''; END $$;", 1, "names the schema of the tenant tenant_c"),
    "a tenant in a function": (
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM tenant_c.users';",
        1,
        "names the schema of the tenant tenant_c",
    ),
    "an open quote": ("SELECT 'x;", 1, "a quote that begins here"),
    "another encoding": ("-- caf\xe9\n".encode("latin-1"), 1, "is not UTF-8 but looks like Latin-1"),
}  # fmt: skip
TAKEN = {
    "a table": "CREATE TABLE orders (a int PRIMARY KEY);",
    "a function with a block": "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END;\nSELECT f();",
    "a function with a search_path": "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = public AS 'SELECT 1';",
    "an index beside the use": "-- users_name\n-- no-transaction\nCREATE INDEX CONCURRENTLY users_name ON users (name);",
    "a view that is refreshed": "REFRESH MATERIALIZED VIEW CONCURRENTLY v;",
    "a destruction that is explained": "-- destroys: nobody reads it any more\nALTER TABLE users DROP email;",
    "a table called as a tenant": "CREATE TABLE tenant_a (b int); SELECT tenant_a.b FROM tenant_a;",
    "a tenant in a text": "COMMENT ON TABLE users IS 'as tenant_a.users';",
    "another schema": "ALTER TABLE users ADD a public.citext;",
    "a byte order mark": "\ufeffALTER TABLE users ADD a int;",
}


@pytest.mark.parametrize("what", REFUSED)
def test_change_that_cannot_be_applied_is_refused(project, what):
    """The message names file, line and why."""
    text, line, why = REFUSED[what]
    told = refused(project, {CHANGE: text})
    assert f"{CHANGE}:{line}: {why}" in told
    assert told.count(CHANGE) == (2 if what == "BEGIN" else 1)


@pytest.mark.parametrize("what", TAKEN)
def test_other_changes_are_taken(project, what):
    """What the server can be sent for every tenant, and what only looks like the above."""
    assert refused(project, {CHANGE: TAKEN[what]}) == ""


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("INSERT INTO users VALUES (1);", 1, "a data file is one SELECT"),
        ("SELECT 1 AS user_id;\nSELECT 2 AS user_id;", 2, "a data file is one SELECT"),
        ("SELECT 1 AS user_id \\g", 1, r"\g is a command of psql"),
        ("SELECT * FROM tenant_a.users", 1, "names the schema of the tenant tenant_a"),
    ],
)
def test_data_file_is_one_query(project, text, line, why):
    """It becomes part of a statement, for every tenant."""
    assert f"{DATA}:{line}: {why}" in refused(project, {DATA: text})


def test_data_file_is_called_as_its_table_is(project):
    """A slip of the pen is told at once; a table that a block makes is one."""
    stray = "sql/aurora/tenant/data/orders.sql"
    assert f"{stray}: no change makes a table orders; " in refused(project, {stray: "SELECT 1 AS a"})
    made = {CHANGE: "DO $$ BEGIN EXECUTE 'CREATE TABLE ' || 'orders' || ' (a int)'; END $$;"}
    assert refused(project, {stray: "SELECT 1 AS a", **made}) == ""


def test_tables_that_are_replicated_are_the_templates(project):
    """`zeroEtl.tables` names tables of the template; the message has the place in the configuration."""
    config = {"zeroEtl": {"tables": ["users", "order"]}}
    files = {CHANGE: 'CREATE TABLE "Orders" (a int);'}
    assert "zeroEtl.tables[1]: no change of the tenant template makes a table 'order'" in refused(
        project, files, config
    )
    assert refused(project, files, {"zeroEtl": {"tables": ["users", "Orders"]}}) == ""


@pytest.mark.parametrize(
    "name", ["changes/0002 more.sql", "changes/0002-more.SQL", "data/.users.sql", "data/größe.sql"]
)
def test_names_are_those_that_the_bastion_reads(project, name):
    """A file that would be passed over is an error; what programs leave behind is none."""
    assert f"sql/aurora/tenant/{name}' would not be run" in refused(project, {f"sql/aurora/tenant/{name}": "SELECT 1"})


def test_litter_is_left_alone(project):
    """Locks of editors and the like are neither read nor refused."""
    litter = {
        f"sql/aurora/tenant/{name}": "x'" for name in ("changes/.#0001-users.sql", "data/._users.sql", "changes/README")
    }
    assert refused(project, litter) == ""


def test_template_must_be_there(project):
    """Without a change there is no tenant to build."""
    (project / "sql/aurora/tenant/changes/0001-users.sql").unlink()
    assert "There is no tenant template: no SQL file in sql/aurora/tenant/changes" in refused(project, {})
