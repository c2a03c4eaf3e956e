"""The three phases that build: from nothing, again, interrupted, at the same time, and for any tenants."""

from __future__ import annotations

import json
import shlex
import signal

import psycopg
import pytest
from psycopg import sql

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE oid >= 16384 AND NOT starts_with(nspname, 'pg_')"
USERS = [
    (1, "User 1 of tenant_b", "tenant_b.user1@example.com"),
    (2, "User 2 of tenant_b", "tenant_b.user2@example.com"),
    (3, "User 3 of tenant_b", "tenant_b.user3@example.com"),
    (4, "User 4 of tenant_b", "tenant_b.user4@example.com"),
    (5, "User 5 of tenant_b", "tenant_b.user5@example.com"),
]
HOSTILE = [
    'a"; DROP SCHEMA x; --',
    "TENANT A",
    "it's",
    "back\\slash",
    "$$",
    "%I %s",
    ":name",
    "select",
    "*",
    "[]{}|",
    "ü" * 31,
    "漢字",
]


def test_fresh_build(bastion):
    """On an empty cluster the three phases build database, schemas, tables and rows, and say so."""
    assert bastion.succeed(bastion.DATABASE).split("\n")[2].split() == [bastion.database, "|", "created"]
    assert bastion.succeed(bastion.SCHEMA) == (
        " tenants | schemas_created | tables_created | primary_keys_added | owners_set | not_permitted \n"
        "---------+-----------------+----------------+--------------------+------------+---------------\n"
        "       3 |               3 |              3 |                  0 |          0 |             0\n"
        "(1 row)\n\n"
        '{"kind":"applied","changes":["0001-users.sql"],"tenants":["tenant_a", "tenant_b", "tenant_c"]}\n'
    )
    assert bastion.succeed(bastion.DATA) == (
        " tenants | rows_inserted | not_permitted \n"
        "---------+---------------+---------------\n"
        "       3 |            15 |             0\n"
        "(1 row)\n\n"
        + "".join(
            f'{{"kind":"inserted","tenant":"{tenant}","table":"users","rows":5}}\n'
            for tenant in ("tenant_a", "tenant_b", "tenant_c")
        )
    )
    assert bastion.rows(
        "SELECT schemaname, tablename, tableowner FROM pg_tables WHERE tablename = 'users' ORDER BY 1"
    ) == [(tenant, "users", "postgres") for tenant in ("tenant_a", "tenant_b", "tenant_c")]
    assert bastion.rows("SELECT user_id, name, email FROM tenant_b.users ORDER BY 1") == USERS
    assert bastion.findings() == []
    # As on Aurora, the master user may create databases and roles, owns what it builds, and may do no more.
    assert bastion.inspect()[0]["owner"] == bastion.server.user
    role = "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = %s"
    assert bastion.rows(role, bastion.server.user) == [(False, False, True, True)]


def test_table_can_be_replicated(built):
    """The table has a primary key, is logged, and every column is of a type zero-ETL replicates and NOT NULL."""
    assert built.rows(
        "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
        " WHERE attrelid = 'tenant_a.users'::regclass AND attnum > 0 ORDER BY attnum"
    ) == [
        ("user_id", "integer", True),
        ("name", "character varying(100)", True),
        ("email", "character varying(255)", True),
        ("created_at", "timestamp with time zone", True),
    ]
    assert built.rows("SELECT relpersistence::text FROM pg_class WHERE oid = 'tenant_a.users'::regclass") == [("p",)]
    assert built.rows(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' AND conrelid = 'tenant_a.users'::regclass"
    ) == [("PRIMARY KEY (user_id)",)]


def test_second_build_changes_nothing(built, snapshot):
    """Building again touches no object and no row, and says that nothing was to be done."""
    before = snapshot(built)
    assert built.succeed(built.DATABASE).split("\n")[2].split() == [built.database, "|", "exists"]
    assert built.succeed(built.SCHEMA).split("\n")[2].split()[::2] == ["3", "0", "0", "0", "0", "0"]
    assert built.succeed(built.DATA).split("\n")[2].split()[::2] == ["3", "0", "0"]
    assert snapshot(built) == before


def test_interrupted_build_goes_on(bastion):
    """A schema phase killed in the middle leaves whole tenants only, and the next run does the rest."""
    tenants = [f"tenant_{number:03}" for number in range(120)]
    bastion.configure(tenants=tenants)
    bastion.succeed(bastion.DATABASE)
    with psycopg.connect(bastion.server.conninfo(bastion.database)) as blocker:
        blocker.execute('CREATE SCHEMA "tenant_075"')  # not committed: the engine must wait here
        engine = bastion.start_engine(bastion.SCHEMA)
        bastion.waiting()
        engine.send_signal(signal.SIGTERM)
        assert engine.wait(20) == 143
        blocker.rollback()
    complete = (
        "SELECT count(*), count(users.oid) FROM pg_namespace AS space LEFT JOIN pg_class AS users"
        " ON relnamespace = space.oid AND relname = 'users' WHERE starts_with(nspname, 'tenant_')"
    )
    assert bastion.rows(complete) == [(75, 75)]
    bastion.succeed(bastion.SCHEMA, bastion.DATA)
    assert bastion.rows(complete) == [(120, 120)]
    assert bastion.findings() == []


def test_concurrent_builds(bastion):
    """Two engines that build at the same time both succeed, and nothing is there twice."""
    for file, database in (
        (bastion.DATABASE, "postgres"),
        (bastion.SCHEMA, bastion.database),
        (bastion.DATA, bastion.database),
    ):
        with bastion.connect(database) as gate:
            gate.execute("SELECT pg_advisory_lock(hashtext('etl-manager'))")
            engines = [bastion.start_engine(file) for _ in range(2)]
            if file != bastion.DATA:  # rows need no lock: a conflict is nothing to do
                bastion.waiting(2, database)
        for engine in engines:
            stdout, stderr = engine.communicate(timeout=30)
            assert engine.returncode == 0, stdout + stderr
    assert bastion.findings() == []


def test_fourth_tenant_by_config_alone(built):
    """Naming a fourth tenant in config.json builds it, and leaves the three others alone."""
    built.configure(tenants=["tenant_a", "tenant_b", "tenant_c", "tenant_d"])
    assert built.succeed(built.SCHEMA).split("\n")[2].split()[::2] == ["4", "1", "1", "0", "0", "0"]
    assert built.succeed(built.DATA).split("\n")[2].split()[::2] == ["4", "5", "0"]
    assert built.rows("SELECT count(*) FROM tenant_d.users") == [(5,)]
    assert built.findings() == []


def test_hostile_tenant_names(bastion):
    """Whatever a tenant is called, it becomes the name of a schema and nothing else."""
    bastion.configure(tenants=HOSTILE)
    bastion.build()
    assert {name for (name,) in bastion.rows(SCHEMAS)} == {*HOSTILE, "etl_manager"}
    for name in HOSTILE:
        with bastion.connect() as connection:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name, "users"))
            assert connection.execute(query).fetchone() == (5,)
    assert bastion.findings() == []
    assert list(bastion.tenant_rows()) == HOSTILE


@pytest.mark.parametrize("name", ["a=b", "postgresql://evil", "TENANT DB", "$(id)"])
def test_hostile_database_names(bastion, name):
    """Whatever the database is called, it is a name: never a connection string, never a command.

    In the schema phase psql has the name from its environment, and where the rows are counted from a command of its own.
    """
    bastion.database = name
    bastion.configure()
    bastion.succeed(bastion.DATABASE, bastion.SCHEMA)
    counted = map(json.loads, bastion.succeed(bastion.ROWS).splitlines())
    assert [(line["schema"], line["rows"]) for line in counted] == [(f"tenant_{letter}", 0) for letter in "abc"]


def test_hostile_database_name_in_every_phase(bastion):
    """All phases and looks take it for a name."""
    bastion.database = 'it\'s "quoted" \\ a=b postgresql://evil $(id)'
    bastion.configure()
    bastion.build()
    assert bastion.findings() == []
    assert list(bastion.tenant_rows().values()) == [{"users": 5}] * 3


@pytest.mark.parametrize(
    ("tenants", "message"),
    [
        (["tenant_a", "tenant_a"], "tenant_is_named_once"),
        (["t" * 64], "tenant_name_is_1_to_63_bytes_long"),
        (["ü" * 32], "tenant_name_is_1_to_63_bytes_long"),
        ([""], "tenant_name_is_1_to_63_bytes_long"),
        ([None], 'null value in column "name"'),
        ([], "the configuration names no tenant"),
        ("tenant_a", "cannot extract elements from a scalar"),
    ],
)
def test_impossible_tenants(bastion, tenants, message):
    """A list of tenants that cannot be built is an SQL error before anything is built."""
    bastion.succeed(bastion.DATABASE)
    bastion.configure(tenants=tenants)
    done = bastion.engine(bastion.SCHEMA)
    assert (done.returncode, done.stdout) == (3, "")
    assert message in done.stderr
    assert bastion.rows(SCHEMAS) == []


def test_users_per_tenant(bastion):
    """sampleData.usersPerTenant says how many sample rows a tenant has."""
    bastion.configure(sampleData={"usersPerTenant": 12})
    bastion.build()
    assert bastion.rows("SELECT count(*), max(user_id) FROM tenant_c.users") == [(12, 12)]
    assert bastion.findings() == []


def test_users_own_sample_config(bastion):
    """The users' own minimal config.json names two phases only; all four run by it."""
    bastion.database = "multitenant_analytics"
    (bastion.workspace / "config.json").write_text(
        """{"aurora": {"phases": {"database": {"connection_db": "postgres", "description": "Database creation phase"},
                          "schema": {"connection_db": "multitenant_analytics", "description": "Schema creation phase"}}},
    "bastion": {"autoTransfer": {"enabled": true, "directories": ["sql", "scripts"], "files": ["config.json"]}}}""",
        encoding="utf-8",
    )
    bastion.build()
    assert bastion.findings() == []
    assert bastion.rows("SELECT count(*) FROM tenant_a.users") == [(5,)]


def test_further_phase(built):
    """An entry under aurora.phases with a folder of its own is a phase like the others."""
    built.configure(aurora={"phases": {"reporting": {"connection_db": built.database}}})
    (built.workspace / "sql/aurora/reporting").mkdir()
    (built.workspace / "sql/aurora/reporting/who.sql").write_text("SELECT current_database();\n")
    assert built.database in built.succeed("sql/aurora/reporting/who.sql")


def test_database_is_utf8_on_a_latin1_cluster(bastion):
    """Where template1 is not UTF-8, the database is made of template0 and is UTF-8 all the same."""
    bastion.break_things("UPDATE pg_database SET encoding = 8 WHERE datname = 'template1'", database="postgres")
    try:
        bastion.succeed(bastion.DATABASE)
    finally:
        bastion.break_things("UPDATE pg_database SET encoding = 6 WHERE datname = 'template1'", database="postgres")
    assert bastion.inspect()[0]["encoding"] == "UTF8"


def test_database_of_another_encoding_is_an_error(bastion):
    """A database that exists in another encoding cannot be replicated: the phase says so and leaves it alone."""
    bastion.break_things(
        f"CREATE DATABASE {bastion.database} ENCODING 'LATIN1' TEMPLATE template0", database="postgres"
    )
    done = bastion.engine(bastion.DATABASE)
    assert done.returncode == 3
    assert f'ERROR:  database "{bastion.database}" exists with encoding LATIN1\nHINT:  Zero-ETL' in done.stderr
    assert bastion.inspect()[0]["encoding"] == "LATIN1"


def test_plain_psql_by_hand(bastion):
    """A person runs the same files by psql -f from the workspace root; config.json is found by default or by variable."""
    connection = {
        "PGHOST": bastion.server.host,
        "PGPORT": str(bastion.server.port),
        "PGUSER": bastion.server.user,
        "PGPASSWORD": bastion.server.password,
        "HOME": str(bastion.runtime),
    }
    (bastion.runtime / ".psqlrc").write_text("\\set QUIET off\n")
    elsewhere = bastion.workspace / "else where's.json"
    elsewhere.write_text(json.dumps(bastion.config | {"tenants": ["tenant_x"]}))
    for database, file in (("postgres", bastion.DATABASE), (bastion.database, bastion.SCHEMA)):
        done = bastion.run("psql", "-d", database, "-f", file, **connection)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
    done = bastion.run(
        "psql", "-d", bastion.database, "-v", f"config_file={elsewhere}", "-f", bastion.SCHEMA, **connection
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.split("\n")[2].split()[::2] == ["1", "1", "1", "0", "0", "0"]
    line = f"psql -d {bastion.database} -f {shlex.quote(bastion.VERIFICATION)} | cat"
    done = bastion.run("bash", "-o", "pipefail", "-c", line, **connection)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith(" schemaname \n------------\n tenant_a\n tenant_b\n tenant_c\n(3 rows)\n\n")


def test_plain_psql_stops_at_the_first_error(built):
    """Without -v ON_ERROR_STOP too, psql stops at the first error and exits 3."""
    built.configure(tenants=[])
    done = built.run("psql", built.server.conninfo(built.database), "-f", built.SCHEMA)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("ERROR") == 1
