"""What is there: the facts that ``sql/aurora/inspection/inspect-database.sql`` prints, as objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etl_manager.errors import VerificationError


@dataclass(frozen=True, kw_only=True)
class TenantState:
    """One tenant as it was found; a row count is None where there is no table to count."""

    schema_exists: bool = False
    schema_owner: str | None = None
    table_exists: bool = False
    table_owner: str | None = None
    primary_key: tuple[str, ...] | None = None
    columns_ok: bool = False
    rows: int | None = None
    sample_rows: int | None = None


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


def read_counts(text: str) -> dict[tuple[str, str], int]:
    """Read the JSON lines of ``count-rows.sql``: (schema, table) → rows.

    Raises:
        VerificationError: When a line cannot be read.
    """
    try:
        lines = [json.loads(line) for line in text.splitlines() if line]
        return {(line["schema"], line["table"]): int(line["rows"]) for line in lines}
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationError(
            f"The counts of rows cannot be read: {error}", remedy="reports/run.log has its output."
        ) from error


def _tenant(item: dict[str, Any]) -> TenantState:
    key = item.pop("primary_key")
    return TenantState(primary_key=tuple(key) if key is not None else None, **item)
