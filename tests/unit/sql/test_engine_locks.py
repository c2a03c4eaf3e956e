"""A lock that another session holds stops no phase in silence: it is waited for, not for long, and its holder is named."""

from __future__ import annotations

import time

import psycopg
import pytest
from psycopg import sql

QUICK = {"LOCK_TIMEOUT": "4"}
"""Seconds."""


TENANTS = ("tenant_a", "tenant_b", "tenant_c")


def add_change(bastion, name, text):
    """Write a further change of the tenant template."""
    (bastion.workspace / "sql/aurora/tenant/changes" / name).write_text(text)


@pytest.mark.parametrize(
    ("phase", "held", "waits"),
    [
        ("INSPECTION", "LOCK TABLE tenant_b.users", "AccessShareLock on tenant_b.users"),
        ("VERIFICATION", "ALTER TABLE tenant_b.users ADD COLUMN extra text", "AccessShareLock on tenant_b.users"),
        ("SCHEMA", "SELECT FROM tenant_b.users", "AccessExclusiveLock on tenant_b.users"),
        ("DATA", "LOCK TABLE tenant_b.users IN SHARE MODE", "RowExclusiveLock on tenant_b.users"),
        ("DATA", "INSERT INTO tenant_b.users VALUES (5, 'a', 'b')", "ShareLock on rows of tenant_b.users"),
    ],
)
def test_holder_of_a_lock_is_named(built, phase, held, waits):
    """Look, verification, create, data: process, program, user, since when, for which object, and what to do."""
    built.break_things("DELETE FROM tenant_b.users WHERE user_id = 5")
    if phase == "SCHEMA":
        add_change(built, "0002-phone.sql", "ALTER TABLE users ADD COLUMN phone text;\n")
    with psycopg.connect(built.server.conninfo(built.database), application_name="somebody") as other:
        other.execute(held.encode())
        query = "SELECT date_trunc('second', xact_start)::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ((since,),) = other.execute(query).fetchall()
        pid = other.info.backend_pid
        done = built.engine(getattr(built, phase), **QUICK)
        other.rollback()
    assert done.returncode == 3
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("[LOCK] ")]
    assert f" s for {waits}, held by process {pid} (somebody) of user rdsadmin, idle in transaction, " in told
    assert f"in a transaction since {since}. Let it end, or end it: SELECT pg_terminate_backend({pid})" in told
    assert list(built.runtime.iterdir()) == []


def test_tenants_behind_one_lock_are_not_waited_for_one_by_one(built):
    """After the first lock that was waited for in vain, the others are given a second each; all are named."""
    add_change(built, "0002-phone.sql", "ALTER TABLE users ADD COLUMN phone text;\n")
    with psycopg.connect(built.server.conninfo(built.database)) as other:
        other.execute("SELECT FROM tenant_a.users, tenant_b.users, tenant_c.users")
        began = time.monotonic()
        done = built.engine(built.SCHEMA, **QUICK)
    assert done.returncode == 3
    assert time.monotonic() - began < 3 * int(QUICK["LOCK_TIMEOUT"])
    assert [tenant for tenant in TENANTS if f'tenant "{tenant}"' in done.stderr] == [*TENANTS]
    assert "[LOCK] waited" in done.stderr


def test_tenants_whose_roles_are_behind_one_lock_are_not_waited_for_one_by_one(built):
    """Isolation waits as the phase that builds: once at full length; all tenants are named, and who holds the lock."""
    built.configure(
        tenants=[*TENANTS],
        aurora={"databaseName": built.database, "phases": {"isolation": {"connection_db": built.database}}},
    )
    with psycopg.connect(built.server.conninfo(built.database), application_name="somebody") as other:
        for tenant in TENANTS:  # what a GRANT writes too: the table's row of the catalogue
            other.execute(sql.SQL("REVOKE SELECT ON {}.users FROM PUBLIC").format(sql.Identifier(tenant)))
        began = time.monotonic()
        done = built.engine("sql/aurora/isolation/isolate-tenants.sql", **QUICK)
        seconds = time.monotonic() - began
        other.rollback()
        pid = other.info.backend_pid
    for tenant in TENANTS:
        built.drop_role(f"{tenant}_role")
    assert done.returncode == 3
    assert seconds < 3 * int(QUICK["LOCK_TIMEOUT"])
    assert "3 of 3 tenants failed; the first: " in done.stderr
    for tenant in TENANTS:
        cause = (
            f'tenant "{tenant}": privileges of {tenant}_role on table users: canceling statement due to lock timeout'
        )
        assert cause in done.stderr
    assert f"held by process {pid} (somebody)" in done.stderr


def test_run_without_a_wait_has_no_word_of_locks(built):
    """Nobody is named where nothing was waited for, whatever else goes wrong."""
    add_change(built, "0002-wrong.sql", "ALTER TABLE nothing ADD COLUMN phone text;\n")
    done = built.engine(built.SCHEMA, LOCK_TIMEOUT="1")
    assert done.returncode == 3
    assert "[LOCK]" not in done.stderr


def test_wait_that_was_not_long_yet_is_no_word(built):
    """A session that waits for a second or two is nothing to tell; one that waits no more, or never did, neither."""

    def told(watched: str, least: str) -> str:
        words = ("-v", f"watched={watched}", "-v", f"least={least}", "-f", "sql/shared/lock-holder.sql")
        done = built.run("psql", "-X", "-q", "-At", built.server.conninfo("postgres"), "-v", "ON_ERROR_STOP=1", *words)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    conninfo = built.server.conninfo(built.database)
    with psycopg.connect(conninfo, application_name="somebody") as other:
        other.execute("LOCK TABLE tenant_b.users")
        words = ("psql", "-X", "-q", conninfo, "-c", "SELECT FROM tenant_b.users")
        waits = built.start(*words, PGAPPNAME="2-sql-execute.waits")
        built.waiting()
        assert "(somebody)" in told("2-sql-execute.waits", "0")
        assert told("2-sql-execute.waits", "3600") == ""
        assert told("somebody", "0") == ""
    waits.communicate(timeout=30)
    assert told("2-sql-execute.waits", "0") == ""


def test_wrong_timeout_is_refused(built):
    """A timeout that is no number of seconds is wrong use."""
    done = built.engine(built.SCHEMA, LOCK_TIMEOUT="1m")
    assert done.returncode == 64
    assert 'LOCK_TIMEOUT is no number of seconds: "1m"' in done.stderr
