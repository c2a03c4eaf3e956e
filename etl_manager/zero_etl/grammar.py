r"""The grammar of a zero-ETL ``DataFilter``: read it, write it, and say exactly what is wrong with it.

A filter is ``include: db.schema.table, exclude: db./re.*/.*`` and so on: patterns with a keyword of their own and
three parts. Sources: Aurora User Guide, "Data filtering for Aurora zero-ETL integrations" (form, 99 patterns,
256 characters, no regular expression for the database), RDS API, ``DataFilter`` (alphabet, 25,600 characters).
Only what is documented is accepted: quoted names, ``*`` inside a name and ``*`` for the database are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from etl_manager.zero_etl.pattern import (
    ANY,
    MAX_FILTER_LENGTH,
    MAX_PATTERN_LENGTH,
    MAX_PATTERNS,
    FilterError,
    Keyword,
    Kind,
    Part,
    Pattern,
)
from etl_manager.zero_etl.regex import RegexError, tokens

_OUTSIDE_ALPHABET = re.compile(r'[^a-zA-Z0-9_ "\\\-$,*.:?+/]')
_KEYWORD = re.compile(r"([A-Za-z]+)(:?)")
_NAME = re.compile(r"[A-Za-z0-9_$-]+")
_PARTS = ("database", "schema", "table")
_BEGINNING = re.compile(r", *(?:include|exclude):")


def is_database_name(name: str) -> bool:
    """Tell whether *name* can stand in the database part, which takes nothing but a name."""
    return _NAME.fullmatch(name) is not None


def render(patterns: Sequence[Pattern]) -> str:
    """Return *patterns* as one filter string.

    Raises:
        FilterError: The string would break a limit or the grammar.
    """
    text = ", ".join(map(str, patterns))
    if parse(text) != tuple(patterns):
        raise FilterError("The patterns do not survive being written and read again", where={"filter": text})
    return text


def parse(text: str) -> tuple[Pattern, ...]:
    """Return the patterns of the filter *text*.

    Raises:
        FilterError: It breaks the grammar or a limit; the message names the pattern and the position, both counted from 1.
    """
    if not 1 <= len(text) <= MAX_FILTER_LENGTH:
        raise FilterError(
            f"The data filter has {len(text):,} characters; AWS takes 1 to {MAX_FILTER_LENGTH:,}",
            remedy="Name at least one database, as in: include: mydb.*.*"
            if not text
            else "Use fewer, broader patterns.",
        )
    return _Reader(text).patterns()


class _Reader:
    """Reads one filter from left to right; knows where it is when something is wrong."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._number = 1

    def patterns(self) -> tuple[Pattern, ...]:
        if outside := _OUTSIDE_ALPHABET.search(self._text):
            self._number = 1 + len(_BEGINNING.findall(self._text, 0, outside.start()))
            raise self._error(
                f"{outside.group()!r} is not a character of the filter alphabet",
                outside.start(),
                'AWS takes a-z A-Z 0-9 _ space " \\ - $ , * . : ? + / and nothing else.',
            )
        found = [self._pattern()]
        while self._at < len(self._text):
            if self._text[self._at] != ",":
                raise self._error(f"a comma is expected here, not {self._text[self._at]!r}")
            self._at += 1
            self._number += 1
            if self._number > MAX_PATTERNS:
                raise self._error(f"AWS takes at most {MAX_PATTERNS} patterns for one integration")
            found.append(self._pattern())
        return tuple(found)

    def _pattern(self) -> Pattern:
        self._skip_spaces()
        keyword = self._keyword()
        self._skip_spaces()
        start = self._at
        database, schema, table = (self._part(what) for what in _PARTS)
        if self._text[self._at : self._at + 1] == ".":
            raise self._error("a pattern has three parts, database.schema.table; here a fourth begins")
        if (length := self._at - start) > MAX_PATTERN_LENGTH:
            raise self._error(f"it has {length} characters; AWS takes at most {MAX_PATTERN_LENGTH}", start)
        self._skip_spaces()
        return Pattern(keyword, database.text, schema, table)

    def _keyword(self) -> Keyword:
        found = _KEYWORD.match(self._text, self._at)
        word = found.group(1) if found else ""
        if not found or word.lower() not in ("include", "exclude"):
            raise self._error("each pattern begins with 'include:' or 'exclude:'")
        if word != word.lower():
            raise self._error(f"the keyword is written in lower case: {word.lower()!r}")
        if not found.group(2):
            raise self._error(f"a colon is expected after {word!r}", found.end())
        self._at = found.end()
        return Keyword(word)

    def _part(self, what: str) -> Part:
        if what != "database":
            if self._text[self._at : self._at + 1] != ".":
                raise self._error(f"the {what} part is missing; a pattern is database.schema.table" + self._hint())
            self._at += 1
        rest = self._text[self._at : self._at + 1]
        if rest in ("/", "*") and what == "database":
            thing = "a regular expression" if rest == "/" else "'*'"
            raise self._error(f"the database part takes a name only, not {thing}")
        if rest == "/":
            return self._regex()
        if rest == "*":
            self._at += 1
            if self._text[self._at : self._at + 1] not in ("", ".", ",", " "):
                raise self._error(f"'*' stands for a whole {what}, not for a piece of its name", self._at - 1)
            return ANY
        name = _NAME.match(self._text, self._at)
        if not name:
            raise self._error(f"the {what} part is empty or begins with a character no name has" + self._hint())
        self._at = name.end()
        if self._text[self._at : self._at + 1] == "*":
            raise self._error(f"'*' stands for a whole {what}, not for a piece of its name")
        return Part(Kind.NAME, name.group())

    def _hint(self) -> str:
        return (
            " (quoted names are not documented for these filters)" if self._text[self._at : self._at + 1] == '"' else ""
        )

    def _regex(self) -> Part:
        start = self._at + 1
        end = start
        while (end := self._text.find("/", end)) >= 0 and self._text[end - 1] == "\\":
            # Behind an even number of backslashes a slash closes the expression for one reader and not for another.
            if (len(self._text[start:end]) - len(self._text[start:end].rstrip("\\"))) % 2 == 0:
                raise self._error(
                    "'\\\\' right before '/' can be read in two ways; write '.' for that character", end - 2
                )
            end += 1
        if end < 0:
            raise self._error("the regular expression that begins here has no closing '/'", start - 1)
        if end == start:
            raise self._error("the regular expression is empty; '*' matches every name", start - 1)
        expression = self._text[start:end]
        if "," in expression:
            raise self._error(
                "a comma can be read as the end of the pattern; write '.' for it", self._text.index(",", start)
            )
        try:
            tokens(expression)
        except RegexError as problem:
            raise self._error(problem.what, start + problem.at) from None
        self._at = end + 1
        return Part(Kind.REGEX, expression)

    def _skip_spaces(self) -> None:
        while self._text[self._at : self._at + 1] == " ":
            self._at += 1

    def _error(self, what: str, at: int | None = None, remedy: str = "") -> FilterError:
        position = (self._at if at is None else at) + 1
        return FilterError(f"Data filter, pattern {self._number}, position {position}: {what}", remedy=remedy)
