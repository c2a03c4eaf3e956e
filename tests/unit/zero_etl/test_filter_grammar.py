"""What a data filter may look like, and what is said about one that may not."""

from __future__ import annotations

import pytest

from etl_manager.zero_etl import FilterError, parse, render

DOCUMENTED = [
    "include: books.*.*",
    "include: books.*.*, exclude: books.*.mystery",
    "include: books.mystery.stephen_king, include: employee.finance.benefits",
    "include: books.science_fiction.*, exclude: books.*./.*king.*/",
    "include: books.*.*, exclude: books./sci.*/.*",
    "include: books.*.*, exclude: books.mystery./.*king/",
    "include: books.*./table_.*/, exclude: books.*.table_stephen_king",
    r"include: mydb.myschema./table_\d+/",
]


@pytest.mark.parametrize("text", DOCUMENTED)
def test_documented_filter_is_read_and_written_unchanged(text):
    """Each example of the Aurora User Guide survives being read and written."""
    assert render(parse(text)) == text


def test_spaces_may_be_left_out():
    """Only one way of spacing is written, but several are read."""
    assert render(parse(" include:a.b.c ,exclude:  a.b.d ")) == "include: a.b.c, exclude: a.b.d"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The data filter has 0 characters; AWS takes 1 to 25,600"),
        ("include: a.b.c, exclude: a.b.é", "pattern 2, position 30: 'é' is not a character of the filter alphabet"),
        ("include: a./x(y/.c", "pattern 1, position 14: '(' is not a character of the filter alphabet"),
        ("include: a./^x/.c", "pattern 1, position 13: '^' is not a character of the filter alphabet"),
        ("include: a.b.c\n", r"pattern 1, position 15: '\n' is not a character of the filter alphabet"),
        ("a.b.c", "pattern 1, position 1: each pattern begins with 'include:' or 'exclude:'"),
        ("include: a.b.c, a.b.d", "pattern 2, position 17: each pattern begins with 'include:' or 'exclude:'"),
        ("include: a.b.c,", "pattern 2, position 16: each pattern begins with 'include:' or 'exclude:'"),
        ("Include: a.b.c", "pattern 1, position 1: the keyword is written in lower case: 'include'"),
        ("include a.b.c", "pattern 1, position 8: a colon is expected after 'include'"),
        ("include: a.b.c include: a.b.d", "pattern 1, position 16: a comma is expected here, not 'i'"),
        ("include: a.b", "pattern 1, position 13: the table part is missing"),
        ("include: a", "pattern 1, position 11: the schema part is missing"),
        ("include: a.b.c.d", "pattern 1, position 15: a pattern has three parts"),
        ("include: a..c", "pattern 1, position 12: the schema part is empty"),
        ("include: *.b.c", "pattern 1, position 10: the database part takes a name only, not '*'"),
        ("include: /a.*/.b.c", "pattern 1, position 10: the database part takes a name only, not a regular expression"),
        ("include: a.tab*.c", "pattern 1, position 15: '*' stands for a whole schema"),
        ("include: a.b.*tab", "pattern 1, position 14: '*' stands for a whole table"),
        (
            'include: a."b".c',
            "position 12: the schema part is empty or begins with a character no name has (quoted names",
        ),
        ("include: a./b.c", "pattern 1, position 12: the regular expression that begins here has no closing '/'"),
        ("include: a.//.c", "pattern 1, position 12: the regular expression is empty"),
        (r"include: a./b\\/.c", r"pattern 1, position 14: '\\' right before '/' can be read in two ways"),
        (r"include: a./b\x/.c", r"pattern 1, position 14: \x is none of the classes"),
        (r"include: a./\bb/.c", r"pattern 1, position 13: \b is none of the classes"),
        ("include: a./*b/.c", "pattern 1, position 13: '*' repeats nothing"),
        ("include: a./b+*/.c", "pattern 1, position 14: '+*' repeats a repetition"),
        ("include: a./b$c/.c", "pattern 1, position 14: '$' is the end of a name, yet more follows"),
        ("include: a./b,c/.c", "pattern 1, position 14: a comma can be read as the end of the pattern"),
    ],
)
def test_broken_filter_is_refused_at_its_place(text, message):
    """What is wrong is said with the number of the pattern and the position in the filter."""
    with pytest.raises(FilterError) as refused:
        parse(text)
    assert message in str(refused.value)


def test_backslash_before_a_slash_makes_it_part_of_the_expression():
    r"""``\/`` does not close a regular expression, nor does ``\\\/``."""
    (pattern,) = parse(r"include: a./b\\\/c\/d/.t")
    assert pattern.schema == r"/b\\\/c\/d/"


def test_99_patterns_are_taken_and_the_hundredth_is_refused():
    """The limit of patterns is AWS's, and the message points at the first one too many."""
    assert len(parse(", ".join(["include: a.b.c"] * 99))) == 99
    with pytest.raises(FilterError, match="pattern 100, position 1584: AWS takes at most 99 patterns"):
        parse(", ".join(["include: a.b.c"] * 100))


def test_a_pattern_has_at_most_256_characters_without_its_keyword():
    """256 characters are taken, 257 are not."""
    longest = "include: a.b." + "c" * 252
    assert len(parse(longest)[0].expression) == 256
    with pytest.raises(FilterError, match="pattern 1, position 10: it has 257 characters; AWS takes at most 256"):
        parse(longest + "c")


def test_a_filter_has_at_most_25600_characters():
    """One character more is refused."""
    filler = "include: a.b.c"
    assert parse(filler + " " * (25_600 - len(filler)))
    with pytest.raises(FilterError, match="has 25,601 characters; AWS takes 1 to 25,600"):
        parse(filler + " " * (25_601 - len(filler)))


def test_alphabet_is_the_one_of_the_rds_api():
    """Character by character, what botocore's model of DataFilter allows is what is allowed here."""
    import re

    import botocore.session

    shape = botocore.session.get_session().get_service_model("rds").shape_for("DataFilter")
    allowed = re.compile(shape.metadata["pattern"])
    assert (shape.metadata["min"], shape.metadata["max"]) == (1, 25_600)
    for char in map(chr, range(0x250)):
        with pytest.raises(FilterError) as refused:
            parse(f"include: a.b.c{char}!" if char in ", " else f"include: a.b.c,{char}")
        assert (f"{char!r} is not a character of" in str(refused.value)) == (not allowed.fullmatch(char))
