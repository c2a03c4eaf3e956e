"""The second witness: where the database can be reached directly, psycopg reads again what the verification claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
from psycopg import sql

from etl_manager.database.verification import Verification
from etl_manager.errors import InfrastructureError, VerificationError


def check(conninfo: str, tenants: Sequence[str], claimed: Verification) -> None:
    """Compare *claimed* with what an independent connection reads.

    Raises:
        VerificationError: When the two disagree: it lists each difference.
        EnvironmentTrouble: When the witness cannot connect.
    """
    try:
        with psycopg.connect(conninfo, connect_timeout=10, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = on")
            differences = list(_differences(connection, tenants, claimed))
    except psycopg.OperationalError as error:
        raise InfrastructureError(
            f"The second witness cannot read the database: {str(error).splitlines()[0]}",
            hint="The database answered through the bastion, but not directly: did it stop meanwhile?",
        ) from None
    if differences:
        shown = differences[:20] + ([f"… and {len(differences) - 20} more"] if len(differences) > 20 else [])
        raise VerificationError(
            "The verification's output and a second connection disagree:\n"
            + "\n".join(f"  - {difference}" for difference in shown),
            hint="Something changed the database meanwhile, or the output is not of this database. Run again.",
        )


def _differences(
    connection: psycopg.Connection[tuple[object, ...]], tenants: Sequence[str], claimed: Verification
) -> Iterator[str]:
    schemas = {
        str(name)
        for (name,) in connection.execute("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)", [list(tenants)])
    }
    owners = {
        (str(schema), "users"): str(owner)
        for schema, owner in connection.execute(
            "SELECT n.nspname, pg_get_userbyid(c.relowner) FROM pg_class AS c JOIN pg_namespace AS n"
            " ON n.oid = c.relnamespace WHERE c.relname = 'users' AND c.relkind = 'r' AND n.nspname = ANY(%s)",
            [list(tenants)],
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
    for tenant in sorted((claimed.counts.keys() | {schema for schema, _ in owners}) - claimed.uncounted):
        counted = _count(connection, tenant) if (tenant, "users") in owners else None
        if counted != claimed.counts.get(tenant):
            yield f"users of {tenant}: the verification counts {claimed.counts.get(tenant)}, the witness {counted}"


def _lists(there: bool) -> str:
    return "lists it" if there else "does not"


def _count(connection: psycopg.Connection[tuple[object, ...]], tenant: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(tenant, "users"))
    row = connection.execute(query).fetchone()
    return int(str(row[0])) if row else 0
