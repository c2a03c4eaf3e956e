"""Inspection tells a program how things stand, also where there is nothing yet, and changes nothing."""

from __future__ import annotations

import json

NOTHING = {
    "schema_exists": False, "schema_owner": None, "table_exists": False, "table_owner": None,
    "primary_key": None, "columns_ok": False, "rows": None, "sample_rows": None,
    "other_rows": None, "instead_of_table": None, "unlogged": False, "denied": [], "remedy": None,
}  # fmt: skip
WHOLE = {
    "schema_exists": True, "schema_owner": "postgres", "table_exists": True, "table_owner": "postgres",
    "primary_key": ["user_id"], "columns_ok": True, "rows": 5, "sample_rows": 5,
    "other_rows": 0, "instead_of_table": None, "unlogged": False, "denied": [], "remedy": None,
}  # fmt: skip


def test_fresh_cluster(bastion):
    """Where the database is missing, every tenant is reported as not there, and nothing is made."""
    version = bastion.rows("SHOW server_version", database="postgres")[0][0]
    assert bastion.inspect() == [
        {"kind": "database", "name": bastion.database, "exists": False, "encoding": None, "owner": None,
         "server_version": version, "user": "postgres"},
        *({"kind": "tenant", "tenant": tenant} | NOTHING for tenant in ("tenant_a", "tenant_b", "tenant_c")),
        {"kind": "end", "tenants": 3},
    ]  # fmt: skip
    assert bastion.rows("SELECT FROM pg_database WHERE datname = %s", bastion.database, database="postgres") == []


def test_whole_database(built, snapshot):
    """On a built database every tenant is whole; the keys of each line stand in one order; nothing is changed."""
    before = snapshot(built)
    lines = built.inspect()
    assert lines == [
        {"kind": "database", "name": built.database, "exists": True, "encoding": "UTF8", "owner": "postgres",
         "server_version": built.rows("SHOW server_version")[0][0], "user": "postgres"},
        *({"kind": "tenant", "tenant": tenant} | WHOLE for tenant in ("tenant_a", "tenant_b", "tenant_c")),
        {"kind": "end", "tenants": 3},
    ]  # fmt: skip
    assert list(lines[1]) == ["kind", "tenant", *WHOLE]
    assert snapshot(built) == before


def test_damage_is_told(built):
    """What is damaged is told for the damaged tenant; strays follow the tenants."""
    built.configure(tenants=["tenant_d", "tenant_c", "tenant_b", "tenant_a", "tenant_e"])
    built.break_things(
        "CREATE SCHEMA tenant_e AUTHORIZATION postgres",
        "ALTER TABLE tenant_c.users DROP CONSTRAINT users_pkey",
        "INSERT INTO tenant_c.users VALUES (6, 'x', 'x')",
        "ALTER TABLE tenant_b.users ALTER name TYPE text",
        "DELETE FROM tenant_a.users WHERE user_id = 1",
        "UPDATE tenant_a.users SET name = 'x' WHERE user_id = 2",
        'CREATE SCHEMA "tenant_\n"',
    )
    assert built.inspect()[1:] == [
        {"kind": "tenant", "tenant": "tenant_d"} | NOTHING,
        {"kind": "tenant", "tenant": "tenant_c"} | WHOLE | {"primary_key": None, "rows": 6, "other_rows": 1},
        {"kind": "tenant", "tenant": "tenant_b"}
        | WHOLE
        | {"columns_ok": False, "sample_rows": None, "other_rows": None},
        {"kind": "tenant", "tenant": "tenant_a"} | WHOLE | {"rows": 4, "sample_rows": 3},
        {"kind": "tenant", "tenant": "tenant_e"} | NOTHING | {"schema_exists": True, "schema_owner": "postgres"},
        {"kind": "stray_schema", "schema": "tenant_\n"},
        {"kind": "end", "tenants": 5},
    ]


def test_view_in_the_tables_place(built):
    """A view called users is no table: not there, owned by nobody."""
    built.break_things(
        "SET ROLE postgres", "DROP TABLE tenant_a.users", "CREATE VIEW tenant_a.users AS SELECT 1 AS user_id"
    )
    assert built.inspect()[1] == {"kind": "tenant", "tenant": "tenant_a"} | NOTHING | {
        "schema_exists": True, "schema_owner": "postgres", "instead_of_table": "view",
    }  # fmt: skip


def test_database_that_takes_no_connection(built):
    """A database that exists and lets nobody in is an error with the server's reason, not a database without tenants."""
    built.break_things(f"ALTER DATABASE {built.database} ALLOW_CONNECTIONS false", database="postgres")
    try:
        done = built.engine(built.INSPECTION)
    finally:
        built.break_things(f"ALTER DATABASE {built.database} ALLOW_CONNECTIONS true", database="postgres")
    assert done.returncode in (2, 3)
    assert "is not currently accepting connections" in done.stderr
    assert '"kind":"end"' not in done.stdout


def test_rows_of_every_table(built):
    """Counting tells the rows of every ordinary and partitioned table, of tenants and others; it takes one lock at a time."""
    built.break_things(
        "SET ROLE postgres",
        "CREATE TABLE tenant_a.orders AS SELECT generate_series(1, 7)",
        'CREATE SCHEMA "it\'s ""odd"""',
        'CREATE TABLE "it\'s ""odd""".empty (n int)',
        "CREATE VIEW tenant_a.seen AS SELECT 1 AS n",
    )
    lines = [json.loads(line) for line in built.succeed(built.ROWS).splitlines()]
    assert lines == [
        {"schema": 'it\'s "odd"', "table": "empty", "rows": 0},
        {"schema": "tenant_a", "table": "orders", "rows": 7},
        *({"schema": tenant, "table": "users", "rows": 5} for tenant in ("tenant_a", "tenant_b", "tenant_c")),
    ]


def test_rows_without_database(bastion):
    """Where the database is missing there is nothing to count, and that is no error."""
    assert bastion.succeed(bastion.ROWS) == ""
