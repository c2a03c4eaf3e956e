"""Files of verification and inspection run in sessions that they cannot open again, and to their end."""

from __future__ import annotations

import pytest

ATTACKS = {
    "a DELETE": "DELETE FROM tenant_a.users;",
    "the setting of the transaction": "SET transaction_read_only = off; DELETE FROM tenant_a.users;",
    "the setting of the session": "SET default_transaction_read_only = off; DELETE FROM tenant_a.users;",
    "RESET ALL": "RESET ALL; DELETE FROM tenant_a.users;",
    "set_config": "SELECT set_config('transaction_read_only', 'off', false); DELETE FROM tenant_a.users;",
    "a DO block": "DO $$ BEGIN PERFORM set_config('default_transaction_read_only', 'off', false);"
    " DELETE FROM tenant_a.users; END $$;",
    "a DO block that commits": "DO $$ BEGIN SET default_transaction_read_only = off; COMMIT; DELETE FROM tenant_a.users; END $$;",
    "COMMIT": "COMMIT;",
    "ROLLBACK in text that nobody foresaw": "SELECT chr(82) || 'OLLBACK' \\gexec\nDELETE FROM tenant_a.users;",
    "a second connection": "\\c\nDELETE FROM tenant_a.users;",
    "a function of the database": "SELECT public.wipe();",
    "a function that opens the next transaction": "SELECT public.reopen(); DELETE FROM tenant_a.users;",
    "a tolerated error": "\\set ON_ERROR_STOP off\nSELECT 1/0;\n",
    "a table": "CREATE TABLE public.made (n int);",
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("included", ["", "\\ir ../../shared/configuration.sql\n\\ir ../../shared/observation.sql\n"])
def test_verification_cannot_write(built, snapshot, attack, included):
    """Whatever a file of verification tries, the database stays as it is, and the file fails."""
    built.break_things(
        "CREATE FUNCTION public.wipe() RETURNS void LANGUAGE sql AS 'DELETE FROM tenant_a.users'",
        "CREATE FUNCTION public.reopen() RETURNS void LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM set_config('default_transaction_read_only', 'off', false);"
        " PERFORM set_config('transaction_read_only', 'off', false); END $$",
    )
    before = snapshot(built)
    file = "sql/aurora/verification/attack.sql"
    (built.workspace / file).write_text(f"{included}{ATTACKS[attack]}\n")
    done = built.engine(file)
    assert done.returncode == 3, done.stdout + done.stderr
    assert snapshot(built) == before


@pytest.mark.parametrize(
    "statement", ["DELETE FROM tenant_a.users", "UPDATE tenant_a.users SET name = 'x'", "CREATE TABLE made (n int)"]
)
@pytest.mark.parametrize("place", ["", '\\connect -reuse-previous=on :"database_conninfo"\n'])
def test_inspection_cannot_write(built, snapshot, statement, place):
    """A statement that writes fails in a file of inspection, also on its second connection."""
    before = snapshot(built)
    built.configure(
        aurora={"databaseName": built.database, "phases": {"inspection": {"connection_db": built.database}}}
    )
    file = "sql/aurora/inspection/attack.sql"
    (built.workspace / file).write_text(f"\\ir ../../shared/configuration.sql\n{place}{statement};\n")
    done = built.engine(file)
    assert done.returncode == 3
    assert "in a read-only transaction" in done.stderr
    assert snapshot(built) == before


def test_verification_may_read_what_it_likes(built):
    """A file of verification reads the configuration and the tenants, with functions, cursors and generated statements."""
    file = "sql/aurora/verification/own.sql"
    (built.workspace / file).write_text(
        "\\set ON_ERROR_STOP on\n\\ir ../../shared/configuration.sql\n"
        "SELECT format('SELECT count(*) FROM %I.users', name) FROM tenant \\gexec\n"
        "DO $$ BEGIN IF (SELECT count(*) FROM tenant_a.users) <> 5 THEN RAISE 'no'; END IF; END $$;\n"
        "INSERT INTO pg_temp.tenant VALUES (99, 'only_here');\n"
    )
    assert built.succeed(file).count("     5\n") == 3


def test_build_phases_may_write(built):
    """The session of any other phase stays open."""
    file = "sql/aurora/data/own.sql"
    (built.workspace / file).write_text("CREATE TABLE tenant_a.made (n int);\n")
    built.succeed(file)
    assert built.rows("SELECT count(*) FROM tenant_a.made") == [(0,)]
