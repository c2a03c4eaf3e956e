"""Which columns zero-ETL replicates: the types it lists, and what it demands of some of them.

Source: Aurora User Guide, "Data type differences between Aurora and Amazon Redshift" (zero-etl.querying). What is not
listed there is not replicated; custom types and the types of extensions are excluded by rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from etl_manager.database.snapshot import Column, Shape

LISTED = frozenset((
    "bit", "bool", "bpchar", "bytea", "cid", "cidr", "date", "float4", "float8", "gtsvector", "inet", "int2",
    "int2vector", "int4", "int8", "interval", "json", "jsonb", "jsonpath", "macaddr", "macaddr8", "money", "name",
    "numeric", "oid", "oidvector", "pg_lsn", "refcursor", "text", "tid", "time", "timestamp", "timestamptz",
    "timetz", "tsquery", "tsvector", "txid_snapshot", "uuid", "varbit", "varchar", "xid", "xid8", "xml",
))  # fmt: skip
"""PostgreSQL's own names of the listed types; internal ``pg_*`` types are listed as a group."""

OTHERWISE = {
    "c": ("a composite type", "spread its fields over columns, or store it as jsonb"),
    "d": ("a domain", "use the type beneath it, with a CHECK constraint"),
    "e": ("an enum", "use text or varchar, with a CHECK constraint"),
    "m": ("a multirange", "store it as jsonb"),
    "r": ("a range", "use two columns, one for each bound"),
}
"""What PostgreSQL's ``pg_type.typtype`` means, of what is never replicated, and what to do instead."""

MAX_PRECISION, MAX_SCALE = 38, 37
_NUMERIC = re.compile(r"numeric\((?P<precision>\d+),(?P<scale>-?\d+)\)")
_INTERVAL = re.compile(r"interval (year to month|day to second(\(\d\))?)")


def _type_problem(column: Column) -> tuple[str, str] | None:
    """Return what keeps *column* from being replicated and how to mend it, or None when nothing does."""
    if column.extension is not None:
        return f"a type of the extension {column.extension}", "use a type of PostgreSQL's own, such as text or jsonb"
    if column.typtype in OTHERWISE:
        return OTHERWISE[column.typtype]
    listed = column.base in LISTED or column.base.startswith("pg_")
    if not column.built_in or not listed:
        kind = "no type that is replicated" if column.built_in else "a type of the database's own"
        return kind, "use a type that is replicated, such as text, jsonb or numeric(p,s)"
    element = column.type.removesuffix("[]")
    if column.base == "numeric":
        return _numeric(element)
    if column.base == "interval" and not _INTERVAL.fullmatch(element):
        return "an interval without bounds", "declare it interval year to month, or interval day to second"
    return None


def _numeric(declared: str) -> tuple[str, str] | None:
    remedy = f"declare it numeric(p,s) with p up to {MAX_PRECISION} and s from 0 to {MAX_SCALE}"
    bounds = _NUMERIC.fullmatch(declared)
    if bounds is None:
        return "a numeric without precision", remedy
    if int(bounds["precision"]) > MAX_PRECISION or not 0 <= int(bounds["scale"]) <= MAX_SCALE:
        return "a numeric out of bounds", remedy
    return None


class Obstacle(NamedTuple):
    """What keeps a table from being replicated, how to mend it, and the prerequisite of Phase 3 that it disproves."""

    prerequisite: str
    problem: str
    remedy: str


def obstacles(name: str, shape: Shape) -> Iterator[Obstacle]:
    """Yield what keeps the table *name* of this *shape* from being replicated."""
    if shape.relkind == "p":
        problem = "a partitioned table is not replicated, its partitions are"
        yield Obstacle("partition-parents", problem, "make it an ordinary table")
    elif shape.relkind != "r":
        remedy = "make it an ordinary table, or filter it out"
        yield Obstacle("replicable-tables", f"a {shape.kind} is not replicated", remedy)
    elif not shape.primary_key:
        yield Obstacle(
            "primary-keys", "without a primary key it is not replicated", f"ALTER TABLE {name} ADD PRIMARY KEY"
        )
    if shape.unlogged:
        yield Obstacle("replicable-tables", "an unlogged table is not replicated", f"ALTER TABLE {name} SET LOGGED")
    for column in shape.columns:
        if found := _type_problem(column):
            yield Obstacle("replicable-columns", f"column {column.name} is {column.type}, {found[0]}", found[1])
