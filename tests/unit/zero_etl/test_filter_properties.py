"""What holds for every compiled filter, whatever the names are."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_manager.zero_etl import ClusterTables, FilterError, RegexSemantics, compare_filter, compile_filter, parse

DB = "db"
ALPHABETS = ["ab", "ab_01", "tenant_0123456789", "ab\n", "a0.$-+*?", "aé,:' \"(/\\", "a_019\n\r\u2028é,.$", "ab😀٣"]
AFFIXES = [("", ""), ("tenant_", ""), ("", "_old"), ("xtenant_", ""), ("tenant_", "_9")]
bounded = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
names = st.sampled_from(ALPHABETS).flatmap(
    lambda alphabet: st.builds(
        lambda affixes, middle: affixes[0] + middle + affixes[1],
        st.sampled_from(AFFIXES),
        st.text(alphabet, min_size=1, max_size=8),
    )
)
tables = st.sampled_from(["users", "orders", "users_2", "Ü,1"])


def prove(taken, wanted, catalogue):
    """Compile, and hold the result against the limits, the second evaluator and the own one; return None where it is refused."""
    refused = ""
    try:
        result = compile_filter(DB, wanted, catalogue)
    except FilterError as error:
        refused = error.message
    if refused:
        unwanted = set(catalogue) - {(DB, *pair) for pair in wanted}
        assert any(".".join(table) in refused for table in unwanted)
        return None
    assert len(result.patterns) <= 99
    assert len(result.text) <= 25_600
    assert all(len(str(pattern)) <= 256 for pattern in result.patterns)
    assert parse(result.text) == result.patterns
    asked = {(DB, *pair) for pair in wanted}
    everything = asked | set(catalogue)
    whole, found = taken(result.text, everything, "fullmatch"), taken(result.text, everything, "search")
    assert whole == found == asked
    own = ClusterTables(everything)
    assert (
        own.taken(result.patterns, RegexSemantics.FULL_MATCH)
        == own.taken(result.patterns, RegexSemantics.SEARCH)
        == asked
    )
    assert own.ambiguities(result.patterns) == []
    comparison = compare_filter(result.text, DB, wanted, catalogue)
    assert (comparison.missing, comparison.excess, comparison.exact) == ((), (), True)
    return result


@bounded
@given(
    st.lists(st.tuples(names, tables), min_size=1, max_size=40),
    st.lists(st.tuples(st.sampled_from([DB, "other"]), names, tables), max_size=60),
)
def test_small_catalogues_of_hostile_names(taken, wanted, catalogue):
    """Every filter keeps the limits, is exact and the same under both readings, or is refused with what stands in the way."""
    prove(taken, wanted, catalogue)


@bounded
@given(st.lists(st.text("ab01_", min_size=1, max_size=6), min_size=1, max_size=99, unique=True), st.data())
def test_plain_names_are_always_exact_up_to_99(taken, schemas, data):
    """Where names can be written, no catalogue stands in the way of an exact filter."""
    catalogue = [(DB, schema, "users") for schema in data.draw(st.lists(st.text("ab01_", min_size=1, max_size=6)))]
    result = prove(taken, [(schema, "users") for schema in schemas], catalogue)
    assert result is not None
    assert result.text == ", ".join(f"include: {DB}.{schema}.users" for schema in schemas)


def random_catalogue(seed, size, alphabet, tables_of_each):
    """Return that many random schemas with random tables."""
    source = random.Random(seed)  # noqa: S311
    schemas = set()
    for _ in range(size):
        before, after = source.choice(AFFIXES)
        schemas.add(before + "".join(source.choices(alphabet, k=source.randint(1, 14))) + after)
    return sorted((DB, schema, table) for schema in schemas for table in tables_of_each if source.random() < 0.9)


@settings(bounded, max_examples=30)
@given(
    st.integers(0, 2**32),
    st.integers(100, 1000),
    st.sampled_from(ALPHABETS),
    st.sampled_from(["by prefix", "at random", "tables at random"]),
)
def test_larger_catalogues_of_hostile_names(taken, seed, size, alphabet, choice):
    """The same where the plain list does not suffice, also for wanted names strewn among the others."""
    catalogue = random_catalogue(seed, size, alphabet, ("users",) if seed % 2 else ("users", "orders", "Ü,1"))
    source = random.Random(seed)  # noqa: S311
    share = source.choice([0.1, 0.6])
    lucky = {schema for _, schema, _ in catalogue if source.random() < share}
    wanted = [
        (schema, table)
        for _, schema, table in catalogue
        if (table == "users" or choice == "tables at random")
        and (schema.startswith("tenant_") if choice == "by prefix" else schema in lucky)
    ]
    if wanted:
        prove(taken, wanted, catalogue)


@settings(bounded, max_examples=6)
@given(st.integers(0, 2**32), st.sampled_from(ALPHABETS))
def test_ten_thousand_schemas(taken, seed, alphabet):
    """5,000 numbered tenants among 5,000 schemas of hostile names: the filter is exact."""
    catalogue = [table for table in random_catalogue(seed, 5000, alphabet, ("users",)) if "tenant_" not in table[1]]
    tenants = [f"tenant_{number}" for number in range(5000)]
    result = prove(taken, [(tenant, "users") for tenant in tenants], catalogue)
    assert result is not None
