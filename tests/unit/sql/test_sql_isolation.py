"""The phase isolation: a role a tenant, what it is granted, what is found wrong with it, and what a run never takes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from etl_manager.targets.postgres import EmbeddedPostgres
from tests.defects.isolation import DEFECTS
from tests.support.engine import Bastion, workspace

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
    with workspace(server, tmp_path_factory.mktemp("isolated")) as bastion:
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


@pytest.mark.parametrize("case", DEFECTS)
def test_defect_of_isolation_is_found(isolated: Bastion, case: str) -> None:
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
        with workspace(server, tmp_path) as bastion:
            write_config(bastion, isolated=True)
            bastion.build()
            bastion.succeed(ISOLATION)
            assert bastion.findings() == []
            assert [each[1] for each in attempts(bastion).values()] == ["globex", "initech", "acme"]
    finally:
        server.forget()
