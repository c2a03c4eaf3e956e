"""Each prerequisite that the database answers, broken alone on a real one: it is told with its place and its remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache

import pytest

from etl_manager.gate.inputs import GateInputs
from etl_manager.gate.verdict import PrerequisiteResult
from tests.support.cluster import DATABASE
from tests.support.runs import open_run
from tests.unit.gate.conftest import Environment, results, unmet

ASKS_AWS = {"engine-version", "cluster-parameters", "quotas", "existing-integrations"}


@dataclass(frozen=True)
class Breakage:
    """SQL that breaks one thing; the prerequisites that are then unmet; and what their findings say."""

    sql: str
    unmet: set[str]
    told: tuple[str, ...]
    database: str = DATABASE


BREAKAGES = {
    "schema dropped": Breakage(
        "DROP SCHEMA tenant_b CASCADE",
        {"tenant-schemas-exist", "users-tables-exist", "no-pending-changes", "sample-data-complete", "data-filter-ready"},
        ("schema tenant_b: schema: expected exists, found missing", "tenant_b.users: missing with its schema",
         f"{DATABASE}.tenant_b.users: the filter is to take it, and there is no such table"),
    ),
    "schema given away, another made": Breakage(
        "ALTER SCHEMA tenant_c OWNER TO pg_monitor; CREATE SCHEMA tenant_x", {"tenant-schemas-exist"},
        ("schema tenant_c: schema owner: expected postgres, found pg_monitor",
         "schema tenant_x: schema: expected not configured: absent"),
    ),
    "table dropped": Breakage(
        "DROP TABLE tenant_b.users", {"users-tables-exist", "sample-data-complete", "data-filter-ready"},
        ("tenant_b.users: table users: expected ordinary table, found missing",
         "tenant_b.users: its rows cannot be compared with the sample; provision it: pytest features/"),
    ),
    "column altered": Breakage(
        "ALTER TABLE tenant_b.users ALTER COLUMN email TYPE text", {"users-tables-exist", "sample-data-complete"},
        ("tenant_b.users: column users.email: expected character varying(255) not null, found text not null",),
    ),
    "row deleted": Breakage(
        "DELETE FROM tenant_b.users WHERE user_id = 3", {"sample-data-complete"},
        ("tenant_b.users: rows of users: expected 5, found 4", "tenant_b.users: sample rows of users: expected none missing, found missing 3"),
    ),
    "rows altered and added": Breakage(
        "UPDATE tenant_a.users SET name = 'x' WHERE user_id = 2; INSERT INTO tenant_c.users VALUES (6, 'x', 'x')",
        {"sample-data-complete"},
        ("tenant_a.users: sample rows of users: expected none altered, found altered 2; correct it by hand",
         "tenant_c.users: rows of users: expected 5, found 6; accept them by sampleData.otherRows"),
    ),
    "database in Latin 1": Breakage(
        "CREATE DATABASE legacy ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'", {"database-encoding"},
        ("database legacy: expected encoding UTF8, found LATIN1",), database="postgres",
    ),
    "table unlogged": Breakage(
        "ALTER TABLE tenant_a.users SET UNLOGGED", {"replicable-tables"},
        ("tenant_a.users: an unlogged table is not replicated; ALTER TABLE tenant_a.users SET LOGGED",),
    ),
    "table made a view": Breakage(
        "ALTER TABLE tenant_b.users RENAME TO people; CREATE VIEW tenant_b.users AS TABLE tenant_b.people",
        {"replicable-tables", "users-tables-exist", "sample-data-complete", "data-filter-ready"},
        ("tenant_b.users: a view is not replicated",),
    ),
    "key dropped": Breakage(
        "ALTER TABLE tenant_a.users DROP CONSTRAINT users_pkey", {"primary-keys"},
        ("tenant_a.users: without a primary key it is not replicated",),
    ),
    "types that are not replicated": Breakage(
        "CREATE TYPE public.mood AS ENUM ('good'); CREATE DOMAIN public.age AS integer;"
        "CREATE TYPE public.place AS (x int, y int); ALTER TABLE tenant_b.users ADD a public.mood, ADD b public.age,"
        " ADD c public.place, ADD d int4range, ADD e int4multirange, ADD f point, ADD g numeric, ADD h numeric(39,2),"
        " ADD i numeric(5,-2), ADD j public.mood[], ADD k interval, ADD l regclass",
        {"replicable-columns", "users-tables-exist"},
        ("tenant_b.users: column a is public.mood, an enum; use text or varchar", "column b is public.age, a domain;",
         "column c is public.place, a composite type;", "column d is int4range, a range;",
         "column e is int4multirange, a multirange;", "column f is point, no type that is replicated;",
         "column g is numeric, a numeric without precision;", "column h is numeric(39,2), a numeric out of bounds;",
         "column i is numeric(5,-2), a numeric out of bounds;", "column j is public.mood[], an enum;",
         "column k is interval, an interval without bounds;", "column l is regclass, no type that is replicated;"),
    ),
    "child in another schema": Breakage(
        "CREATE TABLE public.more () INHERITS (tenant_b.users)", {"users-tables-exist"},
        ("outside the tenants: table public.more: expected no child of a table of a tenant, found child of tenant_b.users",
         "what helps: ALTER TABLE public.more NO INHERIT tenant_b.users"),
    ),
    "partitioned": Breakage(
        "DROP TABLE tenant_b.users; CREATE TABLE tenant_b.users (user_id int PRIMARY KEY) PARTITION BY RANGE (user_id);"
        "CREATE TABLE tenant_b.users_1 PARTITION OF tenant_b.users FOR VALUES FROM (1) TO (9)",
        {"partition-parents", "users-tables-exist", "sample-data-complete"},
        ("tenant_b.users: a partitioned table is not replicated, its partitions are",
         "filter its partitions instead (tenant_b.users_1)"),
    ),
}  # fmt: skip


TOGETHER = (
    (
        "schema given away, another made", "row deleted", "database in Latin 1", "table unlogged", "key dropped",
        "child in another schema",
    ),
    ("rows altered and added", "types that are not replicated"),
)  # fmt: skip
"""Breakages of which each has prerequisites of its own, in one database; each of the others has one to itself."""


@dataclass(frozen=True)
class Proof:
    """What becomes of the prerequisites on the target that ran, and on AWS where one is looked for."""

    found: dict[str, PrerequisiteResult]
    on_aws: dict[str, PrerequisiteResult]


@pytest.fixture(scope="module")
def broken(_built: Environment) -> Callable[[tuple[str, ...]], Proof]:
    """Return a function that breaks things in what was provisioned, looks once, and tells what it proves."""

    @cache
    def prove(breakages: tuple[str, ...]) -> Proof:
        _built.back()
        for each in breakages:
            _built.cloud.execute(BREAKAGES[each].sql, database=BREAKAGES[each].database)
        looked = _built.look()
        return Proof(_built.prove(looked=looked), _built.prove(_built.aws(), looked))

    return prove


def test_gate_is_green_on_what_was_provisioned(environment):
    """Every prerequisite is met, and none of those that only AWS can answer is said to be."""
    found = environment.prove(looked=environment.provisioned)
    assert {result.status for name, result in found.items() if name not in ASKS_AWS} == {"passed"}
    assert {found[name].status for name in ASKS_AWS} == {"not-applicable"}
    assert all(found[name].detail.startswith("emulated: ") for name in ASKS_AWS)


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_broken_thing_is_told_and_nothing_else_is(broken: Callable[[tuple[str, ...]], Proof], breakage: str) -> None:
    """Exactly the prerequisites that stand on what is broken are unmet, and they say where and how to mend it."""
    together = next((names for names in TOGETHER if breakage in names), (breakage,))
    others = {id_ for other in together if other != breakage for id_ in BREAKAGES[other].unmet}
    wanted, found = BREAKAGES[breakage], broken(together).found
    assert wanted.unmet.isdisjoint(others)
    assert unmet(found) - others == wanted.unmet
    told = "\n".join(found[name].detail for name in wanted.unmet)
    assert [part for part in wanted.told if part not in told] == [], told


def test_remedy_is_the_command_for_the_target_that_ran(
    environment: Environment, broken: Callable[[tuple[str, ...]], Proof]
) -> None:
    """What a run would mend names the target it was seen on: the default one would mend another database."""
    proof = broken(("schema dropped",))
    for found, target in ((proof.found, environment.run.environment.target), (proof.on_aws, "aws")):
        for name in BREAKAGES["schema dropped"].unmet:
            assert {finding.remedy for finding in found[name].findings} == {
                f"provision it: pytest features/ --target {target}"
            }


def test_missing_database_is_told_and_leaves_the_rest_unproven(environment):
    """Without the database its own prerequisite fails, and nothing else is proven."""
    environment.cloud.empty()
    run = open_run(environment.cloud.target, environment.run.config.root, verify_only=True)

    def facts() -> GateInputs:
        return GateInputs(run.config, run.environment, run.verification(), run.catalogue(), datetime.now(timezone.utc))

    found = results(run.environment, facts)
    run.close()
    assert unmet(found) == {"database-exists"}
    assert "multitenant_analytics does not exist" in found["database-exists"].detail
    assert {result.status for name, result in found.items() if name not in ASKS_AWS} == {"failed", "not-run"}


def test_listed_types_are_replicated_and_tables_beside_the_filter_may_be_what_they_like(environment):
    """Columns of the types that AWS lists keep no table out; a table nobody replicates needs no key, log or type."""
    environment.cloud.execute("CREATE UNLOGGED TABLE public.scratch (amount numeric, span int4range)")
    types = [
        "bigint",
        "bigserial",
        "bit(3)",
        "bit varying(3)",
        "boolean",
        "bytea",
        "char(3)",
        "varchar(3)",
        "text",
        "cid",
        "cidr",
        "inet",
        "macaddr",
        "macaddr8",
        "date",
        "time",
        "timetz",
        "timestamp",
        "timestamptz",
        "interval year to month",
        "interval day to second",
        "interval day to second(3)",
        "double precision",
        "real",
        "integer",
        "smallint",
        "smallserial",
        "serial",
        "numeric(38|37)",
        "numeric(9|0)[]",
        "money",
        "json",
        "jsonb",
        "jsonpath",
        "uuid",
        "xml",
        "name",
        "oid",
        "oidvector",
        "int2vector",
        "tsvector",
        "tsquery",
        "refcursor",
        "pg_lsn",
        "pg_snapshot",
        "tid",
        "txid_snapshot",
        "xid",
        "xid8",
        "text[]",
    ]
    columns = ", ".join(f"ADD COLUMN c{number} {name.replace('|', ',')}" for number, name in enumerate(types))
    environment.cloud.execute(f"ALTER TABLE tenant_b.users {columns}")
    assert unmet(environment.prove()) == {"users-tables-exist"}  # since the template has no such columns


def test_findings_are_all_kept_and_few_are_shown(environment):
    """The detail shows twenty findings and counts the others; the verdict holds each of them."""
    columns = ", ".join(f"ADD COLUMN c{number} numeric" for number in range(50))
    environment.cloud.execute(f"ALTER TABLE tenant_b.users {columns}")
    result = environment.prove()["replicable-columns"]
    assert len(result.findings) == 50
    assert result.detail.splitlines()[20:] == ["… and 30 more"]
