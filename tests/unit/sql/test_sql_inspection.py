"""Inspection tells a program how things stand, also where there is nothing yet, and changes nothing."""

from __future__ import annotations

import hashlib
import json

TENANTS = ["tenant_a", "tenant_b", "tenant_c"]
NOTHING = {"schema_exists": False, "tables": {}, "reference_rows": {}, "applied": 0, "pending": 1, "findings": 0}
WHOLE = {
    "schema_exists": True, "tables": {"users": 5}, "reference_rows": {"users": 5},
    "applied": 1, "pending": 0, "findings": 0,
}  # fmt: skip
POSSIBLE = {"kind": "expectation", "possible": True, "problem": None, "remedy": None}
LEDGER = {"kind": "ledger", "exists": True, "readable": True, "remedy": None}

TYPES = {
    "user_id": ("integer", "int4"),
    "name": ("character varying(100)", "varchar"),
    "email": ("character varying(255)", "varchar"),
    "created_at": ("timestamp with time zone", "timestamptz"),
}
SHAPE = {
    "relkind": "r",
    "persistence": "p",
    "primary_key": ["user_id"],
    "columns": [
        {"name": name, "type": type_, "base": base, "typtype": "b", "built_in": True, "extension": None}
        for name, (type_, base) in TYPES.items()
    ],
}


def template(bastion, tables=None):
    """Return the line that tells the template of *bastion*; of its *tables* only a database can tell."""
    file = "sql/aurora/tenant/changes/0001-users.sql"
    digest = hashlib.sha256((bastion.workspace / file).read_bytes()).hexdigest()
    return {
        "kind": "template",
        "changes": [{"change": "0001-users.sql", "file": file, "sha256": digest, "transactional": True}],
        "tables": tables,
        "data": [{"table": "users", "file": "sql/aurora/tenant/data/users.sql"}],
    }


def found(bastion):
    """Return the lines of the inspection but for what is the same whatever was damaged."""
    return [line for line in bastion.inspect() if line["kind"] not in {"database", "template", "expectation", "ledger"}]


def difference(tenant, what, expected, found, kind):
    """Return the line that tells a difference of the table users that a run or a person with this user may mend."""
    return {
        "kind": "finding", "tenant": tenant, "table": "users", "object": what, "expected": expected, "found": found,
        "difference": kind, "remedy": None,
    }  # fmt: skip


def test_fresh_cluster(bastion):
    """Where the database is missing, every tenant is reported as not there, all is pending, and nothing is made."""
    version = bastion.rows("SHOW server_version", database="postgres")[0][0]
    assert bastion.inspect() == [
        {"kind": "database", "name": bastion.database, "exists": False, "encoding": None, "owner": None,
         "server_version": version, "user": "postgres"},
        template(bastion),
        *({"kind": "tenant", "tenant": tenant} | NOTHING for tenant in TENANTS),
        {"kind": "pending", "change": "0001-users.sql", "tenants": TENANTS},
        {"kind": "end", "tenants": 3, "findings": 0},
    ]  # fmt: skip
    assert bastion.rows("SELECT FROM pg_database WHERE datname = %s", bastion.database, database="postgres") == []


def test_whole_database(built, snapshot):
    """On a built database every tenant is whole; the keys of each line stand in one order; nothing is changed."""
    before = snapshot(built)
    lines = built.inspect()
    assert lines == [
        {"kind": "database", "name": built.database, "exists": True, "encoding": "UTF8", "owner": "postgres",
         "server_version": built.rows("SHOW server_version")[0][0], "user": "postgres"},
        template(built, [{"table": "users", "primary_key": ["user_id"], "shape": SHAPE}]),
        POSSIBLE,
        LEDGER,
        *({"kind": "tenant", "tenant": tenant} | WHOLE for tenant in TENANTS),
        {"kind": "end", "tenants": 3, "findings": 0},
    ]  # fmt: skip
    assert list(lines[4]) == ["kind", "tenant", *WHOLE]
    assert snapshot(built) == before


def test_damage_is_told(built):
    """What is damaged is told for the damaged tenant, tenants as configured, then strays; what cannot be compared is left out."""
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
    missing = {"kind": "finding", "table": None, "object": "schema", "remedy": None}
    assert found(built) == [
        {"kind": "tenant", "tenant": "tenant_d"} | NOTHING | {"findings": 1},
        {"kind": "tenant", "tenant": "tenant_c"} | WHOLE | {"tables": {"users": 6}, "findings": 2},
        {"kind": "tenant", "tenant": "tenant_b"} | WHOLE | {"reference_rows": {}, "findings": 1},
        {"kind": "tenant", "tenant": "tenant_a"}
        | WHOLE
        | {"tables": {"users": 4}, "reference_rows": {"users": 4}, "findings": 3},
        {"kind": "tenant", "tenant": "tenant_e"} | NOTHING | {"schema_exists": True, "findings": 2},
        {"kind": "pending", "change": "0001-users.sql", "tenants": ["tenant_d", "tenant_e"]},
        missing | {"tenant": "tenant_d", "expected": "exists", "found": "missing", "difference": "schema-missing"},
        difference(
            "tenant_c", "primary key of users", "constraint users_pkey PRIMARY KEY (user_id)", "missing",
            "primary-key-missing",
        ),
        difference("tenant_c", "rows of users", "5", "6", "rows-too-many"),
        difference(
            "tenant_b", "column users.name", "character varying(100) not null", "text not null", "column-differs"
        ),
        difference("tenant_a", "rows of users", "5", "4", "rows-too-few"),
        difference("tenant_a", "sample rows of users", "none missing", "missing 1", "sample-rows-missing"),
        difference("tenant_a", "sample rows of users", "none altered", "altered 2", "sample-rows-altered"),
        difference("tenant_e", "changes", "all applied", "pending 0001-users.sql", "change-pending") | {"table": None},
        difference("tenant_e", "table users", "ordinary table", "missing", "table-missing"),
        missing
        | {
            "tenant": "tenant_\n",
            "expected": "not configured: absent",
            "found": "exists",
            "difference": "not-configured",
        },
        {"kind": "stray_schema", "schema": "tenant_\n"},
        {"kind": "end", "tenants": 5, "findings": 10},
    ]  # fmt: skip


def test_view_in_the_tables_place(built):
    """A view called users is no table: it is told as what it is, and has no rows."""
    built.break_things(
        "SET ROLE postgres", "DROP TABLE tenant_a.users", "CREATE VIEW tenant_a.users AS SELECT 1 AS user_id"
    )
    lines = found(built)
    assert lines[0] == {"kind": "tenant", "tenant": "tenant_a"} | WHOLE | {
        "tables": {}, "reference_rows": {}, "findings": 1,
    }  # fmt: skip
    assert lines[3:] == [
        difference("tenant_a", "table users", "ordinary table", "view", "table-kind"),
        {"kind": "end", "tenants": 3, "findings": 1},
    ]


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
