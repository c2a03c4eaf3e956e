"""The configuration: the user's files load, and every problem of a bad one is told at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etl_manager import config
from etl_manager.errors import ConfigError

MINIMAL = {
    "aurora": {
        "phases": {
            "database": {"connection_db": "postgres", "description": "Database creation phase"},
            "schema": {"connection_db": "multitenant_analytics", "description": "Schema creation phase"},
        }
    },
    "bastion": {"autoTransfer": {"enabled": True, "directories": ["sql", "scripts"], "files": ["config.json"]}},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an engine, whose four built-in phases have an SQL file each."""
    (tmp_path / "scripts").mkdir()
    for phase in ("database", "schema", "data", "verification"):
        folder = tmp_path / "sql/aurora" / phase
        folder.mkdir(parents=True)
        (folder / "one.sql").write_text("select 1;\n")
    return tmp_path


def load(project: Path, document: object) -> config.Config:
    path = project / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return config.load(path, project)


def problems(project: Path, document: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load(project, document)
    return str(caught.value)


def test_minimal_config_of_the_specification_loads(project):
    """The user's own minimal config loads; what it leaves out has the documented default."""
    loaded = load(project, MINIMAL)
    assert loaded.tenants == ("tenant_a", "tenant_b", "tenant_c")
    assert loaded.sample_data.users_per_tenant == 5
    assert [(phase.name, phase.connection_db) for phase in loaded.phases] == [
        ("database", "postgres"),
        ("schema", "multitenant_analytics"),
        ("data", "multitenant_analytics"),
        ("verification", "multitenant_analytics"),
    ]


def test_every_problem_is_told_at_once_with_its_path(project):
    """One run of the check names all that is wrong, each with its JSON path."""
    told = problems(
        project,
        {
            "tennants": [],
            "tenants": ['a"; drop schema x', "TENANT A", "a" * 64, "b", "b", "pg_x", "public", 3],
            "aurora": {
                "phases": {"schema": {"conection_db": "x"}, "grants": {}},
                "sslmode": "perhaps",
                "otherSchemas": ["Auth", ""],
            },
            "sampleData": {"usersPerTenant": "5", "otherRows": "perhaps"},
            "bastion": {"instanceId": "i-1", "workingDirectory": "/tmp", "autoTransfer": {"directories": ["../etc"]}},
        },
    )
    for path in (
        "tenants[0]:",
        "tenants[1]:",
        "tenants[2]: 'aaaa",
        "tenants: 'b' is named 2 times",
        "tenants[5]:",
        "tenants[6]:",
        "tenants[7]:",
        "aurora.phases.schema.conection_db: unknown key; did you mean aurora.phases.schema.connection_db?",
        "aurora.phases.grants: unknown phase 'grants'",
        "aurora.sslmode:",
        "sampleData.usersPerTenant:",
        "sampleData.otherRows:",
        "aurora.otherSchemas[1]:",
        "bastion.instanceId:",
        "bastion.workingDirectory:",
        "bastion.autoTransfer.directories[0]:",
    ):
        assert path in told


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("", "not valid JSON"),
        ('{"tenants": [', "not valid JSON"),
        ("[]", "must be a JSON object"),
        ('{"tenants": ["a_b"], "tenants": ["c_d"]}', "'tenants' twice"),
        ('{"tags": NaN}', "NaN is a number that JSON cannot pass on"),
        ('{"tags": 1e999}', "1e999 is a number that JSON cannot pass on"),
        ('{"tags": ' + 5_000 * "1" + "}", "The configuration cannot be used"),
        ('{"tags": ' + 100_000 * "[", "The configuration cannot be used"),
        ({"tenants": []}, "tenants: Tuple should have at least 1 item"),
        ({"tenants": "tenant_a"}, "tenants: "),
        ({"tenants": ['a"; drop schema x']}, "tenants[0]: 'a\"; drop schema x' is not a plain name"),
        ({"tenants": ["TENANT A"]}, "tenants[0]: 'TENANT A' is not a plain name"),
        ({"tenants": ["t" * 64]}, "has 64 bytes; PostgreSQL keeps 63"),
        ({"tenants": ["pg_tenant"]}, "tenants[0]: 'pg_tenant' is a schema of PostgreSQL's own"),
        ({"aurora": {"databaseName": "template1"}}, "aurora.databaseName:"),
        ({"aurora": {"databaseName": "postgres"}}, "aurora.databaseName:"),
        (
            {"tenants": ["a_b"], "aurora": {"otherSchemas": ["auth", "a_b"]}},
            "aurora.otherSchemas[1]: 'a_b' is a tenant",
        ),
        ({"aurora": {"otherSchema": ["auth"]}}, "did you mean aurora.otherSchemas?"),
    ],
)
def test_unusable_file_is_refused(project, document, told):
    """A file that is no configuration is refused in one message."""
    assert told in problems(project, document)


def test_malformed_json_names_line_and_column(project):
    """A slip in the JSON is told with file, line and column."""
    assert f"{project / 'config.json'}:2:1" in problems(project, "{\n")


def test_missing_file_names_the_option(tmp_path):
    """A missing configuration says which option names another."""
    with pytest.raises(ConfigError, match="--config-json"):
        config.load(tmp_path / "none.json", tmp_path)


@pytest.mark.parametrize("phase", ["schema", "data", "verification"])
def test_database_is_inferred_from_a_phase(project, phase):
    """Where databaseName does not say it, the tenants' database is that of a phase; the bastion is told so for all."""
    loaded = load(project, {"aurora": {"phases": {phase: {"connection_db": "other_db"}}}})
    sent = json.loads(loaded.resolved())["aurora"]
    assert loaded.database == sent["databaseName"] == "other_db"
    assert {name: section["connection_db"] for name, section in sent["phases"].items()} == {
        "database": "postgres",
        "schema": "other_db",
        "data": "other_db",
        "verification": "other_db",
    }


def test_what_is_sent_has_every_default_and_says_the_same(project):
    """Nothing is left to be guessed on the bastion, what Phase 2 does not use travels, and reading it again changes nothing."""
    other = {"networking": {"vpc": [1, None]}, "tags": {"Team": "データ"}}
    loaded = load(project, MINIMAL | other)
    sent = json.loads(loaded.resolved())
    assert sent["tenants"] == ["tenant_a", "tenant_b", "tenant_c"]
    assert sent["sampleData"] == {"usersPerTenant": 5, "otherRows": "refuse"}
    assert sent["aurora"]["phases"]["schema"] == MINIMAL["aurora"]["phases"]["schema"]
    assert {key: sent[key] for key in other} == other
    assert json.loads(load(project, sent).resolved()) == sent


def test_two_databases_for_the_tenants_are_a_contradiction(project):
    """A phase that would look for the tenants elsewhere is refused."""
    told = problems(project, {"aurora": {"databaseName": "one_db", "phases": {"data": {"connection_db": "two_db"}}}})
    assert "aurora.phases.data.connection_db" in told


def test_own_phase_runs_where_the_file_puts_it(project):
    """A further phase with its own SQL runs in the order of the file, after the sample data that the file leaves out."""
    folder = project / "sql/aurora/grants"
    folder.mkdir()
    (folder / "grants.sql").write_text("select 1;\n")
    loaded = load(project, {"aurora": {"phases": {"database": {}, "schema": {}, "grants": {"connection_db": "x_db"}}}})
    assert [phase.name for phase in loaded.phases] == ["database", "schema", "data", "grants", "verification"]


def test_verification_comes_last(project):
    """A phase after verification would not be proven, and is refused."""
    folder = project / "sql/aurora/grants"
    folder.mkdir()
    (folder / "grants.sql").write_text("select 1;\n")
    told = problems(project, {"aurora": {"phases": {"verification": {}, "grants": {"connection_db": "x_db"}}}})
    assert "aurora.phases.grants: stands after verification" in told


def test_phase2_transfer_wins(project):
    """bastion.phase2.autoTransfer wins over bastion.autoTransfer when present."""
    loaded = load(
        project,
        {
            "bastion": {
                "autoTransfer": {"compressionLevel": 1},
                "phase2": {"autoTransfer": {"compressionLevel": 7}},
            }
        },
    )
    assert loaded.transfer.compression_level == 7


@pytest.mark.parametrize("key", ["bastion.autoTransfer", "bastion.phase2.autoTransfer"])
def test_what_is_to_travel_and_is_not_there_is_told_with_its_own_path(project, key):
    """Folders, files, and patterns that would leave a phase's file behind: each by the section that holds."""
    transfer = {
        "directories": ["sql", "none", "sql/aurora/data/one.sql"],
        "files": ["config.json", "none.txt", "sql"],
        "excludePatterns": ["*.log", "data/", "*.sql"],
    }
    parts = key.removeprefix("bastion.").split(".")
    section = {parts[0]: transfer} if len(parts) == 1 else {"phase2": {"autoTransfer": transfer}, "autoTransfer": {}}
    told = problems(project, {"bastion": section})
    assert [line.strip() for line in told.splitlines() if f"- {key}." in line] == [
        f"- {key}.directories[1]: no such folder: none",
        f"- {key}.directories[2]: no such folder: sql/aurora/data/one.sql",
        f"- {key}.files[1]: no such file: none.txt",
        f"- {key}.files[2]: no such file: sql",
        f"- {key}.excludePatterns[2]: '*.sql' takes sql/aurora/database/one.sql, which phase database runs",
        f"- {key}.excludePatterns[2]: '*.sql' takes sql/aurora/schema/one.sql, which phase schema runs",
        f"- {key}.excludePatterns[1]: 'data/' takes sql/aurora/data/one.sql, which phase data runs",
        f"- {key}.excludePatterns[2]: '*.sql' takes sql/aurora/data/one.sql, which phase data runs",
        f"- {key}.excludePatterns[2]: '*.sql' takes sql/aurora/verification/one.sql, which phase verification runs",
    ]


@pytest.mark.parametrize(
    ("aurora", "told"),
    [
        ({"endpoint": "a.example", "credentials": "iam", "sslmode": "require"}, ""),
        ({"endpoint": "a.example:5433", "secretName": "s"}, ""),
        ({"endpoint": "a.example"}, "aurora.secretName: missing"),
        ({"endpoint": "a.example", "secretName": "s", "stackName": "S"}, "aurora.endpoint: names the cluster, and so"),
        ({"endpoint": "${AURORA_ENDPOINT}", "secretName": "s"}, "aurora.endpoint: '${AURORA_ENDPOINT}' is neither"),
        (
            {"endpoint": "a.example:0", "secretName": "s"},
            "aurora.endpoint: 'a.example:0' is neither host:port nor host",
        ),
        ({"endpoint": "postgresql://a", "secretName": "s"}, "aurora.endpoint: 'postgresql://a' is neither"),
    ],
)
def test_cluster_that_no_stack_tells_of_is_named_whole(project, aurora, told):
    """aurora.endpoint takes the place of a stack: it comes with the secret, and alone."""
    if told:
        assert told in problems(project, {"aurora": aurora})
    else:
        assert load(project, {"aurora": aurora}).aurora.endpoint == aurora["endpoint"]


@pytest.mark.parametrize("path", ["/etc", "..", "sql/../..", "sql/..", "", "sql\\aurora"])
def test_path_that_leaves_the_project_is_refused(project, path):
    """Absolute paths and those that climb are no paths inside the project, for folders as for files."""
    told = problems(project, {"bastion": {"autoTransfer": {"directories": ["sql", path], "files": [path]}}})
    assert f"bastion.autoTransfer.directories[1]: {path!r} must be a path inside the project" in told
    assert f"bastion.autoTransfer.files[0]: {path!r} must be a path inside the project" in told


def test_sql_file_that_leads_outside_is_refused(project, tmp_path_factory):
    """A link in a phase's folder that leaves sql/ is refused."""
    outside = tmp_path_factory.mktemp("outside") / "evil.sql"
    outside.write_text("select 1;\n")
    (project / "sql/aurora/data/two.sql").symlink_to(outside)
    assert "aurora.phases.data: sql/aurora/data/two.sql lies outside sql/" in problems(project, MINIMAL)


def test_sections_of_other_tools_are_accepted(project):
    """Sections Phase 2 does not use are accepted unread."""
    assert load(project, MINIMAL | {"networking": {"vpc": 1}, "redshift": [], "dbt": None, "tags": {}}).tenants
