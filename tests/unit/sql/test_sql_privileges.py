"""What the master user, who is no superuser, may not see or change is found by its own name, and left as it is."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from etl_manager.database.difference import Difference
from etl_manager.database.snapshot import DatabaseSnapshot, read_counts
from tests.support.engine import kinds as all_kinds
from tests.support.engine import workspace
from tests.unit.sql.conftest import take

POLICY = (
    "ALTER TABLE tenant_b.users ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON tenant_b.users USING (user_id <= 5)"
)
GRANTED = "GRANT USAGE ON SCHEMA tenant_b TO postgres; GRANT SELECT, INSERT ON tenant_b.users TO postgres"
FORCE = "ALTER TABLE tenant_b.users FORCE ROW LEVEL SECURITY"
TAKEN = "ALTER SCHEMA tenant_b OWNER TO owner_of_b; ALTER TABLE tenant_b.users OWNER TO owner_of_b"
NO_FORCE = "ALTER TABLE tenant_b.users NO FORCE ROW LEVEL SECURITY"
MAY = "GRANT owner_of_b TO postgres"

SHAPE = {"owner-privileges-differs", "policy-extra", "row-security-differs"}
"""What these cases change is also told as a difference from the template, each by its own name."""


def kinds(output):
    """Return tenant, kind and remedy of what stands in the user's way."""
    return [found for found in all_kinds(output) if found[1] not in SHAPE]


CLOSED = {
    "owned by a role that the master is no member of": (
        TAKEN,
        {"schema-owner": MAY, "table-owner": MAY, "not-readable": MAY},
    ),
    "only the table, in a schema of the master's": (
        "ALTER TABLE tenant_b.users OWNER TO owner_of_b",
        {"table-owner": MAY, "not-readable": MAY},
    ),
    "owned by a superuser": (
        "ALTER TABLE tenant_b.users OWNER TO rdsadmin",
        {
            "table-owner": "ALTER TABLE tenant_b.users OWNER TO postgres",
            "not-readable": "ALTER TABLE tenant_b.users OWNER TO postgres",
        },
    ),
    "no privilege on the schema": ("REVOKE ALL ON SCHEMA tenant_b FROM postgres", {"not-readable": GRANTED}),
    "no privilege on the table": ("REVOKE ALL ON tenant_b.users FROM postgres", {"not-readable": GRANTED}),
    "privileges on some columns": (
        "REVOKE ALL ON tenant_b.users FROM postgres; GRANT SELECT (user_id, name) ON tenant_b.users TO postgres",
        {"not-readable": GRANTED},
    ),
    "a sixth row that a policy hides": (
        "; ".join([POLICY, FORCE, "INSERT INTO tenant_b.users VALUES (6, 'x', 'x')"]),
        {"row-level-security": NO_FORCE},
    ),
    "five rows that a policy hides": (
        f"{POLICY}; {FORCE}; ALTER POLICY few ON tenant_b.users USING (false)",
        {"row-level-security": NO_FORCE},
    ),
    "a policy that is not forced, on another's table that may be read": (
        f"{POLICY}; {TAKEN}; {GRANTED}",
        {"schema-owner": MAY, "table-owner": MAY, "row-level-security": MAY},
    ),
    "a policy that is forced, on another's table that may be read": (
        f"{POLICY}; {TAKEN}; {GRANTED}; {FORCE}",
        {"schema-owner": MAY, "table-owner": f"{MAY}; {NO_FORCE}", "row-level-security": f"{MAY}; {NO_FORCE}"},
    ),
}


@pytest.fixture
def taker(built):
    """A role that the master user is no member of, as that of another team."""
    built.break_things("CREATE ROLE owner_of_b", database="postgres")
    yield "owner_of_b"
    built.break_things("DROP OWNED BY owner_of_b CASCADE", "DROP ROLE owner_of_b")


TENANTS = {case: f"closed_{number}" for number, case in enumerate(CLOSED)}
"""Each case has a tenant and an owner of its own; beside them are two that nobody closes."""
OPEN = ["tenant_a", "tenant_c"]


def in_place(text, case):
    """Return *text* with the tenant and the owner of *case*."""
    return text.replace("tenant_b", TENANTS[case]).replace("owner_of_b", f"owner_of_{TENANTS[case]}")


@pytest.fixture(scope="module")
def closed(server, tmp_path_factory):
    """One database in which the tenants of all cases are closed, and what came of it before and after what helps."""
    with workspace(server, tmp_path_factory.mktemp("closed")) as bastion:
        bastion.configure(tenants=[OPEN[0], *TENANTS.values(), OPEN[1]])
        bastion.build()
        owners = [f"owner_of_{tenant}" for tenant in TENANTS.values()]
        bastion.break_things(*(f"CREATE ROLE {owner}" for owner in owners))
        for case, (damage, _) in CLOSED.items():
            bastion.break_things(*in_place(damage, case).split("; "))
        before = take(bastion)
        output = bastion.succeed(bastion.SCHEMA, bastion.DATA, bastion.VERIFICATION)
        told = SimpleNamespace(output=output, before=before, after=take(bastion))
        told.inspected, told.counted = bastion.succeed(bastion.INSPECTION), bastion.succeed(bastion.ROWS)
        for case, (_, expected) in CLOSED.items():
            for remedy in dict.fromkeys(expected.values()):
                bastion.break_things(*in_place(remedy, case).split("; "))
        told.helped = bastion.succeed(bastion.SCHEMA, bastion.DATA, bastion.VERIFICATION)
        yield told
        for owner in owners:
            bastion.break_things(f"DROP OWNED BY {owner} CASCADE", f"DROP ROLE {owner}")


@pytest.mark.parametrize("case", CLOSED)
def test_what_cannot_be_seen_is_found_and_left_as_it_is(closed, case):
    """It is a finding by its own name with what helps: neither missing, nor without rows; no phase touches or fails it."""
    _, expected = CLOSED[case]
    tenant = TENANTS[case]
    assert [found for found in kinds(closed.output) if found[0] == tenant] == [
        (tenant, kind, in_place(remedy, case)) for kind, remedy in expected.items()
    ]
    assert closed.after[f"{tenant}.users"] == closed.before[f"{tenant}.users"]


def test_nothing_is_touched_and_others_are_counted(closed):
    """The rows of those that can be seen are told, and of nobody else; the phases change nothing at all."""
    assert {tenant for tenant, *_ in kinds(closed.output)} == {*TENANTS.values()}
    counted = [line.split("|")[0].strip() for line in closed.output.split("\n\n")[2].splitlines()[2:-1]]
    assert counted == OPEN
    assert closed.after == closed.before


@pytest.mark.parametrize("case", CLOSED)
def test_what_helps_helps(closed, case):
    """After the statements that the findings name, a run mends the rest and no privilege is missing any more."""
    found = [kind for tenant, kind, _ in kinds(closed.helped) if tenant == TENANTS[case]]
    assert found == (["rows-too-many"] if "sixth" in case else [])


@pytest.mark.parametrize("case", CLOSED)
def test_programs_are_told_too(closed, case):
    """The inspection and the counting give no number where not all rows can be seen, and say what the user may not do."""
    _, expected = CLOSED[case]
    name = TENANTS[case]
    denied = "see-all-rows" if "row-level-security" in expected else "read"
    remedy = in_place(list(expected.values())[-1], case)
    lines = [json.loads(line) for line in closed.inspected.splitlines()]
    [tenant] = [line for line in lines if line["kind"] == "tenant" and line["tenant"] == name]
    assert (tenant["tables"], tenant["reference_rows"]) == ({"users": None}, {})
    counted = {line["schema"]: line for line in map(json.loads, closed.counted.splitlines())}
    assert {schema: line["rows"] for schema, line in counted.items() if schema in OPEN} == dict.fromkeys(OPEN, 5)
    assert counted[name] == {
        "schema": name, "table": "users", "rows": None,
        "denied": denied, "user": "postgres", "remedy": remedy,
    }  # fmt: skip
    reason = DatabaseSnapshot.read(closed.inspected).tenants[name].rows("users", reference_only=True)
    assert isinstance(reason, Difference)
    assert (reason.kind, reason.remedy) == (list(expected)[-1], remedy)
    assert read_counts(closed.counted)[name, "users"] == reason


def test_whoever_bypasses_policies_sees_all_rows(built):
    """A user with BYPASSRLS counts, whatever the policies say."""
    built.break_things(*POLICY.split("; "), FORCE, "ALTER ROLE postgres BYPASSRLS")
    try:
        assert kinds(built.succeed(built.VERIFICATION)) == []
    finally:
        built.break_things("ALTER ROLE postgres NOBYPASSRLS")


def test_count_that_a_policy_would_filter_is_an_error(built):
    """A file of one's own that counts after the observation cannot be given a part of the rows in silence."""
    built.break_things(*POLICY.split("; "), FORCE)
    (built.workspace / "sql/aurora/verification/try.sql").write_text(
        "\\ir ../../shared/configuration.sql\n\\ir ../../shared/observation.sql\nSELECT count(*) FROM tenant_b.users;\n"
    )
    done = built.engine("sql/aurora/verification/try.sql")
    assert done.returncode == 3
    assert "query would be affected by row-level security policy" in done.stderr


def test_missing_things_in_a_schema_of_anothers(built, taker):
    """A table that is missing where the master may not make one is found with what helps; other tenants are built."""
    built.break_things(
        "DROP TABLE tenant_b.users", "ALTER SCHEMA tenant_b OWNER TO owner_of_b", "DROP TABLE tenant_c.users"
    )
    assert kinds(built.succeed(built.SCHEMA, built.VERIFICATION)) == [
        ("tenant_b", "schema-owner", MAY),
        ("tenant_b", "table-missing", MAY),
        ("tenant_c", "rows-too-few", ""),
        ("tenant_c", "sample-rows-missing", ""),
    ]


def test_key_of_anothers_table(built, taker):
    """A missing key of a table that the master may read and not own is found with what helps."""
    built.break_things(
        "ALTER TABLE tenant_b.users DROP CONSTRAINT users_pkey",
        "ALTER TABLE tenant_b.users OWNER TO owner_of_b",
        "GRANT SELECT ON tenant_b.users TO postgres",
        "DELETE FROM tenant_b.users WHERE user_id = 2",
    )
    assert kinds(built.succeed(built.SCHEMA, built.DATA, built.VERIFICATION)) == [
        ("tenant_b", "table-owner", MAY),
        ("tenant_b", "primary-key-missing", MAY),
        ("tenant_b", "rows-too-few", MAY),
        ("tenant_b", "sample-rows-missing", MAY),
    ]


def test_database_of_anothers(built, taker):
    """Where the master may make no schema in the database, the error says the statement that lets it."""
    built.break_things(f"ALTER DATABASE {built.database} OWNER TO rdsadmin")
    built.configure(tenants=["tenant_a", "tenant_d"])
    done = built.engine(built.SCHEMA)
    assert done.returncode == 3
    assert f'tenant "tenant_d": permission denied for database {built.database}' in done.stderr
    assert f"HINT:  GRANT CREATE ON DATABASE {built.database} TO postgres" in done.stderr
