"""The phase isolation: a role a tenant, what it is granted, what is found wrong with it, and what a run never takes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from etl_manager.targets.postgres import EmbeddedPostgres
from tests.unit.sql.conftest import Bastion, _bastion

ISOLATION = "sql/aurora/isolation/isolate-tenants.sql"
TENANTS = ("acme", "globex", "initech")
CHANGE = """\
CREATE TABLE users (user_id integer PRIMARY KEY, name text NOT NULL, email text);
CREATE TABLE orders (order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total numeric, net numeric GENERATED ALWAYS AS (total / 2) STORED);
CREATE TABLE notes (note_id serial PRIMARY KEY, owner text NOT NULL DEFAULT current_user);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY notes_own ON notes USING (owner = current_user);
CREATE FUNCTION total() RETURNS numeric LANGUAGE sql RETURN (SELECT sum(total) FROM orders);
"""


def write_config(bastion: Bastion, *, isolated: bool) -> None:
    """Configure the tenants, with the phase isolation or without."""
    phases = {"isolation": {"connection_db": bastion.database}} if isolated else {}
    bastion.configure(tenants=[*TENANTS], aurora={"databaseName": bastion.database, "phases": phases})


@pytest.fixture(scope="module")
def isolated(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bastion]:
    """Three tenants with roles; a test that alters them puts them right again."""
    with _bastion(server, tmp_path_factory.mktemp("isolated")) as bastion:
        template = bastion.workspace / "sql/aurora/tenant"
        (template / "changes/0001-users.sql").write_text(CHANGE)
        (template / "data/users.sql").unlink()
        write_config(bastion, isolated=True)
        bastion.build()
        assert {finding[1:] for finding in bastion.findings()} == {
            (f"role {tenant}_role", "exists", "missing") for tenant in TENANTS
        }
        bastion.succeed(ISOLATION)
        yield bastion
    drop_roles(bastion)


def drop_roles(bastion: Bastion) -> None:
    """Drop the tenants' roles, which outlive the database."""
    with bastion.connect("postgres") as connection:
        for tenant in TENANTS:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(f"{tenant}_role")))


def attempts(bastion: Bastion) -> dict[str, tuple[str, str, list[str], list[str]]]:
    """Return what the inspection tells of each role: the table, the neighbour, what was allowed and what was refused."""
    return {
        line["tenant"]: (line["table"], line["neighbour"], line["allowed"], line["refused"])
        for line in bastion.inspect()
        if line["kind"] == "isolation"
    }


def test_each_role_is_tried_in_its_own_schema_and_in_its_neighbours(isolated: Bastion) -> None:
    """Every tenant is tried once as the victim; the same statements on the same table are allowed at home."""
    every = ["SELECT", "INSERT", "UPDATE", "DELETE"]
    assert isolated.findings() == []
    assert attempts(isolated) == {
        "acme": ("orders", "globex", every, every),
        "globex": ("users", "initech", every, every),
        "initech": ("notes", "acme", every, every),
    }


def test_second_run_and_the_schema_phase_change_nothing(isolated: Bastion) -> None:
    """Nothing is granted twice, and the template's own grants are not put back where the phase took them."""
    for file in (isolated.SCHEMA, ISOLATION):
        assert '{"kind":' not in isolated.succeed(file)
    assert isolated.rows("SELECT has_function_privilege('globex_role', 'acme.total()', 'EXECUTE')") == [(False,)]
    assert isolated.rows("SELECT has_function_privilege('acme_role', 'acme.total()', 'EXECUTE')") == [(True,)]


def test_row_level_security_holds_for_the_role(isolated: Bastion) -> None:
    """It sees its own rows only, of a table whose template says so."""
    isolated.break_things("INSERT INTO acme.notes (owner) VALUES ('acme_role'), ('postgres')")
    with isolated.connect() as connection:
        connection.execute("SET ROLE acme_role")
        assert connection.execute("SELECT owner FROM acme.notes").fetchall() == [("acme_role",)]
        connection.execute("RESET ROLE")
        connection.execute("DELETE FROM acme.notes")


def test_tables_to_come_are_covered(isolated: Bastion) -> None:
    """What the master user makes in the schema is the role's to use, and no other tenant's."""
    isolated.break_things("SET ROLE postgres; CREATE TABLE acme.more (n serial)")
    privileges = "has_table_privilege('{0}_role', 'acme.more', 'SELECT, INSERT, UPDATE, DELETE')"
    query = ", ".join(privileges.format(tenant) for tenant in ("acme", "globex"))
    assert isolated.rows(f"SELECT {query}") == [(True, False)]
    isolated.break_things("DROP TABLE acme.more")


DEFECTS: dict[str, tuple[str, str, list[tuple[str, str, str, str]]]] = {
    "role may read its neighbour": (
        "GRANT USAGE ON SCHEMA globex TO acme_role; GRANT SELECT ON globex.orders TO acme_role",
        "REVOKE USAGE ON SCHEMA globex FROM acme_role; REVOKE SELECT ON globex.orders FROM acme_role",
        [("acme", "what role acme_role holds outside of its schema", "nothing", "privileges on schema globex, privileges on table globex.orders"),
         ("acme", "SELECT on globex.orders as role acme_role", "refused", "allowed"),
         ("globex", "grant USAGE on schema to acme_role", "absent", "granted"),
         ("globex", "grant SELECT on table orders to acme_role", "absent", "granted")],
    ),
    "role may write one that is not tried": (
        "GRANT INSERT ON initech.users TO acme_role", "REVOKE INSERT ON initech.users FROM acme_role",
        [("acme", "what role acme_role holds outside of its schema", "nothing", "privileges on table initech.users"),
         ("initech", "grant INSERT on table users to acme_role", "absent", "granted")],
    ),
    "role member of master": (
        "GRANT rds_superuser TO acme_role", "REVOKE rds_superuser FROM acme_role",
        [("acme", "memberships of role acme_role", "none", "rds_superuser")],
    ),
    "role member of its neighbour's": (
        "GRANT initech_role TO globex_role", "REVOKE initech_role FROM globex_role",
        [("globex", "memberships of role globex_role", "none", "initech_role"),
         *(("globex", f"{verb} on initech.users as role globex_role", "refused", "allowed") for verb in ("SELECT", "INSERT", "UPDATE", "DELETE"))],
    ),
    "PUBLIC may read": (
        "GRANT SELECT ON acme.users TO PUBLIC", "REVOKE SELECT ON acme.users FROM PUBLIC",
        [("acme", "grant SELECT on table users to PUBLIC", "absent", "granted")],
    ),
    "PUBLIC may use the schema": (
        "GRANT USAGE ON SCHEMA acme TO PUBLIC", "REVOKE USAGE ON SCHEMA acme FROM PUBLIC",
        [("acme", "grant USAGE on schema to PUBLIC", "absent", "granted")],
    ),
    "PUBLIC may execute": (
        "GRANT EXECUTE ON FUNCTION acme.total() TO PUBLIC", "REVOKE EXECUTE ON FUNCTION acme.total() FROM PUBLIC",
        [("acme", "grant EXECUTE on function total() to PUBLIC", "absent", "granted")],
    ),
    "PUBLIC may read elsewhere": (
        "CREATE VIEW public.every AS TABLE acme.users; GRANT SELECT ON public.every TO PUBLIC", "DROP VIEW public.every",
        [("", "grant SELECT on TABLE public.every to PUBLIC", "absent", "granted")],
    ),
    "default privilege missing": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA acme REVOKE DELETE ON TABLES FROM acme_role", "",
        [("acme", "privileges of acme_role on tables to come", "DELETE, INSERT, SELECT, UPDATE", "INSERT, SELECT, UPDATE")],
    ),
    "default privilege too much": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA acme GRANT SELECT ON TABLES TO globex_role",
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA acme REVOKE SELECT ON TABLES FROM globex_role",
        [("acme", "default privileges of postgres on tables", "none", "SELECT to globex_role"),
         ("globex", "what role globex_role holds outside of its schema", "nothing",
          "privileges on default privileges on new relations belonging to role postgres in schema acme")],
    ),
    "own table not readable": (
        "REVOKE SELECT ON acme.users FROM acme_role", "",
        [("acme", "privileges of acme_role on table users", "DELETE, INSERT, SELECT, UPDATE", "DELETE, INSERT, UPDATE")],
    ),
    "role may empty its table": (
        "GRANT TRUNCATE ON acme.users TO acme_role", "REVOKE TRUNCATE ON acme.users FROM acme_role",
        [("acme", "grant TRUNCATE on table users to acme_role", "absent", "granted")],
    ),
    "role that passes policies by": (
        "ALTER ROLE initech_role BYPASSRLS", "ALTER ROLE initech_role NOBYPASSRLS",
        [("initech", "attributes of role initech_role", "none", "BYPASSRLS"),
         ("initech", "row-level security for role initech_role", "in force", "not in force in initech.notes")],
    ),
    "role that may log in": (
        "ALTER ROLE acme_role LOGIN CREATEDB", "ALTER ROLE acme_role NOLOGIN NOCREATEDB",
        [("acme", "attributes of role acme_role", "none", "CREATEDB, LOGIN")],
    ),
    "row-level security disabled": (
        "ALTER TABLE acme.notes DISABLE ROW LEVEL SECURITY", "ALTER TABLE acme.notes ENABLE ROW LEVEL SECURITY",
        [("acme", "row-level security of notes", "enabled", "disabled")],
    ),
}  # fmt: skip
"""What was altered → the statements, those that undo it (none where the phase does), and the findings."""


@pytest.mark.parametrize("case", DEFECTS)
def test_defect_is_found_and_nothing_is_revoked(isolated: Bastion, case: str) -> None:
    """It is named with tenant, expected and found, and nothing else is; the phase adds what is missing and takes nothing back."""
    altered, undone, expected = DEFECTS[case]
    isolated.break_things(*altered.split("; "))
    try:
        assert sorted(isolated.findings()) == sorted(expected)
        printed = isolated.succeed(ISOLATION)
        repaired = [
            json.loads(line)["object"] for line in printed.splitlines() if line.startswith('{"kind":"repaired"')
        ]
        assert repaired == ([] if undone else [expected[0][1]])
        assert sorted(isolated.findings()) == (sorted(expected) if undone else [])
    finally:
        isolated.break_things(*filter(None, undone.split("; ")))
    assert isolated.findings() == []


def test_grants_of_the_phase_are_findings_where_it_is_off(isolated: Bastion) -> None:
    """A configuration that does not name the phase knows of no role: what it grants is nobody's."""
    write_config(isolated, isolated=False)
    try:
        found = {finding[1] for finding in isolated.findings() if finding[0] == "acme"}
        assert {"grant SELECT on table users to acme_role", "grant USAGE on schema to acme_role"} <= found
        assert not [line for line in isolated.inspect() if line["kind"] == "isolation"]
    finally:
        write_config(isolated, isolated=True)


def test_verification_makes_no_role(isolated: Bastion) -> None:
    """What only looks leaves a missing role missing."""
    isolated.break_things("DROP OWNED BY acme_role", "DROP ROLE acme_role")
    assert isolated.findings() == [("acme", "role acme_role", "exists", "missing")]
    assert isolated.rows("SELECT count(*) FROM pg_roles WHERE rolname = 'acme_role'") == [(0,)]
    assert '{"kind":"isolated","tenant":"acme","role":"acme_role"}' in isolated.succeed(ISOLATION)
    assert isolated.findings() == []


def test_newer_server(tmp_path: Path) -> None:
    """On PostgreSQL 18 a master user who is no superuser makes the roles, takes them and proves them."""
    server = EmbeddedPostgres(tmp_path / "server", major=18)
    server.start()
    try:
        with _bastion(server, tmp_path) as bastion:
            write_config(bastion, isolated=True)
            bastion.build()
            bastion.succeed(ISOLATION)
            assert bastion.findings() == []
            assert [each[1] for each in attempts(bastion).values()] == ["globex", "initech", "acme"]
    finally:
        server.forget()
