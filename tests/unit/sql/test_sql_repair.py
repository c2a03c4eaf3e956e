"""What a building run mends, and what it must never do while it does."""

from __future__ import annotations

import json

import pytest

from tests.support.engine import workspace


def summary(output):
    """Return the one row of a building phase's summary, by column."""
    header, _, row, *_ = output.splitlines()
    return dict(zip(header.replace(" ", "").split("|"), map(int, row.split("|")), strict=True))


DAMAGE = {
    "no_schema": ("DROP SCHEMA no_schema CASCADE", {"schemas_created": 1, "tables_created": 1}),
    "no_table": ("DROP TABLE no_table.users", {"tables_created": 1}),
    "no_key": ("ALTER TABLE no_key.users DROP CONSTRAINT users_pkey", {"primary_keys_added": 1}),
    "schema_given_away": ("ALTER SCHEMA schema_given_away OWNER TO receiver", {"owners_set": 1}),
    "table_given_away": ("ALTER TABLE table_given_away.users OWNER TO receiver", {"owners_set": 1}),
}
"""Tenants → what is done to each, and what a build counts that mends it."""


@pytest.fixture(scope="module")
def mended(server, tmp_path_factory):
    """What is found of each damaged tenant, what a build of it alone counts, and what is found after that."""
    with workspace(server, tmp_path_factory.mktemp("mended")) as bastion:
        bastion.configure(tenants=[*DAMAGE])
        bastion.build()
        bastion.break_things(
            "CREATE ROLE receiver", "GRANT receiver TO postgres", *(each for each, _ in DAMAGE.values())
        )
        before = bastion.findings()
        counted = {
            tenant: summary(bastion.succeed(bastion.SCHEMA, ONLY_TENANTS=json.dumps([tenant]))) for tenant in DAMAGE
        }
        bastion.succeed(bastion.DATA)
        yield before, counted, bastion.findings()
        bastion.break_things("DROP OWNED BY receiver CASCADE", "DROP ROLE receiver")


@pytest.mark.parametrize("tenant", DAMAGE)
def test_structure_is_mended(mended, tenant):
    """A missing schema, table or key and a wrong owner are put right, counted, and proven right afterwards."""
    before, counted, after = mended
    nothing = dict.fromkeys(
        ("schemas_created", "tables_created", "primary_keys_added", "owners_set", "not_permitted"), 0
    )
    assert tenant in {found for found, *_ in before}
    assert counted[tenant] == {"tenants": 1} | nothing | DAMAGE[tenant][1]
    assert after == []


def test_everything_is_mended_at_once(built, stranger):
    """Different damage to different tenants is mended by one run."""
    built.break_things(
        "DROP TABLE tenant_a.users",
        "ALTER TABLE tenant_b.users DROP CONSTRAINT users_pkey",
        "ALTER TABLE tenant_b.users OWNER TO stranger",
        "ALTER SCHEMA tenant_b OWNER TO stranger",
        "DROP SCHEMA tenant_c CASCADE",
    )
    assert summary(built.succeed(built.SCHEMA)) == {
        "tenants": 3, "schemas_created": 1, "tables_created": 2, "primary_keys_added": 1, "owners_set": 2,
        "not_permitted": 0,
    }  # fmt: skip
    assert summary(built.succeed(built.DATA)) == {"tenants": 3, "rows_inserted": 10, "not_permitted": 0}
    assert built.findings() == []


def test_deleted_row_comes_back(built):
    """A deleted sample row is inserted again as it was; no other row is touched."""
    before = built.rows("SELECT xmin::text, * FROM tenant_b.users WHERE user_id <> 3 ORDER BY user_id")
    built.break_things("DELETE FROM tenant_b.users WHERE user_id = 3")
    assert summary(built.succeed(built.DATA)) == {"tenants": 3, "rows_inserted": 1, "not_permitted": 0}
    assert built.rows("SELECT name, email FROM tenant_b.users WHERE user_id = 3") == [
        ("User 3 of tenant_b", "tenant_b.user3@example.com")
    ]
    assert built.rows("SELECT xmin::text, * FROM tenant_b.users WHERE user_id <> 3 ORDER BY user_id") == before


def test_rows_that_are_there_stay(built):
    """An altered sample row, a row of the tenant's own, a further column and table are left exactly as they are."""
    built.break_things(
        "UPDATE tenant_a.users SET name = 'Renamed' WHERE user_id = 2",
        "INSERT INTO tenant_a.users (user_id, name, email) VALUES (77, 'Own', 'own@example.com')",
        "ALTER TABLE tenant_a.users ADD COLUMN note text DEFAULT 'kept'",
        "CREATE TABLE tenant_a.orders AS SELECT 1 AS n",
        "CREATE SCHEMA tenant_z",
    )
    before = built.rows("SELECT xmin::text, * FROM tenant_a.users ORDER BY user_id")
    built.build()
    assert built.rows("SELECT xmin::text, * FROM tenant_a.users ORDER BY user_id") == before
    assert built.rows("SELECT n FROM tenant_a.orders") == [(1,)]
    assert built.rows("SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_z'") == [(1,)]


def test_other_unique_keys_are_respected(built):
    """A row that holds a sample row's email under a unique index is nobody's to remove: the sample row stays out."""
    built.break_things(
        "CREATE UNIQUE INDEX ON tenant_a.users (email)",
        "UPDATE tenant_a.users SET user_id = 900 WHERE user_id = 4",
    )
    built.succeed(built.DATA)
    assert built.findings() == [
        (
            "tenant_a",
            "index users_email_idx",
            "absent",
            "CREATE UNIQUE INDEX users_email_idx ON users USING btree (email)",
        ),
        ("tenant_a", "sample rows of users", "none missing", "missing 4"),
    ]


def test_table_without_key_does_not_fill_up(built):
    """The data phase alone inserts no row twice where the primary key is gone."""
    built.break_things("ALTER TABLE tenant_a.users DROP CONSTRAINT users_pkey")
    assert summary(built.succeed(built.DATA)) == {"tenants": 3, "rows_inserted": 0, "not_permitted": 0}


@pytest.mark.parametrize(
    ("damage", "phase", "message"),
    [
        (
            ["ALTER TABLE tenant_b.users DROP CONSTRAINT users_pkey",
             "INSERT INTO tenant_b.users (user_id, name, email) VALUES (1, 'Twice', 'twice@example.com')"],
            "SCHEMA",
            'ERROR:  tenant "tenant_b": could not create unique index "users_pkey"',
        ),
        (
            ["ALTER TABLE tenant_b.users DROP CONSTRAINT users_pkey, ALTER user_id DROP NOT NULL",
             "INSERT INTO tenant_b.users (name, email) VALUES ('Nobody', 'nobody@example.com')"],
            "SCHEMA",
            'ERROR:  tenant "tenant_b": column "user_id" of relation "users" contains null values\n',
        ),
        (
            ["DROP TABLE tenant_b.users", "CREATE VIEW tenant_b.users AS SELECT 1 AS user_id"],
            "SCHEMA",
            'ERROR:  tenant "tenant_b": users exists and is not an ordinary table (view)',
        ),
        (
            ["DROP TABLE tenant_b.users"],
            "DATA",
            'ERROR:  tenant "tenant_b": relation "tenant_b.users" does not exist\n',
        ),
        (
            ["ALTER TABLE tenant_b.users DROP COLUMN email"],
            "DATA",
            'ERROR:  tenant "tenant_b": column "email" of relation "users" does not exist\n',
        ),
        (
            ["ALTER TABLE tenant_b.users ADD COLUMN plan text NOT NULL DEFAULT 'x'",
             "ALTER TABLE tenant_b.users ALTER plan DROP DEFAULT",
             "DELETE FROM tenant_b.users WHERE user_id = 1"],
            "DATA",
            'ERROR:  tenant "tenant_b": null value in column "plan" of relation "users" violates not-null constraint\n',
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_mended_names_the_tenant(built, snapshot, damage, phase, message):
    """What a run cannot mend is an error that names tenant, file and line; nothing is dropped or half mended."""
    built.break_things(*damage)
    before = snapshot(built)
    file = getattr(built, phase)
    done = built.engine(file)
    assert done.returncode == 3
    assert f"psql:{file}:" in done.stderr
    assert message in done.stderr
    assert snapshot(built) == before


def test_error_does_not_undo_other_tenants(bastion):
    """A tenant that fails is told, the others are done, and the next run does the one that is left."""
    tenants = [f"tenant_{number:03}" for number in range(60)]
    bastion.configure(tenants=tenants)
    bastion.succeed(bastion.DATABASE)
    bastion.break_things(
        "CREATE SCHEMA tenant_055 AUTHORIZATION postgres", "CREATE VIEW tenant_055.users AS SELECT 1 AS n"
    )
    done = bastion.engine(bastion.SCHEMA)
    assert done.returncode == 3
    assert 'tenant "tenant_055"' in done.stderr
    bastion.break_things("DROP VIEW tenant_055.users")
    assert summary(bastion.succeed(bastion.SCHEMA))["tables_created"] == 1
    bastion.succeed(bastion.DATA)
    assert bastion.findings() == []
