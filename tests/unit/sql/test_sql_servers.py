"""The same files on other servers: the next major version, and one whose master user is a superuser, as in a container."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl_manager.database.snapshot import Catalogue
from etl_manager.targets.postgres import EmbeddedPostgres
from tests.support.engine import Bastion, workspace
from tests.unit.sql.test_sql_isolation import BESIDE_USERS, ISOLATION

CATALOGUE = "sql/aurora/inspection/inspect-catalogue.sql"
DAMAGE = (
    "DROP SCHEMA tenant_a CASCADE",
    "ALTER TABLE tenant_b.users DROP CONSTRAINT users_pkey",
    "DELETE FROM tenant_b.users WHERE user_id = 4",
    "DROP TABLE tenant_c.users",
)


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """PostgreSQL 18 in the shape of Aurora."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("newer"), major=18)
    server.start()
    yield server
    server.forget()


def prove_build_repair_and_inspection(bastion: Bastion, **user: str) -> None:
    """Build, damage, repair and inspect; every step is proven by the verification."""
    bastion.build(**user)
    assert bastion.findings(**user) == []
    bastion.break_things(*DAMAGE)
    assert {tenant for tenant, *_ in bastion.findings(**user)} == {"tenant_a", "tenant_b", "tenant_c"}
    bastion.build(**user)
    assert bastion.findings(**user) == []
    tenants = [line for line in bastion.inspect(**user) if line["kind"] == "tenant"]
    told = [(line["tables"], line["reference_rows"], line["pending"], line["findings"]) for line in tenants]
    assert told == [({"users": 5}, {"users": 5}, 0, 0)] * 3
    counted = [json.loads(line)["rows"] for line in bastion.succeed(bastion.ROWS, **user).splitlines()]
    assert counted == [5, 5, 5]
    found = Catalogue.read(bastion.succeed(CATALOGUE, **user))
    assert set(found.encodings.values()) == {"UTF8"}
    keys = {name: shape.primary_key for name, shape in found.tables.items()}
    assert keys.pop(("etl_manager", "applied")) == ("tenant", "change")
    assert list(keys.values()) == [("user_id",)] * 3


def test_newer_version(newer: EmbeddedPostgres, tmp_path: Path) -> None:
    """On PostgreSQL 18 a master user who is no superuser builds, repairs, verifies and inspects.

    So it is with the tenants' roles: it makes them, takes them and proves them.
    """
    with workspace(newer, tmp_path) as bastion:
        prove_build_repair_and_inspection(bastion)
        (bastion.workspace / "sql/aurora/tenant/changes/0002-more.sql").write_text(BESIDE_USERS)
        phases = {"isolation": {"connection_db": bastion.database}}
        bastion.configure(aurora={"databaseName": bastion.database, "phases": phases})
        bastion.succeed(bastion.SCHEMA, ISOLATION)
        assert bastion.findings() == []
        tried = [(line["table"], line["neighbour"]) for line in bastion.inspect() if line["kind"] == "isolation"]
        assert tried == [("orders", "tenant_b"), ("users", "tenant_c"), ("notes", "tenant_a")]


def test_master_user_who_is_a_superuser(bastion: Bastion) -> None:
    """As with the images of the container target, nothing is denied to it."""
    prove_build_repair_and_inspection(bastion, AURORA_USER="rdsadmin", AURORA_PASSWORD=bastion.server.admin_password)
