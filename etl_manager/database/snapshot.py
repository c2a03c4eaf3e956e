"""What is there: the facts that ``sql/aurora/inspection/inspect-database.sql`` prints, as objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from etl_manager.errors import VerificationError
from etl_manager.wording import number_of

Denied = Literal["own-schema", "create-table", "own-table", "read", "see-all-rows", "insert"]
"""What the master user may not do with a tenant: see ``sql/shared/privileges.sql``."""


@dataclass(frozen=True)
class Unreadable:
    """Why *user* cannot count all rows of a table, and the statement that lets it."""

    denied: Denied
    user: str
    remedy: str

    @property
    def problem(self) -> str:
        """What is wrong, in words."""
        if self.denied == "read":
            return f"not readable by {self.user}"
        return f"row-level security may hide rows from {self.user}"

    def __str__(self) -> str:
        """Return the words that a failing scenario shows."""
        return f"{self.problem}; what helps: {self.remedy}"


@dataclass(frozen=True, kw_only=True)
class TenantState:
    """One tenant as it was found; a row count is None where there is no table, or not all of its rows can be seen.

    Attributes:
        rows: All rows.
        sample_rows: The sample rows that are as they should be; None also where columns differ, as for the next.
        other_rows: Rows that are no sample rows.
        instead_of_table: What is called ``users`` and is no ordinary table, such as ``view``.
        denied: What the master user may not do.
        remedy: The statement that lets it.
    """

    schema_exists: bool = False
    schema_owner: str | None = None
    table_exists: bool = False
    table_owner: str | None = None
    primary_key: tuple[str, ...] | None = None
    columns_ok: bool = False
    rows: int | None = None
    sample_rows: int | None = None
    other_rows: int | None = None
    instead_of_table: str | None = None
    unlogged: bool = False
    denied: tuple[Denied, ...] = ()
    remedy: str | None = None

    @property
    def altered_rows(self) -> int:
        """How many sample rows are there with another name or email."""
        if self.rows is None or self.sample_rows is None or self.other_rows is None:
            return 0
        return self.rows - self.sample_rows - self.other_rows


@dataclass(frozen=True, kw_only=True)
class DatabaseSnapshot:
    """The database and its tenants at one moment. *user* is the role the suite connects as: the expected owner."""

    database: str
    exists: bool
    encoding: str | None
    server_version: str
    user: str
    tenants: Mapping[str, TenantState]
    strays: tuple[str, ...]

    def unreadable(self, tenant: str) -> Unreadable | None:
        """Return why not all rows of *tenant* could be counted, or None."""
        state = self.tenants[tenant]
        if state.table_exists:
            reasons: tuple[Denied, ...] = ("read", "see-all-rows")
            for denied in reasons:
                if denied in state.denied:
                    return Unreadable(denied, self.user, state.remedy or "")
        return None

    @classmethod
    def read(cls, text: str) -> DatabaseSnapshot:
        """Read the JSON lines of the inspection.

        Raises:
            VerificationError: When a line cannot be read, or the last one is missing.
        """
        lines: dict[str, list[dict[str, Any]]] = {"database": [], "tenant": [], "stray_schema": [], "end": []}
        try:
            for line in filter(None, text.splitlines()):
                item = json.loads(line)
                lines[item.pop("kind")].append(item)
            [database], [end] = lines["database"], lines["end"]
            tenants = {item.pop("tenant"): _tenant(item) for item in lines["tenant"]}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise VerificationError(
                f"The inspection of the database cannot be read: {error}", hint="reports/run.log has its output."
            ) from error
        if end["tenants"] != len(tenants):
            raise VerificationError(f"The inspection tells of {len(tenants)} tenants of {end['tenants']}")
        return cls(
            database=database["name"],
            exists=database["exists"],
            encoding=database["encoding"],
            server_version=database["server_version"],
            user=database["user"],
            tenants=tenants,
            strays=tuple(item["schema"] for item in lines["stray_schema"]),
        )


def read_counts(text: str) -> dict[tuple[str, str], int | Unreadable]:
    """Read the JSON lines of ``count-rows.sql``: (schema, table) → rows, or why they cannot all be seen.

    Raises:
        VerificationError: When a line cannot be read.
    """
    try:
        lines = [json.loads(line) for line in text.splitlines() if line]
        return {
            (line["schema"], line["table"]): Unreadable(line["denied"], line["user"], line["remedy"])
            if line["rows"] is None
            else int(line["rows"])
            for line in lines
        }
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationError(
            f"The counts of rows cannot be read: {error}", hint="reports/run.log has its output."
        ) from error


def _tenant(item: dict[str, Any]) -> TenantState:
    key = item.pop("primary_key")
    denied = tuple(item.pop("denied"))
    return TenantState(primary_key=tuple(key) if key is not None else None, denied=denied, **item)


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
                f"The inspection of the catalogue cannot be read: {error}", hint="reports/run.log has its output."
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
