"""A database server, seen and changed by a superuser behind the suite's back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from etl_manager.targets.postgres import EmbeddedPostgres

DATABASE = "multitenant_analytics"
PRISTINE = "pristine"
"""A copy of the database as it was built; `Cluster.restore` goes back to it."""

_EMPTY = f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"


@contextmanager
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Give a PostgreSQL as on the local target."""
    postgres = EmbeddedPostgres(folder / "postgres")
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.forget()


def snapshot(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, Any]:
    """Return all of a database that a run could change, with the transaction that wrote it last: equal means untouched."""
    found: dict[str, Any] = {
        "schemas": connection.execute(
            "SELECT nspname, nspowner, xmin::text FROM pg_namespace WHERE NOT starts_with(nspname, 'pg_') ORDER BY 1"
        ).fetchall(),
        "relations": connection.execute(
            "SELECT oid, relname, relowner, relfilenode, relpersistence, xmin::text FROM pg_class"
            " WHERE oid >= 16384 AND relpersistence <> 't' ORDER BY 1"
        ).fetchall(),
    }
    for schema, table in connection.execute(
        "SELECT schemaname, tablename FROM pg_tables"
        " WHERE schemaname <> 'information_schema' AND NOT starts_with(schemaname, 'pg_')"
    ).fetchall():
        query = sql.SQL("SELECT xmin::text, ctid::text, t::text FROM {} AS t ORDER BY 2")
        found[f"{schema}.{table}"] = connection.execute(query.format(sql.Identifier(schema, table))).fetchall()
    return found


class Cluster:
    """What is in the database server, seen and changed by a superuser behind the suite's back."""

    def __init__(self, conninfo: Callable[[str], str]) -> None:
        self._conninfo = conninfo

    def connect(self, database: str = DATABASE) -> psycopg.Connection[tuple[Any, ...]]:
        """Open an autocommitting connection."""
        return psycopg.connect(self._conninfo(database), autocommit=True)

    def execute(self, *statements: str, database: str = DATABASE) -> None:
        """Execute *statements*, each in a transaction of its own; what they make is the superuser's."""
        with self.connect(database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, query: str, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Return what *query* finds."""
        with self.connect(database) as connection:
            return connection.execute(query.encode()).fetchall()

    def databases(self) -> set[str]:
        """Return the names of all databases."""
        return {name for (name,) in self.rows("SELECT datname FROM pg_database", "postgres")}

    def snapshot(self, database: str = DATABASE) -> dict[str, Any]:
        """Return all of *database* that a run could change."""
        with self.connect(database) as connection:
            return snapshot(connection)

    def empty(self) -> None:
        """Go back to a cluster on which nothing was built."""
        self.execute(_EMPTY, database="postgres")

    def keep(self) -> None:
        """Remember the database as it is, for `restore`."""
        self.execute(f"CREATE DATABASE {PRISTINE} TEMPLATE {DATABASE}", database="postgres")

    def restore(self) -> None:
        """Go back to the database as `keep` saw it."""
        self.execute(_EMPTY, f"CREATE DATABASE {DATABASE} TEMPLATE {PRISTINE} OWNER postgres", database="postgres")

    def users(self) -> dict[str, list[int]] | None:
        """Return the ids of the users of each tenant, in order; None where there is no database."""
        if DATABASE not in self.databases():
            return None
        with self.connect() as connection:
            tables = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'users'").fetchall()
            ids = sql.SQL("SELECT user_id FROM {} ORDER BY 1")
            return {
                schema: [i for (i,) in connection.execute(ids.format(sql.Identifier(schema, "users"))).fetchall()]
                for (schema,) in sorted(tables)
            }

    def described(self) -> str:
        """Return what is there, in words."""
        rows = self.users()
        if rows is None:
            return "no database"
        if not rows:
            return "the database, empty"
        return f"{len(rows)} tenants, {sum(map(len, rows.values()))} rows"
