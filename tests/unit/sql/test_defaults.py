"""The defaults stand in Python; what SQL and engine fall back on for a person with a bare configuration is the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from etl_manager.config import load

ROOT = Path(__file__).parents[3]
BARE = {
    "nothing": {},
    "the specification's": {
        "aurora": {
            "phases": {
                "database": {"connection_db": "postgres", "description": "Database creation phase"},
                "schema": {"connection_db": "multitenant_analytics", "description": "Schema creation phase"},
            }
        }
    },
    "another database": {"aurora": {"phases": {"schema": {"connection_db": "other_db"}}}},
}
READ = (
    "SELECT to_jsonb(configuration) - 'content' FROM pg_temp.configuration",
    "SELECT jsonb_agg(name ORDER BY ordinal) FROM pg_temp.tenant",
)


@pytest.fixture(params=BARE)
def both(request, bastion):
    """The same configuration bare, as a person wrote it, and resolved, as the suite sends it."""
    bare = bastion.workspace / "bare.json"
    bare.write_text(json.dumps(BARE[request.param]))
    (bastion.workspace / "resolved.json").write_bytes(load(bare, ROOT).resolved())
    return "bare.json", "resolved.json"


def test_sql_reads_the_same(bastion, both):
    """By plain psql: database, rows, tenants."""
    words = [word for query in READ for word in ("-c", query)]
    read = [
        bastion.run(
            "psql", "-X", "-q", "-At", bastion.server.conninfo("postgres"), "-v", "ON_ERROR_STOP=1",
            "-v", f"config_file={file}", "-f", "sql/shared/configuration.sql", *words,
        )
        for file in both
    ]  # fmt: skip
    assert [done.returncode for done in read] == [0, 0], read[0].stderr + read[1].stderr
    assert "tenant_a" in read[0].stdout
    assert read[0].stdout == read[1].stdout


@pytest.mark.parametrize("file", ["DATABASE", "SCHEMA", "DATA", "VERIFICATION", "INSPECTION"])
def test_engine_connects_to_the_same_database(bastion, both, file):
    """Each phase by the engine; whether that database is there does not matter, nor whether anybody answers."""
    told = [bastion.engine(getattr(bastion, file), config, AURORA_PORT="1").stderr for config in both]
    bare, resolved = (re.findall(r"\[INFO\] database (\w+) at", text) for text in told)
    assert bare == resolved != []
