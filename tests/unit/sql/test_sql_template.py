"""The tenant template: changes applied once a tenant and recorded, interrupted, edited, failing, adopted; repairs told."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.engine import Bastion

INSPECT = "sql/aurora/inspection/inspect-template.sql"
CHANGES = "sql/aurora/tenant/changes"
LEDGER = "SELECT tenant, change FROM etl_manager.applied WHERE lost_at IS NULL ORDER BY 1, 2"
ORDERS = """\
CREATE TABLE orders (
    order_id integer PRIMARY KEY,
    user_id  integer NOT NULL REFERENCES users,
    total    numeric(12,2) NOT NULL DEFAULT 0 CHECK (total >= 0)
);
CREATE INDEX orders_user ON orders (user_id);
CREATE FUNCTION twice(n integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RETURN 2 * n; -- it's a \\ "test"
END $$;
"""
CONCURRENTLY = "-- Beside the table's use.\n-- no-transaction\nCREATE INDEX CONCURRENTLY users_name ON users (name);\n"
TENANTS = ("tenant_a", "tenant_b", "tenant_c")


def add(bastion: Bastion, name: str, text: str) -> str:
    """Add a change to the template; return its digest."""
    (bastion.workspace / CHANGES / name).write_bytes(text.encode())
    return hashlib.sha256(text.encode()).hexdigest()


def facts(output: str, kind: str) -> list[dict[str, Any]]:
    """Return the JSON lines of *kind*, without it."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [{key: value for key, value in line.items() if key != "kind"} for line in lines if line["kind"] == kind]


def look(bastion: Bastion, kind: str) -> list[dict[str, Any]]:
    """Return what the inspection tells of *kind*."""
    return facts(bastion.succeed(INSPECT), kind)


def test_further_change_is_applied_once(built):
    """A new file is applied to every tenant, recorded with its digest and run, and a second run finds nothing to do."""
    digest = add(built, "0002-orders.sql", ORDERS)
    looked = built.succeed(INSPECT)
    assert facts(looked, "pending") == [{"change": "0002-orders.sql", "tenants": list(TENANTS)}]
    assert [line["difference"] for line in facts(looked, "finding")][:1] == ["change-pending"]
    output = built.succeed(built.SCHEMA, RUN_ID="run 7")
    assert facts(output, "applied") == [{"changes": ["0002-orders.sql"], "tenants": list(TENANTS)}]
    assert built.rows("SELECT DISTINCT sha256, run FROM etl_manager.applied WHERE change = '0002-orders.sql'") == [
        (digest, "run 7")
    ]
    assert built.rows("SELECT tenant_c.twice(4)") == [(8,)]
    assert look(built, "pending") == []
    assert built.findings() == []
    assert facts(built.succeed(built.SCHEMA), "applied") == []


def test_canary(built):
    """Only the tenants that are chosen are built, and they alone are told of."""
    add(built, "0002-orders.sql", ORDERS)
    only = {"ONLY_TENANTS": '["tenant_b"]'}
    assert facts(built.succeed(built.SCHEMA, **only), "applied")[0]["tenants"] == ["tenant_b"]
    assert [line["tenant"] for line in facts(built.succeed(INSPECT, **only), "tenant")] == ["tenant_b"]
    looked = built.succeed(INSPECT)
    assert facts(looked, "pending")[0]["tenants"] == ["tenant_a", "tenant_c"]
    assert facts(looked, "stray_schema") == []
    done = built.engine(built.SCHEMA, ONLY_TENANTS='["tenant_x"]')
    assert done.returncode == 3
    assert 'the configuration names no tenant "tenant_x"' in done.stderr


def test_change_that_was_edited(built):
    """It is an error that names the file, both digests and how many tenants have it; nothing is applied."""
    file = built.workspace / CHANGES / "0001-users.sql"
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    now = add(built, "0001-users.sql", file.read_text() + "-- edited\n")
    add(built, "0002-orders.sql", ORDERS)
    done = built.engine(built.SCHEMA)
    assert done.returncode == 3
    for word in ("0001-users.sql was edited", before, now, "3 tenants"):
        assert word in done.stderr
    assert look(built, "ledger_problem") == [
        {"problem": "change-edited", "change": "0001-users.sql", "file_sha256": now, "sha256": before, "later": None,
         "tenants": 3}
    ]  # fmt: skip
    assert built.rows("SELECT to_regclass('tenant_a.orders')") == [(None,)]


def test_change_that_is_gone(built):
    """An applied change whose file is no more is an error."""
    add(built, "0002-orders.sql", ORDERS)
    built.succeed(built.SCHEMA)
    (built.workspace / CHANGES / "0002-orders.sql").unlink()
    done = built.engine(built.SCHEMA)
    assert done.returncode == 3
    assert "0002-orders.sql is gone: 3 tenants have it" in done.stderr


def test_change_out_of_order(built):
    """A new change that stands before one that a tenant already has is an error; a new tenant gets them in order."""
    add(built, "0003-orders.sql", ORDERS)
    built.succeed(built.SCHEMA)
    add(built, "0002-late.sql", "CREATE TABLE late (n integer PRIMARY KEY);\n")
    done = built.engine(built.SCHEMA)
    assert done.returncode == 3
    assert "0002-late.sql is new, and stands before 0003-orders.sql, which 3 tenants already have" in done.stderr


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("CREATE TABLE fine (n int);\n\n-- why\nALTER TABLE users\n  ADD CONSTRAINT u UNIQUE (name);\n", 4, 'could not create unique index "u"'),
        ("CREATE TABLE fine (n int);\nCREATE TABEL x (n int);\n", 2, 'syntax error at or near "TABEL"'),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 1;\nEND $$;\nSELECT 1/0;\n", 5, "division by zero"),
    ],
)  # fmt: skip
def test_failing_tenant(built, text, line, message):
    """A tenant that fails is told with file, line and cause; the others go on; the phase fails; nothing of it is left."""
    built.break_things("UPDATE tenant_b.users SET name = 'same'")
    add(built, "0002-broken.sql", text)
    done = built.engine(built.SCHEMA)
    assert done.returncode == 3
    failed = facts(done.stdout, "failed")
    whole = message.startswith("could not")
    assert [each["tenant"] for each in failed] == (["tenant_b"] if whole else list(TENANTS))
    assert {(each["file"], each["line"]) for each in failed} == {(f"{CHANGES}/0002-broken.sql", line)}
    assert f'tenant "{failed[0]["tenant"]}": {CHANGES}/0002-broken.sql, line {line}: {message}' in done.stderr
    fine = [(tenant,) for tenant in TENANTS if whole and tenant != "tenant_b"]
    assert built.rows("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'fine' ORDER BY 1") == fine
    assert built.rows("SELECT tenant FROM etl_manager.applied WHERE change = '0002-broken.sql' ORDER BY 1") == fine


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("BEGIN;\nCREATE TABLE x (n int);\nCOMMIT;\n", "leave out BEGIN and COMMIT"),
        ("CREATE INDEX CONCURRENTLY users_name ON users (name);\n", 'with a first line "-- no-transaction"'),
    ],
)
def test_change_that_cannot_run_in_a_transaction(built, text, hint):
    """The error says what to do."""
    add(built, "0002-bad.sql", text)
    done = built.engine(built.SCHEMA)
    assert done.returncode == 3
    assert hint in done.stderr
    assert built.rows(LEDGER) == [(tenant, "0001-users.sql") for tenant in TENANTS]


def test_deferred_constraint_fails_with_its_tenant(built):
    """What a change defers to the end of its transaction is checked before: the tenant is told, the others go on."""
    built.break_things("DELETE FROM tenant_b.users WHERE user_id = 5")
    add(
        built,
        "0002-child.sql",
        "CREATE TABLE child (n integer PRIMARY KEY REFERENCES users DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO child VALUES (5);\n",
    )
    done = built.engine(built.SCHEMA)
    assert done.returncode == 3
    cause = (
        f'ERROR:  tenant "tenant_b": {CHANGES}/0002-child.sql: insert or update on table "child" violates foreign key'
    )
    assert cause in done.stderr
    assert facts(done.stdout, "applied") == [{"changes": ["0002-child.sql"], "tenants": ["tenant_a", "tenant_c"]}]


def test_cancelled_change_is_an_error(built):
    """A statement that somebody cancels stops the phase, and that is no success."""
    cancelled = (
        "IF current_schema() = 'tenant_b' THEN PERFORM pg_cancel_backend(pg_backend_pid()), pg_sleep(5); END IF;"
    )
    add(built, "0002-slow.sql", f"DO $$ BEGIN {cancelled} END $$;\n")
    done = built.engine(built.SCHEMA)
    assert done.returncode == 3
    assert "canceling statement due to user request" in done.stderr
    assert "changes were not applied to 2 of 3 tenants" in done.stderr


def test_change_that_leaves_settings_behind(bastion):
    """What a change does to search_path and role does not reach the next tenant, nor the ledger."""
    add(
        bastion,
        "0002-settings.sql",
        "CREATE TABLE one (n int);\nSET search_path = public;\nSET ROLE pg_read_all_data;\n",
    )
    add(bastion, "0003-two.sql", "CREATE TABLE two (n int);\n")
    bastion.break_things("GRANT pg_read_all_data TO postgres", database="postgres")
    try:
        bastion.build()
        assert bastion.findings() == []
    finally:
        bastion.break_things("REVOKE pg_read_all_data FROM postgres", database="postgres")
    assert bastion.rows(
        "SELECT count(*) FROM pg_tables WHERE tablename IN ('one', 'two') AND tableowner = 'postgres'"
    ) == [(6,)]


def test_change_without_a_transaction(built):
    """CREATE INDEX CONCURRENTLY runs tenant by tenant, in its place among the others; a tenant that fails does not stop it."""
    add(built, "0002-index.sql", CONCURRENTLY)
    add(built, "0003-orders.sql", ORDERS)
    output = built.succeed(built.SCHEMA)
    assert facts(output, "applied") == [{"changes": ["0002-index.sql", "0003-orders.sql"], "tenants": list(TENANTS)}]
    assert built.findings() == []
    built.break_things("UPDATE tenant_b.users SET email = 'same'")
    add(built, "0004-unique.sql", "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY users_email ON users (email);\n")
    done = built.engine(built.SCHEMA)
    assert done.returncode == 3
    [failed] = facts(done.stdout, "failed")
    assert (failed["tenant"], failed["file"]) == ("tenant_b", f"{CHANGES}/0004-unique.sql")
    assert failed["message"].startswith('could not create unique index "users_email"')
    assert failed["hint"].endswith("DROP INDEX CONCURRENTLY tenant_b.users_email")
    assert facts(done.stdout, "applied")[0]["tenants"] == ["tenant_a", "tenant_c"]
    built.break_things("UPDATE tenant_b.users SET email = user_id::text", "DROP INDEX tenant_b.users_email")
    assert facts(built.succeed(built.SCHEMA), "applied")[0]["tenants"] == ["tenant_b"]


def test_killed_in_the_middle(bastion):
    """What was applied stays recorded, the change that was interrupted is not, and the next run does the rest."""
    add(bastion, "0002-orders.sql", ORDERS)
    bastion.succeed(bastion.DATABASE)
    with psycopg.connect(bastion.server.conninfo(bastion.database)) as blocker:
        blocker.execute("CREATE SCHEMA tenant_b")
        engine = bastion.start_engine(bastion.SCHEMA)
        bastion.waiting()
        engine.send_signal(signal.SIGTERM)
        assert engine.wait(20) == 143
        blocker.rollback()
    assert bastion.rows(LEDGER) == [("tenant_a", "0001-users.sql"), ("tenant_a", "0002-orders.sql")]
    bastion.succeed(bastion.SCHEMA, bastion.DATA)
    assert bastion.findings() == []


def test_second_runner(built):
    """Whoever waits for another run is told who it is as soon as the wait begins, and again when it was too long."""
    with built.connect() as other:
        other.execute("SET application_name = 'somebody'")
        other.execute("SELECT pg_advisory_lock(hashtext('etl-manager'))")
        pid = other.info.backend_pid
        done = built.run("psql", built.server.conninfo(built.database), "-v", "lock_wait=100ms", "-f", built.SCHEMA)
    assert done.returncode == 3
    who = f"process {pid} (somebody), connected since 2"
    waits, refused = (done.stderr.find(f"{text}{who}") for text in ("[PROGRESS] waits=", "another run builds here: "))
    assert 0 <= waits < refused


def test_second_runner_goes_on_when_the_first_one_ends(built):
    """The lock is that of a session, and ends with it, however that ends."""
    with built.connect() as other:
        other.execute("SELECT pg_advisory_lock(hashtext('etl-manager'))")
        engine = built.start_engine(built.SCHEMA)
        built.waiting()
        built.break_things(f"SELECT pg_terminate_backend({other.info.backend_pid})")
        _, said = engine.communicate(timeout=20)
    assert (engine.returncode, said.count("[PROGRESS] waits=")) == (0, 1)


AWAIT_BUILD = "sql/aurora/inspection/await-build.sql"
BUILDER = "2-sql-execute.abc building"


def test_build_in_progress_is_waited_for(built):
    """By whoever only verifies: it goes on when the build has ended, and not between two of its files."""
    with built.connect() as other:
        other.execute(f"SET application_name = '{BUILDER}'")
        pids = [other.info.backend_pid]
        engine = built.start_engine(AWAIT_BUILD)
        time.sleep(1)
    time.sleep(0.7)
    with built.connect() as other:
        other.execute(f"SET application_name = '{BUILDER}'")
        pids.append(other.info.backend_pid)
        time.sleep(2)
        assert engine.poll() is None
    _, said = engine.communicate(timeout=20)
    assert engine.returncode == 0
    assert re.findall(rf"waits=process (\d+) \({BUILDER}\), connected since 2", said) == [str(pid) for pid in pids]


def test_build_that_does_not_end_is_told(built):
    """After a time it is given up: the error says whose session it is, and since when."""
    with built.connect() as other:
        other.execute(f"SET application_name = '{BUILDER}'")
        pid = other.info.backend_pid
        done = built.run("psql", built.server.conninfo("postgres"), "-v", "lock_wait=100ms", "-v", "config_file=config.json", "-f", AWAIT_BUILD)  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert f"another run builds here: process {pid} ({BUILDER}), connected since 2" in done.stderr


def test_phase_by_itself_is_a_build_too(built):
    """As one that was begun by hand: no session looks for it."""
    with built.connect() as other:
        other.execute("SELECT pg_advisory_lock(hashtext('etl-manager'))")
        engine = built.start_engine(built.SCHEMA)
        built.waiting()
        done = built.run("psql", built.server.conninfo("postgres"), "-v", "lock_wait=100ms", "-v", "config_file=config.json", "-f", AWAIT_BUILD)  # fmt: skip
    engine.communicate(timeout=20)
    assert (engine.returncode, done.returncode) == (0, 3), done.stderr
    assert " building), connected since 2" in done.stderr


@pytest.mark.parametrize("name", ["2-sql-execute.abc", "watch 2-sql-execute.abc building", "psql"])
def test_session_of_another_kind_is_not_waited_for(built, name):
    """Looks, verifications and people build nothing."""
    with built.connect() as other:
        other.execute(f"SET application_name = '{name}'")
        assert built.succeed(AWAIT_BUILD) == ""


def test_adoption_of_tenants_of_three_ages(built):
    """Tenants without a ledger are recorded at the change they look like; what they then lack is applied or repaired."""
    add(built, "0002-phone.sql", "ALTER TABLE users ADD COLUMN phone text;\n")
    add(built, "0003-orders.sql", ORDERS)
    built.succeed(built.SCHEMA)
    built.break_things(
        "DROP SCHEMA etl_manager CASCADE",
        "DROP TABLE tenant_a.orders", "DROP FUNCTION tenant_a.twice", "ALTER TABLE tenant_a.users DROP COLUMN phone",
        "DROP TABLE tenant_b.orders", "DROP FUNCTION tenant_b.twice", "ALTER TABLE tenant_b.users ALTER created_at DROP DEFAULT",
    )  # fmt: skip
    output = built.succeed(built.SCHEMA)
    assert facts(output, "adopted") == [
        {"change": "0001-users.sql", "differences": 0, "tenants": ["tenant_a"]},
        {"change": "0002-phone.sql", "differences": 1, "tenants": ["tenant_b"]},
        {"change": "0003-orders.sql", "differences": 0, "tenants": ["tenant_c"]},
    ]
    assert facts(output, "applied") == [
        {"changes": ["0002-phone.sql", "0003-orders.sql"], "tenants": ["tenant_a"]},
        {"changes": ["0003-orders.sql"], "tenants": ["tenant_b"]},
    ]
    assert [finding[:2] for finding in built.findings()] == [("tenant_b", "column users.created_at")]


def test_schema_that_was_dropped_is_made_again(built):
    """Its rows in the ledger no longer count: all changes are applied anew."""
    add(built, "0002-orders.sql", ORDERS)
    built.succeed(built.SCHEMA)
    built.break_things("DROP SCHEMA tenant_b CASCADE")
    assert facts(built.succeed(built.SCHEMA), "applied") == [
        {"changes": ["0001-users.sql", "0002-orders.sql"], "tenants": ["tenant_b"]}
    ]
    built.succeed(built.DATA)
    assert built.findings() == []


def test_schema_that_was_dropped_and_is_half_made_again(built):
    """The ledger tells what the new schema has, and no more: a change that failed there is applied by a later run."""
    built.break_things("CREATE DOMAIN public.kind AS text")
    add(built, "0002-things.sql", "CREATE TABLE things (n integer PRIMARY KEY, kind public.kind);\n")
    built.succeed(built.SCHEMA)
    built.break_things("DROP SCHEMA tenant_b CASCADE", "ALTER DOMAIN public.kind RENAME TO other")
    assert built.engine(built.SCHEMA).returncode == 3
    assert [change for tenant, change in built.rows(LEDGER) if tenant == "tenant_b"] == ["0001-users.sql"]
    built.break_things("ALTER DOMAIN public.other RENAME TO kind")
    assert facts(built.succeed(built.SCHEMA, built.SCHEMA), "repaired") == []
    built.succeed(built.DATA)
    assert built.findings() == []


SHOP_DAMAGE = (
    "DROP TABLE part_01", "DROP TABLE tickets", "DROP VIEW open_orders", "ALTER TABLE orders DROP COLUMN note",
    "DROP INDEX part_02_amount", "ALTER TABLE users DROP CONSTRAINT users_email_key",
    "ALTER TABLE orders DROP CONSTRAINT orders_total_is_small, DROP CONSTRAINT orders_user_id_fkey",
    "DROP TRIGGER orders_touch ON orders", "DROP POLICY orders_own ON orders", "REVOKE SELECT ON orders FROM PUBLIC",
    "REVOKE SELECT (name) ON users FROM PUBLIC", "DROP SEQUENCE invoice_number",
    "ALTER TABLE part_03 DROP CONSTRAINT part_03_pkey",
)  # fmt: skip


def test_what_is_missing_is_added(bastion):
    """By the template's own definitions, each told with its statement; afterwards the tenant is as the template says."""
    shutil.rmtree(bastion.workspace / "sql/aurora/tenant")
    shutil.copytree(Path(__file__).parent / "shop", bastion.workspace / "sql/aurora/tenant")
    bastion.configure(tenants=["tenant_b"])
    bastion.build()
    bastion.break_things("SET ROLE postgres", "SET search_path = tenant_b", *SHOP_DAMAGE)
    repaired = facts(bastion.succeed(bastion.SCHEMA), "repaired")
    assert {line["tenant"] for line in repaired} == {"tenant_b"}
    assert len({line["object"] for line in repaired}) > len(SHOP_DAMAGE)
    bastion.succeed(bastion.DATA)
    assert bastion.findings() == []
    assert facts(bastion.succeed(bastion.SCHEMA), "repaired") == []


def test_expectation_that_cannot_be_made(built):
    """Without CREATE on the database it is a finding with what helps; the rest is told all the same; nothing is left behind."""
    built.break_things(f"ALTER DATABASE {built.database} OWNER TO rdsadmin", "CREATE TABLE tenant_a.more (n int)")
    helps = f"GRANT CREATE ON DATABASE {built.database} TO postgres"
    looked = built.succeed(INSPECT)
    [fact] = facts(looked, "expectation")
    assert (fact["possible"], fact["remedy"]) == (False, helps)
    assert ("expectation", helps) in [(line["difference"], line["remedy"]) for line in facts(looked, "finding")]
    assert [line["tables"]["users"] for line in facts(looked, "tenant")] == [5, 5, 5]
    built.break_things(helps)
    assert [line["difference"] for line in look(built, "finding")] == ["table-extra", "database-differs"]
    assert built.rows("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'etl_manager_scratch%'") == [(0,)]


@pytest.mark.parametrize(
    ("break_template", "message"),
    [
        (shutil.rmtree, "no folder sql/aurora/tenant/changes"),
        (lambda folder: (folder / "changes/0001-users.sql").unlink(), "the tenant template has no changes"),
        (lambda folder: (folder / "changes/0002-x.sql").write_bytes(b"\n"), "0002-x.sql is empty, or cannot be read"),
        (lambda folder: (folder / "changes/0002-x.sql").write_bytes(b"SELECT '\xe9';"), "0002-x.sql: invalid byte sequence"),
        (lambda folder: (folder / "data/nothing.sql").write_text("SELECT 1"), "data/nothing.sql fills a table that no change makes"),
        (lambda folder: (folder / "data/users.sql").write_text("SELECT 'x' AS name"), "does not give the primary key of users: user_id"),
    ],
)  # fmt: skip
def test_template_that_cannot_be_used(built, break_template, message):
    """The error names the file, and nothing is changed."""
    break_template(built.workspace / "sql/aurora/tenant")
    done = [built.engine(file) for file in (built.SCHEMA, built.DATA, built.VERIFICATION)]
    assert [each.returncode for each in done][1:] == [3, 3]
    assert message in done[1].stderr
    assert message in done[2].stderr


def test_any_text_in_a_change(built):
    """Backslashes, quotes, dollars, colons, a byte order mark and CRLF reach the server as they are."""
    text = "\ufeffCREATE TABLE odd (\r\n  n text DEFAULT E'a\\\\b' PRIMARY KEY, m text DEFAULT ':name $$ ''q'' %s 漢'\r\n);\r\n"
    add(built, "0002-odd.sql", text)
    built.succeed(built.SCHEMA)
    assert built.findings() == []
    default = (
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'tenant_a.odd'::regclass ORDER BY adnum"
    )
    assert built.rows(default) == [("'a\\b'::text",), ("':name $$ ''q'' %s 漢'::text",)]


def test_altered_and_missing_rows_of_a_reference_table(built):
    """Any table with a data file is held to its rows, by primary key, also of several columns; otherRows is honoured."""
    add(
        built,
        "0002-rates.sql",
        "CREATE TABLE rates (code text, year int, rate numeric, about jsonb, PRIMARY KEY (code, year));\n",
    )
    (built.workspace / "sql/aurora/tenant/data/rates.sql").write_text(
        "SELECT code, year, 1.5 AS rate, '{\"a\": 1}' AS about FROM (VALUES ('EUR'), ('JPY')) AS c (code), generate_series(1, 2) AS year;\n-- done\n"
    )
    built.succeed(built.SCHEMA, built.DATA)
    assert built.findings() == []
    built.break_things(
        "DELETE FROM tenant_a.rates WHERE year = 1",
        "UPDATE tenant_b.rates SET about = '{}' WHERE code = 'JPY' AND year = 2",
        "INSERT INTO tenant_c.rates VALUES ('USD', 1, 1, '{}')",
    )
    assert built.findings() == [
        ("tenant_a", "rows of rates", "4", "2"),
        ("tenant_a", "sample rows of rates", "none missing", "missing EUR, 1, JPY, 1"),
        ("tenant_b", "sample rows of rates", "none altered", "altered JPY, 2"),
        ("tenant_c", "rows of rates", "4", "5"),
    ]
    built.configure(sampleData={"otherRows": "accept"})
    assert facts(built.succeed(built.DATA), "inserted") == [{"tenant": "tenant_a", "table": "rates", "rows": 2}]
    assert [finding[0] for finding in built.findings()] == ["tenant_b"]
