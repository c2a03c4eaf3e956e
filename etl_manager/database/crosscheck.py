"""The second witness: where the database can be reached directly, psycopg reads again what the verification shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from etl_manager.database.difference import UNCOUNTED
from etl_manager.database.verification import Verification
from etl_manager.errors import InfrastructureError, VerificationError
from etl_manager.wording import bulleted

if TYPE_CHECKING:
    import psycopg


def check(conninfo: str, claimed: Verification) -> None:
    """Compare *claimed* with what an independent connection reads.

    Raises:
        VerificationError: When the two disagree: it lists each difference.
        InfrastructureError: When the witness cannot connect.
    """
    import psycopg  # not needed where the database cannot be reached directly, as on AWS

    try:
        with psycopg.connect(conninfo, connect_timeout=10, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = on")
            connection.execute("SET lock_timeout = '60s'")  # as the engine's sessions
            differences = list(_differences(connection, claimed))
    except psycopg.OperationalError as error:
        raise InfrastructureError(
            f"The second witness cannot read the database: {str(error).splitlines()[0]}",
            hint="The database answered through the bastion, but not directly: did it stop meanwhile, or "
            "did another session lock a table?",
        ) from None
    if differences:
        raise VerificationError(
            f"The verification's output and a second connection disagree:\n{bulleted(differences)}",
            hint="Something changed the database meanwhile, or the output is not of this database. Run again.",
        )


def _differences(connection: psycopg.Connection[tuple[object, ...]], claimed: Verification) -> Iterator[str]:
    tenants, names = list(claimed.facts.tenants), list(claimed.facts.template.tables)
    schemas = {
        str(name)
        for (name,) in connection.execute("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)", [tenants])
    }
    owners = {
        (str(schema), str(table)): str(owner)
        for schema, table, owner in connection.execute(
            "SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner) FROM pg_class AS c JOIN pg_namespace AS n"
            " ON n.oid = c.relnamespace WHERE c.relname = ANY(%s) AND c.relkind IN ('r', 'p') AND n.nspname = ANY(%s)",
            [names, tenants],
        )
    }
    for schema in sorted(schemas.symmetric_difference(claimed.schemas)):
        yield f"schema {schema}: the verification {_lists(schema in claimed.schemas)}, the witness {_lists(schema in schemas)}"
    for table in sorted(owners.keys() | claimed.tables.keys()):
        if owners.get(table) != claimed.tables.get(table):
            yield (
                f"owner of {'.'.join(table)}: the verification says {claimed.tables.get(table, 'no table')}, "
                f"the witness {owners.get(table, 'no table')}"
            )
    uncounted = {(each.tenant, each.table) for each in claimed.differences if each.kind in UNCOUNTED}
    for table in sorted((claimed.counts.keys() | owners.keys()) - uncounted):
        counted = _count(connection, table) if table in owners else None
        if counted != claimed.counts.get(table):
            yield f"rows of {'.'.join(table)}: the verification counts {claimed.counts.get(table)}, the witness {counted}"


def _lists(there: bool) -> str:
    return "lists it" if there else "does not"


def _count(connection: psycopg.Connection[tuple[object, ...]], table: tuple[str, str]) -> int:
    from psycopg import sql

    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table))).fetchone()
    return int(str(row[0])) if row else 0
