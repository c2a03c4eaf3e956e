"""What a data filter takes: the documented examples, the order of patterns, the two readings of regular expressions."""

from __future__ import annotations

import pytest

from etl_manager.zero_etl import ClusterTables, RegexSemantics, Table, parse

BOOKS = [
    ("books", "mystery", "stephen_king"),
    ("books", "mystery", "king_lear"),
    ("books", "mystery", "mystery"),
    ("books", "science_fiction", "mystery"),
    ("books", "science_fiction", "table_12"),
    ("books", "science_fiction", "table_stephen_king"),
    ("books", "my_science", "viking"),
    ("employee", "finance", "benefits"),
    ("employee", "finance", "mystery"),
    ("mydb", "myschema", "table_7"),
    ("mydb", "myschema", "table_"),
    ("mydb", "myschema", "table_7b"),
]


def names(taken: set[Table]) -> set[str]:
    return {str(table) for table in taken}


@pytest.mark.parametrize(
    ("text", "not_taken"),
    [
        ("include: books.*.*", set()),
        ("include: books.*.*, exclude: books.*.mystery", {"books.mystery.mystery", "books.science_fiction.mystery"}),
        (
            "include: books.science_fiction.*, exclude: books.*./.*king.*/",
            {
                "books.mystery.stephen_king",
                "books.mystery.king_lear",
                "books.mystery.mystery",
                "books.science_fiction.table_stephen_king",
                "books.my_science.viking",
            },
        ),
        (
            "include: books.*.*, exclude: books./sci.*/.*",
            {
                "books.science_fiction.mystery",
                "books.science_fiction.table_12",
                "books.science_fiction.table_stephen_king",
            },
        ),
        ("include: books.*.*, exclude: books.mystery./.*king/", {"books.mystery.stephen_king"}),
    ],
)
def test_documented_example_takes_what_its_text_says(text, not_taken):
    """Of the database books, each example of the user guide leaves out exactly the tables its description names."""
    books = {".".join(table) for table in BOOKS if table[0] == "books"}
    assert names(ClusterTables(BOOKS).taken(parse(text))) == books - not_taken


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (
            "include: books.mystery.stephen_king, include: employee.finance.benefits",
            {"books.mystery.stephen_king", "employee.finance.benefits"},
        ),
        (
            "include: books.*./table_.*/, exclude: books.*.table_stephen_king",
            {"books.science_fiction.table_12"},
        ),
        (r"include: mydb.myschema./table_\d+/", {"mydb.myschema.table_7"}),
    ],
)
def test_documented_example_takes_only_what_it_names(text, taken):
    """The examples that name tables take those and no other table of the cluster."""
    assert names(ClusterTables(BOOKS).taken(parse(text))) == taken


def test_nothing_is_taken_that_no_pattern_includes():
    """Any filter begins with an implicit exclude of everything."""
    assert ClusterTables(BOOKS).taken(parse("exclude: books.mystery.*")) == set()


def test_the_last_pattern_that_matches_wins():
    """Excluded and included again is included; the other way round is excluded."""
    catalogue = ClusterTables([("d", "s", "t")])
    assert catalogue.taken(parse("include: d.*.*, exclude: d.s.*, include: d.s.t")) == {Table("d", "s", "t")}
    assert catalogue.taken(parse("include: d.s.t, exclude: d.*.*")) == set()


def test_names_are_matched_whole_and_in_their_case():
    """A name matches neither a longer name nor the same one in another case."""
    catalogue = ClusterTables([("d", "tenant", "t"), ("d", "tenant_a", "t"), ("d", "Tenant", "t")])
    for reading in RegexSemantics:
        assert names(catalogue.taken(parse("include: d.tenant.t"), reading)) == {"d.tenant.t"}


def test_readings_differ_on_a_name_that_only_contains_the_expression():
    """Whole-name match leaves mytenant_a out, unanchored find takes it, and the pattern is flagged with that name."""
    catalogue = ClusterTables([("d", "tenant_a", "users"), ("d", "mytenant_a", "users"), ("e", "mytenant_b", "users")])
    patterns = parse("include: d.tenant_a.users, include: d./tenant_.*/.users")
    assert names(catalogue.taken(patterns, RegexSemantics.FULL_MATCH)) == {"d.tenant_a.users"}
    assert names(catalogue.taken(patterns, RegexSemantics.SEARCH)) == {"d.tenant_a.users", "d.mytenant_a.users"}
    (ambiguity,) = catalogue.ambiguities(patterns)
    assert (ambiguity.number, ambiguity.names) == (2, ("mytenant_a",))


def test_table_names_are_flagged_like_schema_names():
    """A difference in the table part counts as well."""
    catalogue = ClusterTables([("d", "s", "users"), ("d", "s", "users_old")])
    (ambiguity,) = catalogue.ambiguities(parse("include: d.s./users/"))
    assert ambiguity.names == ("users_old",)


@pytest.mark.parametrize("expression", ["tenant_.*$", ".*tenant_.*", "tenant_a", r"tenant_\w"])
def test_no_flag_where_the_catalogue_shows_no_difference(expression):
    """An expression is judged by the names there are."""
    assert (
        ClusterTables([("d", "tenant_a", "t"), ("d", "other", "t")]).ambiguities(parse(f"include: d./{expression}/.t"))
        == []
    )


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x85b", "a\u2028b", "a\u2029b"])
def test_a_dot_is_no_line_terminator(name):
    r"""As in Java, a dot matches none of the five; ``\W`` does."""
    catalogue = ClusterTables([("d", name, "t")])
    assert catalogue.taken(parse("include: d./a.b/.t"), RegexSemantics.SEARCH) == set()
    assert catalogue.taken(parse(r"include: d./a\Wb/.t")) == {Table("d", name, "t")}


def test_a_dot_is_any_other_character():
    """Also one outside the filter's alphabet, and one outside the basic plane."""
    catalogue = ClusterTables([("d", f"a{char}b", "t") for char in "é'(^|😀"])
    assert len(catalogue.taken(parse("include: d./a.b/.t"))) == 6


def test_repeated_stars_are_refused_quickly():
    """A run of forty ``.*`` costs no more than one, or this test would not end."""
    catalogue = ClusterTables([("d", "a" * 63, "t")])
    assert catalogue.taken(parse(f"include: d./{'.*' * 40}b/.t")) == set()
