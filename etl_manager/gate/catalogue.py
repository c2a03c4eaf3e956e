"""What zero-ETL would find: the facts that ``sql/aurora/inspection/inspect-catalogue.sql`` prints, as objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from etl_manager.errors import VerificationError
from etl_manager.wording import number_of

Name = tuple[str, str]
"""Schema and table."""

KINDS = {
    "r": "ordinary table",
    "p": "partitioned table",
    "f": "foreign table",
    "v": "view",
    "m": "materialized view",
}
"""What PostgreSQL's ``pg_class.relkind`` means, of what a filter could name (PostgreSQL manual, ``pg_class``)."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column and its type: *base* is the type's own name, of an array that of its elements."""

    name: str
    type: str
    base: str
    typtype: str
    built_in: bool
    extension: str | None


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How a table is made. Tables of one shape share one object."""

    relkind: str
    persistence: str
    primary_key: tuple[str, ...] | None
    columns: tuple[Column, ...]

    @property
    def kind(self) -> str:
        """The kind of table, in words."""
        return KINDS.get(self.relkind, self.relkind)

    @property
    def unlogged(self) -> bool:
        """Whether changes leave no trace in the log that replication reads."""
        return self.persistence == "u"


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The cluster's databases with their encodings, and the tables of the tenants' database.

    Attributes:
        server_version: PostgreSQL's own.
        settings: What the server says of its replication settings; only Aurora has them.
        encodings: Database → encoding, of every database of the cluster.
        tables: Schema and name → how the table is made.
        partitions: Schema and name of a partitioned table → its partitions.
    """

    server_version: str
    settings: Mapping[str, str]
    encodings: Mapping[str, str]
    tables: Mapping[Name, Shape]
    partitions: Mapping[Name, tuple[Name, ...]]

    @classmethod
    def read(cls, text: str) -> Catalogue:
        """Read the JSON lines of the inspection.

        Raises:
            VerificationError: When a line cannot be read, or the last one is missing or counts otherwise.
        """
        lines: dict[str, list[dict[str, Any]]] = {
            "server": [], "database": [], "shape": [], "tables": [], "partition": [], "end": []
        }  # fmt: skip
        try:
            for line in filter(None, text.splitlines()):
                item = json.loads(line)
                lines[item.pop("kind")].append(item)
            [server], [end] = lines["server"], lines["end"]
            shapes = {item["number"]: _shape(item["shape"]) for item in lines["shape"]}
            tables = dict(_tables(lines["tables"], shapes))
            partitions: dict[Name, list[Name]] = {}
            for item in lines["partition"]:
                parent = item["parent_schema"], item["parent"]
                partitions.setdefault(parent, []).append((item["schema"], item["name"]))
            encodings = {item["name"]: item["encoding"] for item in lines["database"]}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise VerificationError(
                f"The inspection of the catalogue cannot be read: {error}", remedy="reports/run.log has its output."
            ) from error
        if end["tables"] != len(tables):
            raise VerificationError(
                f"The inspection of the catalogue tells of {len(tables)}, not {number_of(end['tables'], 'table')}"
            )
        return cls(
            server_version=server["version"],
            settings=server["settings"],
            encodings=encodings,
            tables=tables,
            partitions={parent: tuple(parts) for parent, parts in partitions.items()},
        )

    def replicated(self, database: str) -> list[tuple[str, str, str]]:
        """Return *database* and each table a filter could take, as the filter names them; views are no tables."""
        return [(database, *name) for name, shape in self.tables.items() if shape.relkind in {"r", "p", "f"}]


def _shape(item: dict[str, Any]) -> Shape:
    key = item.pop("primary_key")
    columns = tuple(Column(**column) for column in item.pop("columns"))
    return Shape(primary_key=tuple(key) if key is not None else None, columns=columns, **item)


def _tables(lines: list[dict[str, Any]], shapes: Mapping[int, Shape]) -> Iterator[tuple[Name, Shape]]:
    for item in lines:
        for schema in item["schemas"]:
            yield (schema, item["name"]), shapes[item["shape"]]
