"""What is there: the facts that ``sql/aurora/inspection/inspect-database.sql`` prints, as objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from etl_manager.errors import VerificationError

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
class Look:
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
    def read(cls, text: str) -> Look:
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
                f"The inspection of the database cannot be read: {error}", remedy="reports/run.log has its output."
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
            f"The counts of rows cannot be read: {error}", remedy="reports/run.log has its output."
        ) from error


def _tenant(item: dict[str, Any]) -> TenantState:
    key = item.pop("primary_key")
    denied = tuple(item.pop("denied"))
    return TenantState(primary_key=tuple(key) if key is not None else None, denied=denied, **item)
