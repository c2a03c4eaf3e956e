"""Each way to make a tenants' database wrong is found by its name, and nothing else is; what is harmless stays green."""

from __future__ import annotations

import itertools
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from etl_manager.database.difference import Difference
from etl_manager.database.snapshot import DatabaseSnapshot
from etl_manager.targets.postgres import EmbeddedPostgres
from tests.defects import inside, outside, report
from tests.defects.inside import ALTERATIONS, MORE
from tests.defects.outside import CLOSED, FOLLOWS, HARMLESS, OUTSIDE, TOGETHER
from tests.defects.starved import STARVED
from tests.support import cluster as clusters
from tests.support.engine import Bastion, workspace
from tests.support.project import ROOT

SHOP = ROOT / "tests/unit/sql/shop"
INSIDE: Mapping[str, tuple[str, list[Any]]] = {**ALTERATIONS, **MORE}
TENANTS = {case: f"shop_{number:03}" for number, case in enumerate(INSIDE)}
"""Each alteration has a tenant of its own; beside them is one that nobody alters."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server for all of them."""
    with clusters.server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def cluster(server: EmbeddedPostgres) -> Iterator[None]:
    """Make a superuser that is not AWS's, and a tablespace."""
    with Bastion(server=server, workspace=ROOT, runtime=ROOT, database="postgres").connect() as connection:
        connection.execute("SET allow_in_place_tablespaces = on")
        connection.execute("CREATE TABLESPACE elsewhere LOCATION ''")
        connection.execute("CREATE ROLE dba SUPERUSER")
        yield


@contextmanager
def _built(server: EmbeddedPostgres, folder: Path, *tenants: str, small: bool = False) -> Iterator[Bastion]:
    """Build tenants of twenty tables, or without twelve that are like others; and beside them what alterations make use of."""
    with workspace(server, folder) as bastion:
        template = bastion.workspace / "sql/aurora/tenant"
        shutil.rmtree(template)
        shutil.copytree(SHOP, template)
        if small:
            change = template / "changes/0001-shop.sql"
            change.write_text(change.read_text().partition("CREATE TABLE part_05 (")[0])
        bastion.configure(tenants=[*tenants])
        bastion.build()
        bastion.break_things(
            "CREATE SCHEMA outer_space AUTHORIZATION postgres",
            "CREATE FUNCTION outer_space.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE FUNCTION outer_space.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "CREATE FOREIGN DATA WRAPPER elsewhere",
            "CREATE SERVER elsewhere FOREIGN DATA WRAPPER elsewhere",
        )
        yield bastion


@pytest.fixture(scope="module")
def shop(server: EmbeddedPostgres, cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bastion]:
    """Tenants of which one is whole and each other altered in one way; built once."""
    with _built(server, tmp_path_factory.mktemp("shop"), "shop_whole", *TENANTS.values(), small=True) as bastion:
        with bastion.connect() as connection:
            for case, (statements, _) in INSIDE.items():
                role = "RESET ROLE" if "rdsadmin" in statements else "SET ROLE postgres"
                path = f"SET search_path = {TENANTS[case]}"
                for each in (role, path, statements.replace("TENANT", TENANTS[case])):
                    connection.execute(each.encode())
        yield bastion


@pytest.fixture(scope="module")
def found(shop: Bastion) -> Mapping[str | None, list[Difference]]:
    """What one look finds of each tenant."""
    findings = defaultdict(list)
    for each in _look(shop).differences:
        findings[each.tenant].append(each)
    return findings


def _look(bastion: Bastion) -> DatabaseSnapshot:
    return DatabaseSnapshot.read(bastion.succeed(bastion.INSPECTION))


@pytest.mark.parametrize("case", INSIDE)
def test_alteration_inside_a_tenant_is_found(found: Mapping[str | None, list[Difference]], case: str) -> None:
    """It is named with tenant, kind and object, and of most with expected and found; nothing else is."""
    _, expected = INSIDE[case]
    named = [tuple(text.replace("TENANT", TENANTS[case]) for text in finding) for finding in expected]
    told = [(each.kind, each.object, each.expected, each.found)[: len(named[0])] for each in found[TENANTS[case]]]
    assert sorted(told) == sorted(named)


def test_nothing_else_is_found(found: Mapping[str | None, list[Difference]]) -> None:
    """A tenant that nobody altered has no difference, and outside the tenants there is none."""
    assert {tenant for tenant, each in found.items() if each} == set(TENANTS.values())


@pytest.fixture(scope="module")
def original(server: EmbeddedPostgres, cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bastion]:
    """Three tenants, for copying only."""
    with _built(server, tmp_path_factory.mktemp("original"), *outside.TENANTS) as bastion:
        yield bastion


def test_result_sets_list_every_table(original: Bastion) -> None:
    """Verification prints all tables of the template with owner, and all their counts."""
    sets = original.succeed(original.VERIFICATION).split("\n\n")
    of_one = [
        [cell.strip() for cell in line.split("|")]
        for one in sets[1:3]
        for line in one.splitlines()
        if line.split("|")[0].strip() == "globex"
    ]
    assert len(of_one) == 2 * 20
    assert ["globex", "tickets", "postgres"] in of_one
    assert ["globex", "currencies", "2"] in of_one
    assert sets[2].splitlines()[0].replace(" ", "") == "tenant|table|rows"


_numbers = itertools.count(1)


@contextmanager
def _copied(original: Bastion) -> Iterator[Callable[[str], Bastion]]:
    """Give a function that alters a copy of the three tenants' database as superuser, one statement after another."""
    built, copy = original.database, f"copy_{next(_numbers)}"
    of_copy = sql.Identifier(copy)
    theirs = sql.Identifier(f"theirs_{copy}")

    def alter(statements: str) -> Bastion:
        with original.connect("postgres" if "ALLOW_CONNECTIONS" in statements else None) as connection:
            for statement in statements.replace("DATABASE DATABASE", f"DATABASE {copy}").split("; "):
                connection.execute(statement.encode())
            if "PUBLICATION ours" in statements:
                subscription = "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION ours WITH (create_slot = false, slot_name = NONE, enabled = false, copy_data = false)"
                connection.execute(sql.SQL(subscription).format(theirs, original.server.conninfo(copy)))
            connection.execute("RESET ROLE")
            connection.execute(
                "SELECT pg_reload_conf(), pg_sleep(CASE WHEN %s THEN 0.3 ELSE 0 END)", ["SYSTEM" in statements]
            )
        return original

    with original.connect("postgres") as admin:
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY file_copy")
        admin.execute(make.format(of_copy, sql.Identifier(built), sql.Identifier(original.server.user)))
        original.database = copy
        original.configure(tenants=[*outside.TENANTS])
        yield alter
        for statement in (
            "ALTER DATABASE {} ALLOW_CONNECTIONS true", "ALTER DATABASE {} IS_TEMPLATE false", "ALTER ROLE ALL RESET ALL",
            "ALTER ROLE postgres RESET ALL", "ALTER SYSTEM RESET session_replication_role", "SELECT pg_reload_conf()",
        ):  # fmt: skip
            admin.execute(sql.SQL(statement).format(of_copy))
        with original.connect() as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(sql.SQL("DROP SUBSCRIPTION IF EXISTS {}").format(theirs))
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(of_copy))
        original.database = built


@pytest.fixture
def altered(original: Bastion) -> Iterator[Callable[[str], Bastion]]:
    """Return a function that alters a copy of the three tenants' database."""
    with _copied(original) as alter:
        yield alter


@pytest.fixture(scope="module")
def outside_of(original: Bastion) -> Callable[[tuple[str, ...]], list[outside.Found]]:
    """Return a function that makes alterations in one copy, and tells what one look finds of them."""

    @cache
    def look(cases: tuple[str, ...]) -> list[outside.Found]:
        with _copied(original) as alter:
            bastion = alter("; RESET ROLE; ".join(OUTSIDE[case][0] for case in cases))
            found = _look(bastion).differences
            return [(each.tenant, each.kind, each.object.replace(bastion.database, "DATABASE")) for each in found]

    return look


@pytest.mark.parametrize("case", OUTSIDE)
def test_alteration_outside_the_tenants_is_found(
    outside_of: Callable[[tuple[str, ...]], list[outside.Found]], case: str
) -> None:
    """It is named with kind and object; but for what follows from it in all tenants, nothing else is."""
    together = next((cases for cases in TOGETHER if case in cases), (case,))
    of_others = [found for other in together if other != case for found in OUTSIDE[other][1]]
    found = outside_of(together)
    told = [each for each in found if each not in of_others and each[1] not in FOLLOWS.get(case, ())]
    assert sorted(told, key=str) == sorted(OUTSIDE[case][1], key=str)
    assert FOLLOWS.get(case, set()) <= {kind for _, kind, _ in found}


REMEDIED: tuple[tuple[str, ...], ...] = (
    (
        "few connections", "PUBLIC may create schemas", "another search path", "setting of the master here",
        "event trigger on sql_drop", "child elsewhere", "foreign key from elsewhere",
    ),
    ("database's owner",), ("INSERT by default",), ("owner without TRUNCATE by default",),
)  # fmt: skip
"""One alteration of each kind, in as few databases as those of `TOGETHER`."""


@pytest.mark.parametrize("cases", REMEDIED, ids=lambda cases: cases[0])
def test_remedy_helps(altered: Callable[[str], Bastion], cases: tuple[str, ...]) -> None:
    """What each finding says that helps is a statement that takes it away."""
    bastion = altered("; RESET ROLE; ".join(OUTSIDE[case][0] for case in cases))
    remedies = [each.remedy for each in _look(bastion).differences if each.aspect == "surroundings"]
    assert len(remedies) == len(cases)
    bastion.break_things(*"; ".join(remedies).split("; "))
    assert _look(bastion).differences == ()


@pytest.mark.parametrize("case", CLOSED)
def test_look_that_is_kept_out_is_an_error(altered: Callable[[str], Bastion], case: str) -> None:
    """What the look cannot look at is no success."""
    statements, message = CLOSED[case]
    bastion = altered(statements)
    done = bastion.engine(bastion.INSPECTION)
    assert done.returncode != 0
    assert message in done.stderr


def test_what_is_harmless_stays_green(altered: Callable[[str], Bastion]) -> None:
    """Nothing is found of any of them; what would be found names what it is of."""
    assert _look(altered("; RESET ROLE; ".join(HARMLESS.values()))).differences == ()


def test_document_lists_them() -> None:
    """docs/reliability.md is what its generator writes."""
    text = report.DOCUMENT.read_text(encoding="utf-8")
    assert report.written(text) == text
    rows = [*report.rows()]
    assert len({row.split("|")[1] for row in rows}) == len(rows) >= 400
    assert len({*INSIDE}) == len(inside.ALTERATIONS) + len(inside.MORE)


def test_every_starved_machine_names_a_test():
    """A row without a test, or with one that was renamed, shows nothing."""
    for _, _, test in STARVED:
        path, _, name = test.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), test
