"""A schema that was made by hand becomes the template: dumped, reviewed, and its tenant adopted without a difference."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.support import forks
from tests.support.cluster import DATABASE
from tests.support.project import Project

BY_HAND = """
CREATE SCHEMA extra;
CREATE TYPE extra.colour AS ENUM ('red', 'green');
CREATE SCHEMA shop_a;
SET search_path = shop_a;
CREATE TYPE status AS ENUM ('new', 'sent');
CREATE DOMAIN price AS numeric(12,2) CHECK (VALUE >= 0);
CREATE TABLE users (user_id integer PRIMARY KEY, name varchar(100) NOT NULL, email varchar(255) NOT NULL);
CREATE TABLE "Order" (
    "Id"    bigint GENERATED ALWAYS AS IDENTITY (START WITH 100) PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    state   status NOT NULL DEFAULT 'new',
    total   price NOT NULL DEFAULT 0 CHECK (total < 1000000),
    net     numeric GENERATED ALWAYS AS (0.5 * 2) STORED,
    colour  extra.colour,
    note    text CHECK (note <> '%; it''s')
);
CREATE TABLE "it's" (id serial PRIMARY KEY, other regclass DEFAULT '"Order"'::regclass);
CREATE SEQUENCE invoice START 1000;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := now(); RETURN NEW; END $$;
CREATE FUNCTION orders() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM "Order"';
CREATE FUNCTION sold() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM "Order"; END;
CREATE INDEX open_orders ON "Order" (user_id) WHERE state = 'new';
CREATE INDEX ON "Order" (lower(note));
CREATE VIEW sent AS SELECT o."Id", u.name FROM "Order" o JOIN users u USING (user_id) WHERE o.state = 'sent';
CREATE TRIGGER touched BEFORE UPDATE ON "Order" FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE "Order" ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON "Order" USING (user_id IN (SELECT users.user_id FROM users));
GRANT USAGE ON SCHEMA shop_a TO PUBLIC;
GRANT SELECT ON "Order" TO PUBLIC;
GRANT SELECT (name) ON users TO PUBLIC;
COMMENT ON SCHEMA shop_a IS 'the first; by hand';
COMMENT ON TABLE "Order" IS 'in shop_a.';
"""
LEDGER = "SELECT tenant, change, adopted FROM etl_manager.applied ORDER BY tenant"


def template(project: Project, schema: str) -> subprocess.CompletedProcess[str]:
    """Call ``etl-manager template --from-schema`` in the project's folder."""
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **project.environment}
    words = ("template", "--from-schema", schema, "--aws-region", "us-east-1")
    return forks.run("etl_manager", *words, cwd=project.path, env=env)


@pytest.fixture
def project(cloud, new_project) -> Project:
    """A project without a template, on a cluster whose one tenant was made by hand, by the master user."""
    cloud.empty()
    cloud.execute(f"CREATE DATABASE {DATABASE} OWNER postgres", database="postgres")
    with cloud.connect() as connection:
        connection.execute("SET ROLE postgres")
        connection.execute(BY_HAND.encode())
    project = new_project()
    project.environment = cloud.environment
    (project.path / "sql/aurora/tenant/changes/0001-users.sql").unlink()
    project.write(
        "config.json",
        {
            **project.config,
            "tenants": ["shop_a", "shop_b"],
            "aurora": {**project.config.get("aurora", {}), "otherSchemas": ["extra"]},
            "zeroEtl": {**project.config.get("zeroEtl", {}), "tables": ["users"]},
        },
    )
    return project


def test_schema_becomes_the_template(project, cloud):
    """The change is written once and never over another; the old tenant is adopted as it is, and the new one is alike."""
    before = cloud.snapshot()
    done = template(project, "shop_a")
    assert (done.returncode, done.stderr) == (0, "")
    assert cloud.snapshot() == before
    file = project.path / "sql/aurora/tenant/changes/0001-shop_a.sql"
    text = file.read_text()
    assert done.stdout.splitlines()[-1].endswith("are adopted, and new ones are made so.")
    assert "A person reviews it" in done.stdout

    again = template(project, "shop_a")
    assert (again.returncode, again.stdout) == (0, text)
    assert "Nothing was written" in again.stderr
    assert str(file.relative_to(project.path)) in again.stderr

    outcome = project.run()
    assert outcome.status == 0, outcome.terminal
    assert "created shop_a: ledger: missing → adopted at 0001-shop_a.sql" in outcome.terminal
    assert ", 0 repaired," in outcome.terminal
    assert cloud.rows(LEDGER) == [("shop_a", "0001-shop_a.sql", True), ("shop_b", "0001-shop_a.sql", False)]
    assert json.loads((project.path / "reports/phase3-gate.json").read_text())["ready"]
    query = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('shop_a', 'shop_b') AND has_schema_privilege('public', oid, 'USAGE')"
    assert cloud.rows(query) == [(2,)]


def test_no_such_schema(project, cloud):
    """One message says which database has none; no file is written."""
    done = template(project, "shop a")
    assert done.returncode == 1
    assert "There is no schema shop a" in done.stderr
    assert DATABASE in done.stderr
    assert list((project.path / "sql/aurora/tenant/changes").iterdir()) == []


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.4'\n", "pg_dump is older than the server, which is PostgreSQL 16"),
        ("#!/bin/sh\nexit 127\n", "The bastion lacks pg_dump"),
    ],
)
def test_pg_dump_that_cannot_be_used(project, cloud, program, message):
    """Too old, or none: the message says what to install."""
    link = cloud.tmp.parent / "usr/bin/pg_dump"
    real = link.readlink()
    link.unlink()
    link.write_text(program)
    link.chmod(0o755)
    try:
        done = template(project, "shop_a")
    finally:
        link.unlink()
        link.symlink_to(real)
    assert done.returncode == 1
    assert message in done.stderr
    assert "dnf install -y postgresql16" in done.stderr
