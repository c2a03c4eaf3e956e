"""The phase isolation: a role a tenant, what it is granted, what is found wrong with it, and what a run never takes back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql

from etl_manager.targets.postgres import EmbeddedPostgres
from tests.defects.isolation import DEFECTS
from tests.support.engine import Bastion, Finding, workspace

ISOLATION = "sql/aurora/isolation/isolate-tenants.sql"
TENANTS = ("acme", "globex", "initech")
USERS = "CREATE TABLE users (user_id integer PRIMARY KEY, name text NOT NULL, email text);\n"
BESIDE_USERS = """\
CREATE TABLE orders (order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total numeric, net numeric GENERATED ALWAYS AS (total / 2) STORED);
CREATE TABLE notes (note_id serial PRIMARY KEY, owner text NOT NULL DEFAULT current_user);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY notes_own ON notes USING (owner = current_user);
CREATE FUNCTION total() RETURNS numeric LANGUAGE sql RETURN (SELECT sum(total) FROM orders);
"""


def write_config(bastion: Bastion, tenants: Sequence[str] = TENANTS, *, isolated: bool) -> None:
    """Configure the tenants, with the phase isolation or without."""
    phases = {"isolation": {"connection_db": bastion.database}} if isolated else {}
    bastion.configure(tenants=[*tenants], aurora={"databaseName": bastion.database, "phases": phases})


@contextmanager
def _isolated(server: EmbeddedPostgres, folder: Path, tenants: Sequence[str]) -> Iterator[Bastion]:
    """Build *tenants* with their roles, which outlive the database: they are dropped in the end."""
    with workspace(server, folder) as bastion:
        template = bastion.workspace / "sql/aurora/tenant"
        (template / "changes/0001-users.sql").write_text(USERS + BESIDE_USERS)
        (template / "data/users.sql").unlink()
        write_config(bastion, tenants, isolated=True)
        bastion.build()
        assert {finding[1:] for finding in bastion.findings()} == {
            (f"role {tenant}_role", "exists", "missing") for tenant in tenants
        }
        bastion.succeed(ISOLATION)
        yield bastion
    with bastion.connect("postgres") as connection:
        for tenant in tenants:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(f"{tenant}_role")))


@pytest.fixture(scope="module")
def isolated(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bastion]:
    """Three tenants with roles; a test that alters them puts them right again."""
    with _isolated(server, tmp_path_factory.mktemp("isolated"), TENANTS) as bastion:
        yield bastion


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


WHOLE = "nobody alters these"
PLACES = {case: f"{number:02}" for number, case in enumerate([*DEFECTS, WHOLE])}
"""Each case has three tenants of its own."""


def _in_place(text: str, case: str) -> str:
    return re.sub("|".join(TENANTS), lambda tenant: f"{tenant[0]}_{PLACES[case]}", text)


@dataclass(frozen=True)
class Altered:
    """What is found of all cases: as they were altered, after the phase, and after they were put right; what that repaired."""

    found: list[Finding]
    after_phase: list[Finding]
    put_right: list[Finding]
    repaired: list[tuple[str, str]]

    @staticmethod
    def of(case: str, findings: list[Finding]) -> list[Finding]:
        """Return those of the tenants of *case*, and those of no tenant that it expects."""
        expected = expectations(case)
        return sorted(
            each for each in findings if each[0].endswith(f"_{PLACES[case]}") or (not each[0] and each in expected)
        )


def expectations(case: str) -> list[Finding]:
    """Return the findings that *case* expects, of its tenants."""
    _, _, expected = DEFECTS[case]
    return sorted(tuple(_in_place(text, case) for text in finding) for finding in expected)  # type: ignore[misc]


@pytest.fixture(scope="module")
def altered(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Altered]:
    """One database in which the tenants of each case are altered, looked at as a whole."""
    tenants = [_in_place(tenant, case) for case in PLACES for tenant in TENANTS]
    with _isolated(server, tmp_path_factory.mktemp("altered"), tenants) as bastion:

        def execute(which: int) -> None:
            for case, texts in DEFECTS.items():
                bastion.break_things(*filter(None, _in_place(texts[which], case).split("; ")))

        execute(0)
        found = bastion.findings()
        lines = [json.loads(line) for line in bastion.succeed(ISOLATION).splitlines() if line.startswith('{"kind":')]
        repaired = [(line["tenant"], line["object"]) for line in lines if line["kind"] == "repaired"]
        after_phase = bastion.findings()
        execute(1)
        yield Altered(found, after_phase, bastion.findings(), repaired)


@pytest.mark.parametrize("case", DEFECTS)
def test_defect_of_isolation_is_found(altered: Altered, case: str) -> None:
    """It is named with tenant, expected and found, and nothing else is; the phase adds what is missing and takes nothing back."""
    _, undone, _ = DEFECTS[case]
    expected = expectations(case)
    assert altered.of(case, altered.found) == expected
    repaired = [each for each in altered.repaired if each[0].endswith(f"_{PLACES[case]}")]
    assert repaired == ([] if undone else [each[:2] for each in expected[:1]])
    assert altered.of(case, altered.after_phase) == (expected if undone else [])


def test_nothing_else_is_found_of_isolation(altered: Altered) -> None:
    """Outside the cases' tenants is only what they expect there; what was put right is found no more."""
    outside = ("", *(_in_place(tenant, WHOLE) for tenant in TENANTS))
    expected = sorted(each for case in DEFECTS for each in expectations(case) if not each[0])
    for findings in (altered.found, altered.after_phase):
        assert sorted(each for each in findings if each[0] in outside) == expected
    assert altered.put_right == []


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
