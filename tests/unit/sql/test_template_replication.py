"""What zero-ETL could not replicate is told of the template itself: when a change is read, before any tenant has it."""

from __future__ import annotations

from etl_manager.config import load
from etl_manager.database.snapshot import DatabaseSnapshot
from etl_manager.provisioning.run import plan, unreplicated
from tests.unit.sql.test_sql_template import add

CHANGE = """\
CREATE TYPE status AS ENUM ('new', 'paid');
CREATE TABLE orders (order_id integer PRIMARY KEY, state status, total numeric, note text, tags status[]);
CREATE TABLE log (line text);
CREATE UNLOGGED TABLE cache (key text PRIMARY KEY);
CREATE TABLE events (at date PRIMARY KEY) PARTITION BY RANGE (at);
"""
ENUM = "an enum; use text or varchar, with a CHECK constraint"
REST = ", or leave the table out of zeroEtl.tables"
TOLD = [
    "for zero-ETL: table cache: an unlogged table is not replicated; ALTER TABLE cache SET LOGGED" + REST,
    "for zero-ETL: table events: a partitioned table is not replicated, its partitions are; make it an ordinary table"
    + REST,
    "for zero-ETL: table log: without a primary key it is not replicated; ALTER TABLE log ADD PRIMARY KEY" + REST,
    f"for zero-ETL: table orders: column state is status, {ENUM}" + REST,
    "for zero-ETL: table orders: column total is numeric, a numeric without precision; declare it numeric(p,s) with p up to "
    "38 and s from 0 to 37" + REST,
    f"for zero-ETL: table orders: column tags is status[], {ENUM}" + REST,
]


def test_pending_change_is_read_by_the_catalogue(built):
    """Types, keys, persistence and partitions: of tables that are to be replicated, in the plan, before the change is applied."""
    add(built, "0002-more.sql", CHANGE)
    snapshot = DatabaseSnapshot.read(built.succeed(built.INSPECTION))
    config = load(built.workspace / "config.json", built.workspace)
    assert list(unreplicated(config, snapshot)) == TOLD
    assert [f"  {line}" for line in TOLD] == [line for line in plan(config, snapshot) if "zero-ETL" in line]
    some = config.changed(zero_etl={"tables": ("users", "log")})
    assert list(unreplicated(some, snapshot)) == TOLD[2:3]
    assert built.rows("SELECT to_regclass('tenant_a.orders')") == [(None,)]


def test_destroying_change_is_told_in_the_plan(built):
    """Its header says why; the plan shows it beside the tenants that would get it."""
    add(built, "0002-drop.sql", "-- destroys: nobody reads it\nALTER TABLE users DROP created_at;\n")
    snapshot = DatabaseSnapshot.read(built.succeed(built.INSPECTION))
    lines = plan(load(built.workspace / "config.json", built.workspace), snapshot)
    assert (
        "  pending change 0002-drop.sql: 3 tenants (tenant_a, tenant_b, tenant_c), which destroys: nobody reads it"
        in lines
    )
