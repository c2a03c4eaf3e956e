"""What is in the database at one moment: the facts that ``sql/aurora/inspection/`` prints, as objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from etl_manager.database.difference import UNCOUNTED, Aspect, Difference
from etl_manager.errors import VerificationError
from etl_manager.wording import number_of

ENCODING = "UTF8"
"""The encoding that zero-ETL demands (AWS: Aurora zero-ETL limitations)."""


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Read *what* SQL printed.

    Raises:
        VerificationError: When a line is none that is expected.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise VerificationError(f"{what} cannot be read: {error}", hint="reports/run.log has its output.") from error


def split_lines(text: str) -> list[str]:
    """Return the lines of *text* that hold something; they end at a newline only, since names may hold other separators."""
    return [line for line in text.split("\n") if line]


def by_kind(lines: Iterable[str], *kinds: str) -> dict[str, list[dict[str, Any]]]:
    """Return what JSON *lines* hold, by their key ``kind``, which must be one of *kinds*; use it within `readable`."""
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for item in map(json.loads, lines):
        found[item.pop("kind")].append(item)
    return found


@dataclass(frozen=True, kw_only=True)
class Template:
    """The tenant template as the bastion reads it.

    Attributes:
        changes: The names of the changes' files, in order.
        tables: The tables that the changes make; empty where the database does not exist yet.
        data: The tables that a data file fills.
        shapes: Table → how the changes make it; empty where they could not be tried.
        comparable: Whether the template could be applied to a scratch schema: else no shape can be compared.
    """

    changes: tuple[str, ...]
    tables: tuple[str, ...]
    data: tuple[str, ...]
    comparable: bool
    shapes: Mapping[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """What was tried as the role of a tenant.

    Attributes:
        table: The table of the template that was chosen for this tenant.
        neighbour: The tenant in whose schema the same was tried; None where there is no other.
        allowed: The statements that the role may do on its own table.
        refused: Those that it was refused on its neighbour's, for lack of a privilege.
    """

    role: str
    table: str
    neighbour: str | None
    allowed: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TenantState:
    """One tenant.

    Attributes:
        tables: The tables of the template that it has, with their rows; None where not all rows can be seen.
        reference_rows: The tables with a data file: how many of its rows are there, altered ones included.
        pending: The changes that are not applied to it.
        differences: What is not as the template says, pending changes included.
        attempts: What was tried as its role; None where there is no role that could be taken.
    """

    name: str
    schema_exists: bool = False
    tables: Mapping[str, int | None]
    reference_rows: Mapping[str, int]
    pending: tuple[str, ...]
    differences: tuple[Difference, ...]
    attempts: Attempts | None = None

    def of(self, *aspects: Aspect) -> tuple[Difference, ...]:
        """Return the differences about *aspects*."""
        return tuple(difference for difference in self.differences if difference.aspect in aspects)

    def rows(self, table: str, *, reference_only: bool) -> int | Difference | None:
        """Return the rows of *table*: None where it is missing, the reason where not all of them can be seen.

        With *reference_only* a table with a data file is counted without rows of the tenant's own.
        """
        for difference in self.differences:
            if difference.table == table and difference.kind in UNCOUNTED:
                return difference
        counted = self.tables.get(table)
        return self.reference_rows.get(table, counted) if reference_only and counted is not None else counted


@dataclass(frozen=True, kw_only=True)
class DatabaseSnapshot:
    """The database, the template and the tenants. *user* is the role that the suite connects as: the expected owner.

    *strays* are the tenant schemas that are not configured; *common* the differences that concern all tenants.
    """

    database: str
    exists: bool
    encoding: str | None
    server_version: str
    user: str
    template: Template
    tenants: Mapping[str, TenantState]
    strays: tuple[Difference, ...]
    common: tuple[Difference, ...]

    @property
    def differences(self) -> tuple[Difference, ...]:
        """All differences: the tenants' in their order, then those of schemas and of the database."""
        of_tenants = (difference for state in self.tenants.values() for difference in state.differences)
        return (*of_tenants, *self.strays, *self.common)

    def of(self, tenant: str, *aspects: Aspect) -> tuple[Difference, ...]:
        """Return the differences of *tenant* about *aspects*, with those that concern all tenants."""
        every = (*self.tenants[tenant].differences, *self.common)
        return tuple(difference for difference in every if difference.aspect in aspects)

    @classmethod
    def read(cls, text: str) -> DatabaseSnapshot:
        """Read the JSON lines of ``inspect-database.sql``.

        Raises:
            VerificationError: When a line cannot be read, or the last one is missing or counts otherwise.
        """
        with readable("The inspection of the database"):
            lines = by_kind(
                split_lines(text), "database", "template", "expectation", "ledger", "ledger_problem", "tenant", "pending",
                "finding", "isolation", "stray_schema", "end",
            )  # fmt: skip
            [database], [template], [end] = lines["database"], lines["template"], lines["end"]
            counted = int(end["tenants"]), int(end["findings"])
            found = [_difference(item) for item in lines["finding"]]
            tenants = {state.name: state for state in _tenants(lines, found)}
            snapshot = cls(
                database=database["name"],
                exists=database["exists"],
                encoding=database["encoding"],
                server_version=database["server_version"],
                user=database["user"],
                template=Template(
                    changes=tuple(item["change"] for item in template["changes"]),
                    tables=tuple(item["table"] for item in template["tables"] or ()),
                    data=tuple(item["table"] for item in template["data"]),
                    comparable=all(item["possible"] for item in lines["expectation"]),
                    shapes={
                        item["table"]: _shape(item["shape"]) for item in template["tables"] or () if item.get("shape")
                    },
                ),
                tenants=tenants,
                strays=tuple(each for each in found if each.tenant is not None and each.tenant not in tenants),
                common=(*(each for each in found if each.tenant is None), *_encoding(database)),
            )
        if counted != (len(tenants), len(found)):
            raise VerificationError(
                f"The inspection of the database is not whole: {number_of(len(tenants), 'tenant')} of {counted[0]}, "
                f"{number_of(len(found), 'difference')} of {counted[1]}"
            )
        return snapshot


def _difference(item: dict[str, Any]) -> Difference:
    return Difference(kind=item.pop("difference"), remedy=item.pop("remedy") or "", **item)


def _encoding(database: Mapping[str, Any]) -> Iterator[Difference]:
    if database["exists"] and database["encoding"] != ENCODING:
        yield Difference("encoding", None, f"encoding of database {database['name']}", ENCODING, database["encoding"])


def _tenants(lines: Mapping[str, list[dict[str, Any]]], found: Iterable[Difference]) -> Iterator[TenantState]:
    pending: dict[str, list[str]] = {}
    for item in lines["pending"]:
        for tenant in item["tenants"]:
            pending.setdefault(tenant, []).append(item["change"])
    differences: dict[str | None, list[Difference]] = {}
    for difference in found:
        differences.setdefault(difference.tenant, []).append(difference)
    attempts = {item.pop("tenant"): _attempts(item) for item in lines["isolation"]}
    for item in lines["tenant"]:
        name = item["tenant"]
        yield TenantState(
            name=name,
            schema_exists=item["schema_exists"],
            tables=item["tables"],
            reference_rows=item["reference_rows"],
            pending=tuple(pending.get(name, ())),
            differences=tuple(differences.get(name, ())),
            attempts=attempts.get(name),
        )


def _attempts(item: dict[str, Any]) -> Attempts:
    return Attempts(**(item | {"allowed": tuple(item["allowed"]), "refused": tuple(item["refused"])}))


def read_counts(text: str) -> dict[tuple[str, str], int | Difference]:
    """Read the JSON lines of ``count-rows.sql``: (schema, table) → rows, or why they cannot all be seen.

    Raises:
        VerificationError: When a line cannot be read.
    """
    with readable("The counts of rows"):
        return {
            (line["schema"], line["table"]): _uncounted(line) if line["rows"] is None else int(line["rows"])
            for line in map(json.loads, split_lines(text))
        }


def _uncounted(line: Mapping[str, Any]) -> Difference:
    kind, expected, found = {
        "read": ("not-readable", "readable", "not readable by"),
        "see-all-rows": ("row-level-security", "all rows visible", "row-level security may hide rows from"),
    }[line["denied"]]
    table = line["table"]
    return Difference(
        kind, line["schema"], f"table {table}", expected, f"{found} {line['user']}", line["remedy"], table
    )


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
        with readable("The inspection of the catalogue"):
            lines = by_kind(split_lines(text), "server", "database", "shape", "tables", "partition", "end")
            [server], [end] = lines["server"], lines["end"]
            shapes = {item["number"]: _shape(item["shape"]) for item in lines["shape"]}
            tables = dict(_tables(lines["tables"], shapes))
            partitions: dict[Name, list[Name]] = {}
            for item in lines["partition"]:
                parent = item["parent_schema"], item["parent"]
                partitions.setdefault(parent, []).append((item["schema"], item["name"]))
            encodings = {item["name"]: item["encoding"] for item in lines["database"]}
            counted, version, values = int(end["tables"]), str(server["version"]), dict(server["settings"])
        if counted != len(tables):
            raise VerificationError(
                f"The inspection of the catalogue tells of {len(tables)}, not {number_of(counted, 'table')}"
            )
        return cls(
            server_version=version,
            settings=values,
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
