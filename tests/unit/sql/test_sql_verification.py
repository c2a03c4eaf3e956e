"""Verification prints what is there, names every difference, and changes nothing."""

from __future__ import annotations

import pytest

from tests.support.engine import kinds, workspace
from tests.unit.sql.conftest import take

PROVEN = """\
 schemaname 
------------
 tenant_a
 tenant_b
 tenant_c
(3 rows)

 schemaname | tablename | tableowner 
------------+-----------+------------
 tenant_a   | users     | postgres
 tenant_b   | users     | postgres
 tenant_c   | users     | postgres
(3 rows)

  tenant  | user_count 
----------+------------
 tenant_a |          5
 tenant_b |          5
 tenant_c |          5
(3 rows)

 tenant | object | expected | found | kind | remedy 
--------+--------+----------+-------+------+--------
(0 rows)

"""  # noqa: W291

FINDINGS = [
    ("DROP SCHEMA tenant_b CASCADE", [("schema", "exists", "missing")]),
    ("ALTER SCHEMA tenant_b OWNER TO stranger", [("schema owner", "postgres", "stranger")]),
    ("DROP TABLE tenant_b.users", [("table users", "ordinary table", "missing")]),
    (
        "ALTER TABLE tenant_b.users RENAME TO people; CREATE VIEW tenant_b.users AS TABLE tenant_b.people",
        [("table people", "absent", "ordinary table"), ("table users", "ordinary table", "view")],
    ),
    (
        "DROP TABLE tenant_b.users; CREATE TABLE tenant_b.users (user_id int PRIMARY KEY) PARTITION BY RANGE (user_id)",
        [("table users", "ordinary table", "partitioned table")],
    ),
    ("ALTER TABLE tenant_b.users OWNER TO stranger", [("owner of table users", "postgres", "stranger")]),
    ("ALTER TABLE tenant_b.users SET UNLOGGED", [("table users", "logged", "unlogged")]),
    (
        "ALTER TABLE tenant_b.users DROP CONSTRAINT users_pkey",
        [("primary key of users", "constraint users_pkey PRIMARY KEY (user_id)", "missing")],
    ),
    (
        "ALTER TABLE tenant_b.users DROP CONSTRAINT users_pkey, ADD PRIMARY KEY (email, user_id)",
        [
            (
                "primary key of users",
                "constraint users_pkey PRIMARY KEY (user_id)",
                "constraint users_pkey PRIMARY KEY (email, user_id)",
            )
        ],
    ),
    (
        "ALTER TABLE tenant_b.users DROP COLUMN email",
        [("column users.email", "character varying(255) not null", "missing")],
    ),
    (
        "ALTER TABLE tenant_b.users ALTER name TYPE text, ALTER created_at TYPE timestamp",
        [
            ("column users.name", "character varying(100) not null", "text not null"),
            (
                "column users.created_at",
                "timestamp with time zone not null default now()",
                "timestamp without time zone not null default now()",
            ),
        ],
    ),
    (
        "ALTER TABLE tenant_b.users ALTER name TYPE varchar(50)",
        [("column users.name", "character varying(100) not null", "character varying(50) not null")],
    ),
    (
        "ALTER TABLE tenant_b.users ALTER email DROP NOT NULL",
        [("column users.email", "character varying(255) not null", "character varying(255) null")],
    ),
    (
        "DELETE FROM tenant_b.users WHERE user_id = 3",
        [("rows of users", "5", "4"), ("sample rows of users", "none missing", "missing 3")],
    ),
    (
        "TRUNCATE tenant_b.users",
        [("rows of users", "5", "0"), ("sample rows of users", "none missing", "missing 1, 2, 3, 4, 5")],
    ),
    (
        "UPDATE tenant_b.users SET email = 'x' WHERE user_id IN (2, 5)",
        [("sample rows of users", "none altered", "altered 2, 5")],
    ),
    ("UPDATE tenant_b.users SET name = 'x' WHERE user_id = 1", [("sample rows of users", "none altered", "altered 1")]),
    ("INSERT INTO tenant_b.users VALUES (6, 'x', 'x')", [("rows of users", "5", "6")]),
    (
        "UPDATE tenant_b.users SET user_id = 9 WHERE user_id = 4",
        [("sample rows of users", "none missing", "missing 4")],
    ),
    (
        "ALTER TABLE tenant_b.users DROP CONSTRAINT users_pkey; INSERT INTO tenant_b.users TABLE tenant_b.users LIMIT 1",
        [
            ("primary key of users", "constraint users_pkey PRIMARY KEY (user_id)", "missing"),
            ("rows of users", "5", "6"),
        ],
    ),
]


def test_proven_output_to_the_byte(built):
    """For the three standard tenants, verification prints the three known result sets and an empty fourth."""
    assert built.succeed(built.VERIFICATION) == PROVEN


TENANTS = [f"broken_{number:02}" for number in range(len(FINDINGS))]
"""Each damage is done to a tenant of its own; beside them is one that is whole."""


@pytest.fixture(scope="module")
def looked(server, tmp_path_factory):
    """What one look finds of all of them, and everything as it was before the look and after it."""
    with workspace(server, tmp_path_factory.mktemp("broken")) as bastion:
        bastion.configure(tenants=["whole", *TENANTS])
        bastion.build()
        bastion.break_things("CREATE ROLE outsider", "GRANT outsider TO postgres")
        for tenant, (damage, _) in zip(TENANTS, FINDINGS, strict=True):
            bastion.break_things(*damage.replace("tenant_b", tenant).replace("stranger", "outsider").split("; "))
        before = take(bastion)
        yield bastion.findings(), before, take(bastion)
        bastion.break_things("DROP OWNED BY outsider CASCADE", "DROP ROLE outsider")


@pytest.mark.parametrize("number", range(len(FINDINGS)), ids=[damage for damage, _ in FINDINGS])
def test_each_difference_is_found(looked, number):
    """Each broken thing is found, with tenant, expectation and finding, and nothing else of that tenant is."""
    found, _, _ = looked
    expected = [
        (*thing, wanted, there.replace("stranger", "outsider")) for *thing, wanted, there in FINDINGS[number][1]
    ]
    assert [finding for tenant, *finding in found if tenant == TENANTS[number]] == [[*each] for each in expected]


def test_look_finds_nothing_else_and_changes_nothing(looked):
    """The findings of a tenant stand together, as configured, and what is whole has none; exit 0, and nothing is changed."""
    found, before, after = looked
    assert [*dict.fromkeys(tenant for tenant, *_ in found)] == TENANTS
    assert found == sorted(found, key=lambda finding: finding[0])
    assert after == before


def test_all_differences_at_once(built, stranger):
    """Different differences of different tenants are listed together: by tenant as configured, strays last."""
    built.break_things(
        "CREATE SCHEMA tenant_0",
        "CREATE SCHEMA tenant_Z",
        "DROP TABLE tenant_c.users",
        "ALTER SCHEMA tenant_c OWNER TO stranger",
        "DELETE FROM tenant_a.users WHERE user_id = 1",
    )
    built.configure(tenants=["tenant_c", "tenant_b", "tenant_a"])
    assert built.findings() == [
        ("tenant_c", "schema owner", "postgres", "stranger"),
        ("tenant_c", "table users", "ordinary table", "missing"),
        ("tenant_a", "rows of users", "5", "4"),
        ("tenant_a", "sample rows of users", "none missing", "missing 1"),
        ("tenant_0", "schema", "not configured: absent", "exists"),
        ("tenant_z", "schema", "not configured: absent", "exists"),
    ]


def test_first_three_sets_show_what_is_there(built):
    """A tenant whose schema or table is missing is absent from the sets, and no unconfigured one is in them."""
    built.break_things("DROP SCHEMA tenant_a CASCADE", "DROP TABLE tenant_b.users", "CREATE SCHEMA tenant_q")
    sets = built.succeed(built.VERIFICATION).split("\n\n")
    assert [[line.strip() for line in one.splitlines()[2:]] for one in sets[:3]] == [
        ["tenant_b", "tenant_c", "(2 rows)"],
        ["tenant_c   | users     | postgres", "(1 row)"],
        ["tenant_c |          5", "(1 row)"],
    ]


def test_rows_of_a_tenants_own_are_accepted_where_the_configuration_says_so(built):
    """They are no finding then; a sample row that is missing or altered still is one."""
    built.configure(sampleData={"otherRows": "accept"})
    built.break_things(
        "INSERT INTO tenant_a.users VALUES (6, 'x', 'x'), (7, 'y', 'y')",
        "INSERT INTO tenant_b.users VALUES (8, 'x', 'x')",
        "DELETE FROM tenant_b.users WHERE user_id = 3",
        "UPDATE tenant_c.users SET name = 'x' WHERE user_id = 1",
    )
    assert built.findings() == [
        ("tenant_b", "sample rows of users", "none missing", "missing 3"),
        ("tenant_c", "sample rows of users", "none altered", "altered 1"),
    ]
    tenants = [line for line in built.inspect() if line["kind"] == "tenant"]
    told = [(line["tables"]["users"], line["reference_rows"]["users"]) for line in tenants]
    assert told == [(7, 5), (5, 4), (5, 5)]


def test_every_kind_of_difference_is_told_to_programs(built, stranger):
    """The kind does not depend on the words; where the user itself may mend it, there is no remedy."""
    built.break_things(
        "CREATE SCHEMA tenant_z",
        "ALTER SCHEMA tenant_a OWNER TO stranger",
        "ALTER TABLE tenant_a.users DROP CONSTRAINT users_pkey, ALTER email TYPE text",
        "ALTER TABLE tenant_a.users SET UNLOGGED, OWNER TO stranger",
        "DROP TABLE tenant_b.users",
        "DELETE FROM tenant_c.users WHERE user_id = 1",
        "UPDATE tenant_c.users SET name = 'x' WHERE user_id = 2",
    )
    built.configure(tenants=["tenant_a", "tenant_b", "tenant_c", "tenant_d"])
    assert kinds(built.succeed(built.VERIFICATION)) == [
        ("tenant_a", "schema-owner", ""),
        ("tenant_a", "table-owner", ""),
        ("tenant_a", "unlogged", ""),
        ("tenant_a", "primary-key-missing", ""),
        ("tenant_a", "column-differs", ""),
        ("tenant_b", "table-missing", ""),
        ("tenant_c", "rows-too-few", ""),
        ("tenant_c", "sample-rows-missing", ""),
        ("tenant_c", "sample-rows-altered", ""),
        ("tenant_d", "schema-missing", ""),
        ("tenant_z", "not-configured", ""),
    ]


def test_many_altered_rows_are_summarised(built):
    """Of many altered or missing rows the first ten are named, and the rest are counted."""
    built.configure(sampleData={"usersPerTenant": 30})
    assert (
        "tenant_a",
        "sample rows of users",
        "none missing",
        "missing 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 and 15 more",
    ) in (built.findings())


def test_table_that_may_not_be_read(built):
    """A table the user may not read is a finding, not an error."""
    built.break_things("CREATE ROLE reader LOGIN PASSWORD 'r'", database="postgres")
    try:
        built.break_things(
            "GRANT USAGE ON SCHEMA tenant_a, tenant_b TO reader",
            "GRANT SELECT ON tenant_a.users, tenant_c.users TO reader",
        )
        reader = {"AURORA_USER": "reader", "AURORA_PASSWORD": "r"}
        unreadable = [line for line in built.findings(**reader) if line[1] == "table users"]
        assert unreadable == [
            (tenant, "table users", "readable", "not readable by reader") for tenant in ("tenant_b", "tenant_c")
        ]
        assert [tables["users"] for tables in built.tenant_rows(**reader).values()] == [5, None, None]
    finally:
        built.drop_role("reader")


STRAYS = [
    (["tenant_a", "tenant_b"], {"tenant_c": "CREATE SCHEMA tenant_c"}),
    (
        ["tenant_a"],
        {
            "A b": 'CREATE SCHEMA "A b"; CREATE TABLE "A b".users (n int) PARTITION BY LIST (n)',
            "TENANT_A": 'CREATE SCHEMA "TENANT_A"; CREATE TABLE "TENANT_A".users (n int)',
            "tenant_c": "CREATE SCHEMA tenant_c",
        },
    ),
    (["eu_shop_a", "eu_shop_b"], {"eu_shop_c": "CREATE SCHEMA eu_shop_c"}),
    (["eu_shop_a", "eu_mall_b"], {"eu_c": "CREATE SCHEMA eu_c"}),
    (
        ["acme", "zeta"],
        {
            "Acme": 'CREATE SCHEMA "Acme"',
            "other": "CREATE SCHEMA other; CREATE TABLE other.users (n int)",
            "viewed": "CREATE SCHEMA viewed; CREATE VIEW viewed.users AS SELECT 1 AS n",
        },
    ),
]


def strays(bastion, tenants, damage):
    """Return the stray schemas that the verification finds, with or without the tenants themselves."""
    bastion.configure(tenants=tenants)
    bastion.succeed(bastion.DATABASE)
    bastion.break_things(*damage)
    return [line for line in bastion.findings() if line[2] == "not configured: absent"]


@pytest.mark.parametrize(("tenants", "made"), STRAYS)
def test_stray_tenant_schema_is_found(bastion, tenants, made):
    """A schema nobody configured is a stray tenant by its users table, or by the prefix all tenants share.

    Where aurora.otherSchemas names it as what is no tenant's, it is none; any other schema of the kind still is.
    """
    found = strays(bastion, tenants, [each for damage in made.values() for each in damage.split("; ")])
    assert [(name, thing, what.split(",")[0]) for name, thing, _, what in found] == [
        (name, "schema", "exists") for name in made
    ]
    bastion.configure(tenants=tenants, aurora={"databaseName": bastion.database, "otherSchemas": [*made]})
    bastion.break_things("CREATE SCHEMA stray", "CREATE TABLE stray.users (n int)")
    assert [line["schema"] for line in bastion.inspect() if line["kind"] == "stray_schema"] == ["stray"]


def test_stray_schema_is_told_to_programs(bastion):
    """By its name alone."""
    bastion.succeed(bastion.DATABASE)
    bastion.break_things('CREATE SCHEMA "TENANT_A"', 'CREATE TABLE "TENANT_A".users (n int)')
    assert [line["schema"] for line in bastion.inspect() if line["kind"] == "stray_schema"] == ["TENANT_A"]


FOREIGN = [
    (
        ["tenant_a", "tenant_b"],
        "CREATE SCHEMA reporting; CREATE TABLE reporting.orders (n int); CREATE VIEW reporting.sales AS SELECT 1 AS n; CREATE SCHEMA tenants",
    ),
    (["tenant_a", "shop_b"], "CREATE SCHEMA tenant_c"),
    (["t_a", "t_b"], "CREATE SCHEMA t_c"),
    (["customer1", "customer2"], "CREATE SCHEMA customer3"),
    (
        ["tenant_a"],
        "CREATE TABLE public.users (n int); CREATE SCHEMA tenant_x; ALTER EXTENSION plpgsql ADD SCHEMA tenant_x",
    ),
]


@pytest.mark.parametrize(("tenants", "damage"), FOREIGN)
def test_foreign_schema_is_nobodys_business(bastion, tenants, damage):
    """Other schemas, public, an extension's, or one that shares no real prefix are not taken for tenants."""
    assert strays(bastion, tenants, damage.split("; ")) == []


def test_verification_is_read_only(built):
    """Once it looks, the session could not change anything even by mistake."""
    (built.workspace / "sql/aurora/verification/try.sql").write_text(
        "\\ir ../../shared/configuration.sql\n\\ir ../../shared/observation.sql\nDELETE FROM tenant_a.users;\n"
    )
    done = built.engine("sql/aurora/verification/try.sql")
    assert done.returncode == 3
    assert "cannot execute DELETE in a read-only transaction" in done.stderr
