"""What the inspection of the catalogue tells, read from a real server."""

from __future__ import annotations

import pytest
from psycopg import sql

from etl_manager.database.replication import obstacles
from etl_manager.database.snapshot import Catalogue
from etl_manager.errors import VerificationError
from etl_manager.provisioning.run import CATALOGUE
from tests.unit.gate.conftest import Environment

HOSTILE = ('a"; DROP SCHEMA tenant_a; --', "it's", "line\nbreak", "back\\slash", "Ünï", "a=b", "x.y", "{}", " ")


def look(environment: Environment) -> Catalogue:
    """Inspect the catalogue on the bastion."""
    [step] = environment.run.sql_runner.run("catalogue", [CATALOGUE], environment.run.config.database)
    return Catalogue.read(step.stdout)


def test_everything_a_filter_could_name_is_told(environment):
    """Tables, partitions, views and foreign names, whatever they are called; nothing of the system's own."""
    with environment.cloud.connect() as connection:
        for name in HOSTILE:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE TABLE {} (id int)").format(sql.Identifier(name, name)))
    environment.cloud.execute(
        "CREATE VIEW public.v AS SELECT 1 AS one; CREATE MATERIALIZED VIEW public.m AS SELECT 1 AS one;"
        "CREATE TABLE public.p (id int, at date, PRIMARY KEY (at, id)) PARTITION BY LIST (at);"
        "CREATE TABLE public.p1 PARTITION OF public.p DEFAULT; CREATE TABLE public.nothing ()"
    )
    found = look(environment)
    names = {(name, name) for name in HOSTILE} | {(f"tenant_{name}", "users") for name in "abc"}
    names.add(("etl_manager", "applied"))
    assert set(found.tables) == names | {("public", name) for name in ("v", "m", "p", "p1", "nothing")}
    assert {name: found.tables["public", name].kind for name in ("v", "m", "p", "p1")} == {
        "v": "view", "m": "materialized view", "p": "partitioned table", "p1": "ordinary table"
    }  # fmt: skip
    assert found.tables["public", "p"].primary_key == ("at", "id")
    assert found.tables["public", "nothing"].columns == ()
    assert found.partitions == {("public", "p"): (("public", "p1"),)}
    assert set(found.encodings) == environment.cloud.databases()


def test_type_of_an_extension_is_told_as_its_own(environment):
    """A column, or an array, of a type that an extension brought is not replicated, and the extension is named."""
    environment.cloud.execute(
        "CREATE TYPE public.citext AS (t text); ALTER EXTENSION plpgsql ADD TYPE public.citext;"
        "CREATE TABLE public.t (a public.citext, b public.citext[], c text)"
    )
    shape = look(environment).tables["public", "t"]
    assert [column.extension for column in shape.columns] == ["plpgsql", "plpgsql", None]
    found = [each.problem for each in obstacles("public.t", shape) if each.prerequisite == "replicable-columns"]
    assert [line.split(",")[1] for line in found] == [" a type of the extension plpgsql"] * 2


def test_many_tables_of_one_making_are_described_once(environment):
    """The way a table is made is told once: what comes back over SSM grows with the names, and by little."""
    environment.cloud.execute(
        "DO $$ BEGIN FOR n IN 1..200 LOOP EXECUTE format('CREATE SCHEMA s%s; CREATE TABLE s%s.users (LIKE tenant_a.users"
        " INCLUDING ALL)', n, n); IF n % 50 = 0 THEN COMMIT; END IF; END LOOP; END $$"
    )
    [step] = environment.run.sql_runner.run("catalogue", [CATALOGUE], environment.run.config.database)
    assert len(Catalogue.read(step.stdout).tables) == 204
    assert len(step.stdout) < 4_000


def test_without_the_database_the_cluster_is_told_all_the_same(environment):
    """Encodings of the other databases are known, and there is no table."""
    environment.cloud.empty()
    found = look(environment)
    assert found.tables == {}
    assert "multitenant_analytics" not in found.encodings


def test_inspection_changes_nothing(environment):
    """Nothing is written, not even by accident."""
    before = environment.cloud.snapshot()
    look(environment)
    assert environment.cloud.snapshot() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"kind":"end","tables":0}',
        "nonsense",
        '{"kind":"server","version":"16","settings":{}}\n{"kind":"end","tables":1}',
    ],
)
def test_what_is_cut_off_is_not_read(text):
    """Without its last line, or with another number of tables than that says, it is no look at the catalogue."""
    with pytest.raises(VerificationError):
        Catalogue.read(text)
