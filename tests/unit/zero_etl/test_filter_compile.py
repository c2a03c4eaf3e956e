"""The compiler on catalogues a platform team may have: each filter is short, exact, and the same under both readings."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time

import pytest

from etl_manager.zero_etl import FilterError, compile_filter

DB = "multitenant_analytics"
TENANTS = [f"tenant_{number:05d}" for number in range(1000)]


def words(count, seed=0, letters="abcdefghijklmnopqrstuvwxyz", length=8):
    """Return that many different random names."""
    source = random.Random(seed)  # noqa: S311
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(source.choices(letters, k=length))] = None
    return list(found)


@pytest.fixture
def compiled(taken):
    """Compile for the users tables of the wanted schemas beside the others, and prove the result with the second evaluator."""

    def compile_and_prove(wanted, others, tables=("users",), other_tables=("users",)):
        asked = [(schema, table) for schema in wanted for table in tables]
        catalogue = {(DB, *pair) for pair in asked} | {
            (DB, schema, table) for schema in others for table in other_tables
        }
        result = compile_filter(DB, asked, catalogue)
        whole, found = (taken(result.text, catalogue, method) for method in ("fullmatch", "search"))
        assert whole == found == {(DB, *pair) for pair in asked}
        assert len(result.patterns) <= 99
        return result

    return compile_and_prove


def test_up_to_99_tables_it_is_the_plain_list_in_the_order_given(compiled):
    """The user's own form: one include a table, in order, joined by comma and space."""
    assert compiled(["tenant_c", "tenant_a", "tenant_b"], ["foreign"]).text == (
        f"include: {DB}.tenant_c.users, include: {DB}.tenant_a.users, include: {DB}.tenant_b.users"
    )
    ninety_nine = compiled(TENANTS[:99], ["foreign"])
    assert ninety_nine.text == ", ".join(f"include: {DB}.{tenant}.users" for tenant in TENANTS[:99])


@pytest.mark.parametrize(
    ("tenants", "others", "text"),
    [
        pytest.param(TENANTS, ["app", "public"], "include: db./tenant_00.*/.users", id="a common beginning"),
        pytest.param(
            TENANTS[:100], ["tenant_001", "app"], "include: db./tenant_000.*/.users", id="the hundredth tenant"
        ),
        pytest.param(
            [f"tenant_{n}" for n in range(1, 1001)],
            [f"tenant_{n}_{x}" for n in range(1, 101) for x in ("old", "2024", "é")],
            r"include: db./tenant_\d+$/.users",
            id="numbered, beside copies",
        ),
        pytest.param(
            [f"{word}_customer" for word in words(200)],
            words(200, seed=1),
            "include: db./.*_customer/.users",
            id="a common ending",
        ),
        pytest.param(
            [f"tenant_{word}" for word in words(200)],
            [f"tenant_{word}_archive" for word in words(200, seed=1)],
            "include: db./tenant_.*/.users, exclude: db./.*_archive/.users",
            id="all but an ending",
        ),
        pytest.param(
            TENANTS,
            [f"my{tenant}" for tenant in TENANTS],
            "include: db./.*tenant_00.*/.users, exclude: db./mytenant_00.*/.users",
            id="found inside other names",
        ),
        pytest.param(
            [f"tenant_{n}" for n in range(10_000)],
            [f"tenant_{n}" for n in range(10_000, 15_000)],
            r"include: db./tenant_.*/.users, exclude: db./tenant_1\d\d\d\d/.users",
            id="numbers below 10,000",
        ),
        pytest.param(
            [f"tenant_{n:05d}" for n in range(2000) if n % 50],
            [f"tenant_{n:05d}" for n in range(0, 2000, 50)],
            r"include: db./tenant_0.*/.users, exclude: db./tenant_\d\d\d50/.users, exclude: db./tenant_\d\d\d00/.users",
            id="every fiftieth is not wanted",
        ),
        pytest.param(
            [f"tenant_{word}" for word in words(500)] + [f"{word}_customer" for word in words(500, seed=1)],
            [f"tenant_{word}_old" for word in words(100, seed=2)]
            + [f"my_{word}_customer" for word in words(100, seed=3)],
            "include: db./tenant_.*/.users, include: db./.*_customer/.users, "
            "exclude: db./.*_old/.users, exclude: db./my_.*/.users",
            id="two families, each with intruders",
        ),
    ],
)
def test_beyond_99_tables_a_few_patterns_take_exactly_the_wanted(compiled, tenants, others, text):
    """Whatever the names have in common is used: beginning, ending, digits, and excludes against what else has it."""
    result = compiled(tenants, others)
    assert sorted(result.text.replace(DB, "db").split(", ")) == sorted(text.split(", "))


def test_scattered_tenants_that_are_not_wanted_are_excluded_one_by_one(compiled):
    """Up to 98 exceptions fit beside one broad include."""
    left_out = random.Random(5).sample([tenant for tenant in TENANTS if tenant[-1] != "0"], 98)  # noqa: S311
    result = compiled([tenant for tenant in TENANTS if tenant not in left_out], left_out)
    assert len(result.patterns) <= 99


def test_an_exception_from_an_exception_is_an_include_of_its_own(compiled):
    """A hundred numbers are not wanted, but three of them are."""
    foreign = [tenant for tenant in TENANTS if tenant.startswith("tenant_009")]
    kept = [foreign[0], foreign[50], foreign[77]]
    result = compiled(
        [tenant for tenant in TENANTS if tenant not in foreign or tenant in kept],
        [tenant for tenant in foreign if tenant not in kept],
    )
    assert len(result.patterns) <= 15


def test_names_without_anything_in_common_are_taken_beside_a_few_others(compiled):
    """500 random names beside the schemas of the platform."""
    compiled(words(500), ["public", "etl_manager", "staging", "archive"])


def test_every_wanted_table_of_a_tenant_is_taken_and_no_other(compiled):
    """Several tables a tenant, beside further tables in the same schemas."""
    others = [*TENANTS, "app"]
    result = compiled(TENANTS, others, tables=("users", "orders"), other_tables=("log", "users_old"))
    assert len(result.patterns) == 2


@pytest.mark.parametrize(
    ("tenants", "others", "most"),
    [
        pytest.param(TENANTS, ["app", "public"], 20, id="numbered"),
        pytest.param(TENANTS[:500] + TENANTS[540:], TENANTS[500:540], 24, id="some are left out of the middle"),
        pytest.param(
            [f"{region}_{n}" for region in ("eu", "us", "ap") for n in range(300)],
            [f"{region}_{n}_old" for region in ("eu", "us") for n in range(50)],
            61,
            id="several beginnings, with copies among them",
        ),
        pytest.param(words(500), words(60, seed=1), 99, id="random names"),
    ],
)
def test_tenants_times_twenty_tables(compiled, tenants, others, most):
    """Twenty tables a tenant, beside others in the same schemas and the same tables in other schemas."""
    tables = words(20, seed=2)
    result = compiled(tenants, [*tenants, *others], tables=tables, other_tables=[*words(5, seed=3), f"{tables[0]}_old"])
    assert len(result.patterns) <= most
    compiled(tenants, others, tables=tables, other_tables=tables)


def test_many_tables_of_a_tenant_share_a_pattern(compiled):
    """150 tables a tenant have no place of their own in the filter."""
    result = compiled(TENANTS[:100], ["app"], tables=[f"fact_{n}" for n in range(150)], other_tables=["fact_1"])
    assert result.text == f"include: {DB}./tenant_000.*/./fact_.*/"


def test_different_tables_in_different_tenants(compiled, taken):
    """Even tenants with orders, odd ones with users: no product of schemas and tables, yet exact."""
    catalogue = {(DB, tenant, table) for tenant in TENANTS for table in ("users", "orders")}
    asked = [(tenant, ("orders", "users")[number % 2]) for number, tenant in enumerate(TENANTS)]
    result = compile_filter(DB, asked, catalogue)
    assert taken(result.text, catalogue, "search") == {(DB, *pair) for pair in asked}


def test_schemas_without_the_table_are_left_out_as_well_where_that_is_cheap(compiled):
    """A schema that has no users table today would not be taken if it got one tomorrow."""
    result = compiled(TENANTS, [f"tenant_{word}" for word in words(50)], other_tables=("log",))
    assert result.open_schemas == ()
    assert result.text == f"include: {DB}./tenant_00.*/.users"


def test_schemas_that_would_be_taken_if_they_had_the_table_are_named(compiled):
    """Where names have nothing in common, schemas that have no such table yet are included too, and told."""
    others = words(500, seed=1)
    result = compiled(words(500), others, other_tables=("log",))
    assert set(result.open_schemas) <= set(others)
    assert len(result.open_schemas) > 400


@pytest.mark.parametrize(
    ("tenants", "others"),
    [
        pytest.param(words(500), words(500, seed=1), id="random among random"),
        pytest.param(
            [tenant for tenant in TENANTS if int(tenant[-5:]) % 7],
            [tenant for tenant in TENANTS if not int(tenant[-5:]) % 7],
            id="every seventh is not wanted",
        ),
    ],
)
def test_where_no_exact_filter_is_found_the_tables_in_the_way_are_named(compiled, tenants, others):
    """A filter that takes too much is never handed out."""
    with pytest.raises(FilterError, match=r"No data filter of at most 99 patterns was found") as refused:
        compiled(tenants, others)
    named = [name for name in others if f"{DB}.{name}.users" in str(refused.value)]
    assert len(named) == 10
    assert re.search(r" and \d+ more\n", str(refused.value))
    assert not any(f"{DB}.{name}.users" in str(refused.value) for name in tenants)
    assert "next:  Move or rename those tables, or give the wanted schemas and tables names" in str(refused.value)


def test_hostile_names_without_a_filter_are_refused_in_seconds(compiled):
    """The search gives up where expression after expression would take wanted tables too."""
    hostile = words(2000, letters="a_019\n\r\u2028é,.$", length=12)
    started = time.process_time()
    with pytest.raises(FilterError, match="No data filter"):
        compiled(hostile[::2], hostile[1::2])
    assert time.process_time() - started < 3


def test_the_filter_does_not_depend_on_the_order_of_sets():
    """Another process, with another seed of Python's hashes, compiles the same filter."""
    code = (
        "from etl_manager.zero_etl import compile_filter\n"
        "names = [f'{a}{n:02d}' for a in ('ab', 'pq', 'xy', 'kl', 'st', 'fg') for n in range(40)]\n"
        "catalogue = {('db', name, table) for name in names for table in ('users', 'log')}\n"
        "print(compile_filter('db', [(name, 'users') for name in names if name[0] in 'apx'], catalogue).text)\n"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in "123"
    }
    assert len(made) == 1
    assert made.pop().count("include: db") == 3


def test_tables_of_other_databases_are_never_taken(taken):
    """The catalogue covers the cluster; the same schema in another database stays out."""
    catalogue = {(database, tenant, "users") for database in (DB, "other") for tenant in TENANTS}
    result = compile_filter(DB, [(tenant, "users") for tenant in TENANTS], catalogue)
    assert taken(result.text, catalogue, "search") == {t for t in catalogue if t[0] == DB}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("kunde é", r"kunde\s.$"),
        ("a,b", r"a\Wb$"),
        ("a.b", r"a\.b$"),
        ("a$", r"a\$$"),
        ("a-b", "a-b$"),
        ("a/b", r"a\Wb$"),
        ("a\\b", r"a\Wb$"),
        ('a"b', r"a\Wb$"),
        ("a\u2028b", r"a\Wb$"),
        ("😀b", ".b$"),
    ],
)
def test_a_name_that_cannot_be_written_is_taken_by_a_wider_pattern(compiled, name, pattern):
    """A character that cannot be spelled is stood for by one that matches it; a longer name is not taken with it."""
    result = compiled([name, "tenant_a"], [f"{name}_longer", "app"])
    assert result.text == f"include: {DB}./{pattern}/.users, include: {DB}.tenant_a.users"


def test_names_that_no_pattern_can_tell_apart_are_refused(compiled):
    """``a,b`` cannot be taken without ``a:b``, and that is said."""
    with pytest.raises(FilterError, match=rf"takes every wanted table \(1\) and leaves out {DB}\.a:b\.users"):
        compiled(["a,b"], ["a:b"])


def test_a_name_that_a_wider_pattern_takes_too_is_excluded_after_it(compiled):
    """``aéb`` needs ``a.b``, which also takes ``axb``: that one is excluded."""
    result = compiled(["aéb"], ["axb"])
    assert result.text == f"include: {DB}./a.b/.users, exclude: {DB}.axb.users"


def test_wanted_tables_need_not_exist_yet():
    """A plan for a fresh cluster gets its filter from an empty catalogue."""
    assert compile_filter(DB, [("tenant_a", "users")], []).text == f"include: {DB}.tenant_a.users"
    result = compile_filter(DB, [(tenant, "users") for tenant in TENANTS], [])
    assert result.text == f"include: {DB}./tenant_00.*/.users"


def test_a_table_named_twice_is_taken_once():
    """Duplicates change nothing."""
    assert compile_filter(DB, [("a", "users"), ("a", "users")], []).text == f"include: {DB}.a.users"


def test_nothing_wanted_is_refused():
    """An empty filter is none that AWS takes."""
    with pytest.raises(FilterError, match="needs at least one table"):
        compile_filter(DB, [], [])


def test_a_database_that_cannot_be_named_is_refused():
    """The database part takes no expression, so nothing could stand for the character."""
    with pytest.raises(FilterError, match="No data filter can name the database 'my db'"):
        compile_filter("my db", [("a", "users")], [])
