"""What replication demands of the tables in the data filter and of their databases, held against the catalogue.

Source: Aurora User Guide, "Aurora zero-ETL integrations", limitations (zero-etl).
"""

from __future__ import annotations

from collections.abc import Iterator

from etl_manager.gate.facts import Facts
from etl_manager.gate.finding import Finding
from etl_manager.gate.replicable import problem

MOST_PARTITIONS = 5
"""Partitions named in a message."""


def encodings(facts: Facts) -> Iterator[Finding]:
    """Yield the databases of the cluster that are not UTF-8: one is enough, whether it is replicated or not."""
    for database, encoding in facts.catalogue.encodings.items():
        if encoding != "UTF8":
            yield Finding(
                f"database {database}",
                f"expected encoding UTF8, found {encoding}",
                "zero-ETL demands UTF8 of every database of the cluster: dump it into one made with"
                " ENCODING 'UTF8' TEMPLATE template0, here or on another cluster, and drop it",
            )


def tables(facts: Facts) -> Iterator[Finding]:
    """Yield what is no ordinary, logged table; partitioned tables have a rule of their own."""
    for (schema, table), shape in facts.filtered.items():
        name = f"{schema}.{table}"
        if shape.relkind not in {"r", "p"}:
            yield Finding(name, f"a {shape.kind} is not replicated", "make it an ordinary table, or filter it out")
        elif shape.unlogged:
            yield Finding(name, "an unlogged table is not replicated", f"ALTER TABLE {name} SET LOGGED")


def keys(facts: Facts) -> Iterator[Finding]:
    """Yield the tables without a primary key."""
    for (schema, table), shape in facts.filtered.items():
        if shape.relkind == "r" and not shape.primary_key:
            name = f"{schema}.{table}"
            remedy = f"ALTER TABLE {name} ADD PRIMARY KEY; provisioning does it for users tables"
            yield Finding(name, "without a primary key it is not replicated", remedy)


def columns(facts: Facts) -> Iterator[Finding]:
    """Yield the columns whose type is not replicated: their table would leave the synchronisation."""
    for (schema, table), shape in facts.filtered.items():
        for column in shape.columns:
            if found := problem(column):
                yield Finding(f"{schema}.{table}", f"column {column.name} is {column.type}, {found[0]}", found[1])


def partition_parents(facts: Facts) -> Iterator[Finding]:
    """Yield the partitioned tables: their partitions are replicated, they are not."""
    for name, shape in facts.filtered.items():
        if shape.relkind == "p":
            parts = [".".join(part) for part in facts.catalogue.partitions.get(name, ())]
            shown = ", ".join([*parts[:MOST_PARTITIONS], *(["…"] if len(parts) > MOST_PARTITIONS else [])])
            yield Finding(
                ".".join(name),
                "a partitioned table is not replicated, its partitions are",
                f"filter its partitions instead ({shown or 'it has none'}), or make it an ordinary table",
            )
