"""The engine: which database, which exit status, which message, with which programs."""

from __future__ import annotations

import json

import pytest

PROGRAMS = ("base64", "bash", "cat", "mktemp", "psql", "rm", "sleep")
FILE = "sql/aurora/schema/create-tenant-schemas.sql"


def logged(done, level="ERROR"):
    """Return the engine's own lines of one level."""
    return [line.removeprefix(f"[{level}] ") for line in done.stderr.splitlines() if line.startswith(f"[{level}] ")]


def test_success(built):
    """Exit 0: stdout is psql's alone, stderr is the log: phase, file, database, user, end."""
    done = built.engine(built.DATA)
    assert done.returncode == 0
    assert done.stdout.startswith(" tenants | rows_inserted | not_permitted \n")
    phase, database, end = logged(done, "INFO")
    assert phase == f"phase data: {built.DATA}"
    assert database == f"database {built.database} at 127.0.0.1:{built.server.port} as postgres"
    assert end.startswith("done in ")
    assert done.stderr.count("\n") == 3


def test_sql_error_names_file_and_line(built):
    """Exit 3: psql names file and line, and nothing after the first error is run."""
    (built.workspace / "sql/aurora/data/broken.sql").write_text(
        "SELECT 1 AS one;\n\nSELEC 2;\nDROP SCHEMA tenant_a CASCADE;\n"
    )
    done = built.engine("sql/aurora/data/broken.sql")
    assert done.returncode == 3
    assert 'psql:sql/aurora/data/broken.sql:3: ERROR:  syntax error at or near "SELEC"\n' in done.stderr
    assert done.stdout == " one \n-----\n   1\n(1 row)\n\n"
    assert logged(done) == ["SQL error in phase data; psql's message above names file and line"]
    assert built.findings() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AURORA_PASSWORD": "wrong"}, "password authentication failed"),
        ({"AURORA_USER": "nobody_known"}, "password authentication failed"),
        ({"AURORA_PORT": "1"}, "Connection refused"),
        ({"AURORA_ENDPOINT": "no-such-host.invalid"}, "could not translate host name"),
        ({"AURORA_SSLMODE": "require"}, "SSL"),
    ],
)
def test_no_connection(built, changes, message):
    """Exit 2: nobody there, or not let in; psql's reason and the address are shown."""
    done = built.engine(built.SCHEMA, **changes)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert logged(done)[0].startswith(f"no connection to {built.database} at ")


def test_missing_database_is_no_connection(bastion):
    """Exit 2 where the database is not there yet."""
    done = bastion.engine(bastion.SCHEMA)
    assert done.returncode == 2
    assert f'database "{bastion.database}" does not exist' in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "usage: scripts/2-sql-execute.sh CONFIG.json sql/aurora/PHASE/FILE.sql"),
        (["config.json"], "usage: "),
        (["config.json", FILE, "more"], "usage: "),
        (["missing.json", FILE], 'cannot read the configuration "missing.json" in '),
        (["sql", FILE], 'cannot read the configuration "sql" in '),
        (["config.json", "sql/aurora/schema/missing.sql"], "cannot read sql/aurora/schema/missing.sql in "),
        (["config.json", "sql/aurora/schema/folder.sql"], "cannot read sql/aurora/schema/folder.sql in "),
        (["config.json", ""], 'not an SQL file of a phase: ""'),
        (["config.json", "sql/shared/configuration.sql"], "not an SQL file of a phase: "),
        (["config.json", "sql/redshift/x.sql"], "not an SQL file of a phase: "),
        (["config.json", "scripts/2-sql-execute.sh"], "not an SQL file of a phase: "),
        (["config.json", "sql/aurora/x.sql"], "not an SQL file of a phase: "),
        (["config.json", "sql/aurora/schema/../schema/create-tenant-schemas.sql"], "not an SQL file of a phase: "),
        (["config.json", "sql/aurora/../x.sql"], "not an SQL file of a phase: "),
        (["config.json", "/etc/sql/aurora/schema/x.sql"], "not an SQL file of a phase: "),
        (["config.json", "other/" + FILE], "not an SQL file of a phase: "),
        (["config.json", FILE + "\n"], "not an SQL file of a phase: "),
        (["config.json", "-c"], "not an SQL file of a phase: "),
        (["config.json", "sql/aurora/link/x.sql"], "sql/aurora/link is a symbolic link"),
        (["config.json", "sql/aurora/schema/link.sql"], "sql/aurora/schema/link.sql is a symbolic link"),
        (
            ["config.json", "sql/aurora/unknown/x.sql"],
            'phase "unknown" has no database: set aurora.phases.unknown.connection_db in config.json',
        ),
    ],
)
def test_wrong_call(bastion, words, message):
    """Exit 64 and one line that says what is wrong; nothing is connected to."""
    aurora = bastion.workspace / "sql/aurora"
    (aurora / "schema/folder.sql").mkdir()
    (aurora / "unknown").mkdir()
    (aurora / "unknown/x.sql").write_text("SELECT 1;\n")
    (aurora / "link").symlink_to(aurora / "unknown")
    (aurora / "schema/link.sql").symlink_to(aurora / "unknown/x.sql")
    done = bastion.run("scripts/2-sql-execute.sh", *words)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith(f"[ERROR] {message}")
    assert len(logged(done)) == 1


def test_linked_sql_folder_is_refused(bastion, tmp_path):
    """Exit 64 where sql itself is a symbolic link."""
    (bastion.workspace / "sql").rename(tmp_path / "elsewhere")
    (bastion.workspace / "sql").symlink_to(tmp_path / "elsewhere")
    done = bastion.engine(bastion.SCHEMA)
    assert done.returncode == 64
    assert logged(done) == ["sql is a symbolic link; SQL is run from the workspace's own files only"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AURORA_ENDPOINT": None}, "AURORA_ENDPOINT is not set"),
        ({"AURORA_USER": None}, "AURORA_USER is not set"),
        ({"AURORA_PORT": "54x"}, 'AURORA_PORT is not a port: "54x"'),
        (
            {"AURORA_PASSWORD": None},
            "AURORA_PASSWORD is not set; read it without leaving it in the shell's history: read -rs",
        ),
        ({"AURORA_PASSWORD": ""}, "AURORA_PASSWORD is not set"),
        ({"AURORA_PASSWORD": "two\nlines"}, "user and password cannot hold a line break"),
        ({"AURORA_PASSWORD": "carriage\r"}, "user and password cannot hold a line break"),
        ({"AURORA_RUNTIME_DIR": "/no/such/folder"}, "cannot make a private directory in /no/such/folder"),
    ],
)
def test_connection_that_cannot_be_used(bastion, changes, message):
    """Exit 64 where the environment holds no usable connection; the message says what to set."""
    done = bastion.engine(bastion.DATABASE, **changes)
    assert (done.returncode, done.stdout) == (64, "")
    assert logged(done)[0].startswith(message)
    assert list(bastion.runtime.iterdir()) == []


def test_port_has_a_default(bastion):
    """Without AURORA_PORT it is 5432."""
    done = bastion.engine(bastion.DATABASE, AURORA_PORT=None, AURORA_ENDPOINT="127.0.0.99")
    assert logged(done, "INFO")[1] == "database postgres at 127.0.0.99:5432 as postgres"


READERS = ["jq", "python3"]
DATABASES = [
    ({}, "database", "postgres"),
    ({}, "inspection", "postgres"),
    ({}, "schema", "multitenant_analytics"),
    ({}, "data", "multitenant_analytics"),
    ({}, "verification", "multitenant_analytics"),
    ({"databaseName": "named"}, "data", "named"),
    ({"databaseName": "named"}, "database", "postgres"),
    ({"phases": {"schema": {"connection_db": "phase's"}}}, "verification", "phase's"),
    ({"phases": {"schema": {"connection_db": "phase's"}}}, "schema", "phase's"),
    ({"databaseName": "named", "phases": {"schema": {"connection_db": "phase's"}}}, "data", "named"),
    ({"databaseName": "named", "phases": {"data": {"connection_db": 'ü "x"'}}}, "data", 'ü "x"'),
    ({"databaseName": None, "phases": {"data": None}}, "data", "multitenant_analytics"),
    ({"phases": {"further-1": {"connection_db": "a=b"}}}, "further-1", "a=b"),
]


@pytest.mark.parametrize("reader", READERS)
def test_phase_decides_the_database(bastion, path_with, reader):
    """Each phase connects where config.json or its default says, whether jq or python3 reads it."""
    path = path_with(*PROGRAMS, reader)
    found = []
    for number, (aurora, phase, _) in enumerate(DATABASES):
        (bastion.workspace / f"{number}.json").write_text(
            json.dumps({"aurora": aurora}, ensure_ascii=False), encoding="utf-8"
        )
        (bastion.workspace / "sql/aurora" / phase).mkdir(exist_ok=True)
        (bastion.workspace / "sql/aurora" / phase / "any.sql").touch()
        done = bastion.engine(f"sql/aurora/{phase}/any.sql", f"{number}.json", AURORA_PORT="1", PATH=path)
        found.append((aurora, phase, logged(done, "INFO")[1].split(" at ")[0].removeprefix("database ")))
    assert found == DATABASES


BROKEN = [
    "",
    "{",
    "{} {}",
    "[]",
    '"text"',
    '{"aurora": []}',
    '{"aurora": "x"}',
    '{"aurora": {"phases": "x"}}',
    '{"aurora": {"phases": {"schema": {"connection_db": 5}}}}',
    '{"aurora": {"phases": {"schema": {"connection_db": ["postgres"]}}}}',
    '{"aurora": {"databaseName": false}}',
]


@pytest.mark.parametrize("reader", READERS)
def test_broken_configuration(bastion, path_with, reader):
    """Exit 64 for a file that is no JSON, or no configuration, whether jq or python3 reads it."""
    path = path_with(*PROGRAMS, reader)
    for text in BROKEN:
        (bastion.workspace / "config.json").write_text(text)
        done = bastion.engine(bastion.SCHEMA, PATH=path)
        assert (done.returncode, done.stdout) == (64, ""), (text, done.stderr)
        assert logged(done)[0].startswith("config.json cannot be read as a configuration: "), text
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("reader", READERS)
def test_few_programs_are_enough(bastion, path_with, reader):
    """With bash, coreutils, psql and one of jq and python3 the engine builds and proves."""
    path = path_with(*PROGRAMS, reader)
    bastion.build(PATH=path)
    assert bastion.findings(PATH=path) == []
    assert bastion.inspect(PATH=path)[-1] == {"kind": "end", "tenants": 3, "findings": 0}


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        (("bash", "mktemp", "rm", "psql"), "neither jq nor python3 is installed; one of them reads config.json"),
        (
            ("bash", "mktemp", "rm", "jq"),
            "psql is not installed; on Amazon Linux 2023: sudo dnf install -y postgresql16",
        ),
    ],
)
def test_missing_program(bastion, path_with, programs, message):
    """Exit 64 names the program that is missing."""
    done = bastion.engine(bastion.DATABASE, PATH=path_with(*programs))
    assert (done.returncode, logged(done)) == (64, [message])


def test_settings_of_the_caller_do_not_reach_psql(built):
    """A caller's libpq settings that would lead elsewhere, and a psqlrc, have no say."""
    (built.runtime / ".psqlrc").write_text("\\echo psqlrc was read\n")
    (built.runtime / "services").write_text("[other]\nhost=127.0.0.99\ndbname=other\n")
    assert "psqlrc" not in built.succeed(
        built.VERIFICATION,
        HOME=str(built.runtime),
        PGHOSTADDR="127.0.0.99",
        PGSERVICE="other",
        PGSERVICEFILE=str(built.runtime / "services"),
        PGPASSWORD="other",
        PGDATABASE="other",
        PGUSER="other",
        PGCLIENTENCODING="LATIN1",
    )


def test_tls_settings_reach_psql(built):
    """AURORA_SSLMODE and AURORA_SSLROOTCERT become libpq's own."""
    (built.workspace / "sql/aurora/data/env.sql").write_text("\\! env\n")
    environment = built.succeed(
        "sql/aurora/data/env.sql", AURORA_SSLMODE="prefer", AURORA_SSLROOTCERT="ca.pem"
    ).splitlines()
    assert {"PGSSLMODE=prefer", "PGSSLROOTCERT=ca.pem"} <= set(environment)


def test_psql_speaks_one_language(built):
    """Whatever language the bastion speaks, psql is told C: "(3 rows)" is read by programs."""
    (built.workspace / "sql/aurora/data/env.sql").write_text("\\! env\n")
    environment = built.succeed("sql/aurora/data/env.sql", LANG="ja_JP.UTF-8", LC_ALL="ja_JP.UTF-8").splitlines()
    assert "LC_ALL=C" in environment


TEARDOWN = "sql/aurora/teardown/drop-multitenant-database.sql"


def test_teardown_wants_the_name_again(built):
    """Exit 64 with the exact command, and nothing is dropped, unless CONFIRM_DATABASE names the database."""
    command = f"CONFIRM_DATABASE={built.database} scripts/2-sql-execute.sh config.json {TEARDOWN}"
    for named in (None, "", "postgres", "multitenant_analytics"):
        done = built.engine(TEARDOWN, CONFIRM_DATABASE=named)
        assert done.returncode == 64, named
        assert logged(done)[0].endswith(command), named
    assert built.findings() == []
    assert built.succeed(TEARDOWN, CONFIRM_DATABASE=built.database).split()[-3] == "dropped"
    assert built.rows("SELECT FROM pg_database WHERE datname = %s", built.database, database="postgres") == []
    assert built.succeed(TEARDOWN, CONFIRM_DATABASE=built.database).split()[-3] == "absent"


def test_teardown_by_plain_psql_wants_the_name_too(built):
    """Where the engine does not ask, the file does."""
    words = ["psql", "-X", "-d", "postgres", "-f", TEARDOWN]
    connection = {"PGHOST": built.server.host, "PGPORT": str(built.server.port), "PGUSER": built.server.user,
                  "PGPASSWORD": built.server.password}  # fmt: skip
    done = built.run(*words, **connection)
    assert done.returncode == 3
    assert "the database was not named again" in done.stderr
    assert built.findings() == []


@pytest.mark.parametrize(
    "text",
    [
        "select 1; \\c postgres\nselect current_database();\n",
        "select 1 \\g \\connect postgres\nselect current_database();\n",
        "\\c postgres\nselect current_database();\n",
        "select 1;\\c\\c postgres\nselect current_database();\n",
        "\\ir parts/again.sql\nselect current_database();\n",
        "\\set file sql/aurora/data/parts/again.sql\n\\i :file\nselect current_database();\n",
    ],
)
def test_second_connection_finds_its_password(built, text):
    r"""A \connect anywhere on a line, or in a file that is included, logs in by itself."""
    folder = built.workspace / "sql/aurora/data/parts"
    folder.mkdir()
    (folder / "again.sql").write_text("select 1; \\c postgres\n")
    (built.workspace / "sql/aurora/data/connects.sql").write_text(text)
    assert " postgres\n" in built.succeed("sql/aurora/data/connects.sql")
