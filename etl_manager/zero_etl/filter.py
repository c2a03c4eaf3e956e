r"""The grammar of a zero-ETL ``DataFilter``: parse it, write it, and say exactly what is wrong with it.

A filter is ``include: db.schema.table, exclude: db./re.*/.*`` and so on: patterns with a keyword of their own and
three parts. Sources: Aurora User Guide, "Data filtering for Aurora zero-ETL integrations" (form, 99 patterns,
256 characters, no regular expression for the database), RDS API, ``DataFilter`` (alphabet, 25,600 characters).
Only what is documented is accepted: quoted names, ``*`` inside a name and ``*`` for the database are refused.

The alphabet leaves regular expressions characters, ``.``, ``*``, ``+``, ``?``, ``$`` and the backslash. Accepted is what
every dialect reads alike: of backslashes the classes ``\d \D \w \W \s \S``, and one before a character that is no letter
or digit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from etl_manager.errors import ConfigError

MAX_PATTERNS = 99
"""Patterns of one integration (Aurora User Guide)."""
MAX_PATTERN_LENGTH = 256
"""Characters of one pattern, without its keyword (Aurora User Guide)."""
MAX_FILTER_LENGTH = 25_600
"""Characters of the whole filter (RDS API, ``DataFilter``)."""
ANY = "*"
"""The schema or table part that matches every name."""

_OUTSIDE_ALPHABET = re.compile(r'[^a-zA-Z0-9_ "\\\-$,*.:?+/]')
_KEYWORD = re.compile(r"([A-Za-z]+)(:?)")
_NAME = re.compile(r"[A-Za-z0-9_$-]+")
_BEGINNING = re.compile(r", *(?:include|exclude):")
_CLASSES = "dDwWsS"


class FilterError(ConfigError):
    """A data filter AWS would refuse, or one that cannot be written at all."""


class RegexError(ValueError):
    """What is wrong with a regular expression (`message`), and at which index (`at`)."""

    def __init__(self, message: str, at: int) -> None:
        """Keep both, so that a caller can name the position in its own text."""
        self.message, self.at = message, at
        super().__init__(message)


@dataclass(frozen=True)
class Pattern:
    """One pattern of a filter, an include or an exclude.

    Its schema and its table are a name, ``*``, or a regular expression between slashes.
    """

    include: bool
    database: str
    schema: str
    table: str

    @property
    def expression(self) -> str:
        """The three parts: what AWS counts against its 256 characters."""
        return f"{self.database}.{self.schema}.{self.table}"

    def __str__(self) -> str:
        """Return the pattern as it stands in a filter."""
        return f"{'include' if self.include else 'exclude'}: {self.expression}"


def is_database_name(name: str) -> bool:
    """Return whether *name* can stand in the database part, which takes nothing but a name."""
    return _NAME.fullmatch(name) is not None


def render(patterns: Sequence[Pattern]) -> str:
    """Return *patterns* as one filter string.

    Raises:
        FilterError: The string would break a limit or the grammar.
    """
    text = ", ".join(map(str, patterns))
    if parse(text) != tuple(patterns):
        raise FilterError("The patterns do not survive being written and read again", context={"filter": text})
    return text


def parse(text: str) -> tuple[Pattern, ...]:
    """Return the patterns of the filter *text*.

    Raises:
        FilterError: It breaks the grammar or a limit; the message names the pattern and the position, both counted from 1.
    """
    if not 1 <= len(text) <= MAX_FILTER_LENGTH:
        raise FilterError(
            f"The data filter has {len(text):,} characters; AWS takes 1 to {MAX_FILTER_LENGTH:,}",
            hint="Use fewer, broader patterns." if text else "Name at least one database, as in: include: mydb.*.*",
        )
    return _Parser(text).patterns()


def tokens(expression: str) -> list[tuple[str, str]]:
    """Split the regular *expression* into ``(atom, quantifier)``: ``*``, ``+``, ``?``, lazy ``*?`` and so on, or empty.

    Raises:
        RegexError: It holds something that is not accepted.
    """
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(expression):
        atom = _atom(expression, at)
        start = at = at + len(atom)
        while at < len(expression) and expression[at] in "*+?":
            at += 1
        quantifier = expression[start:at]
        if len(quantifier) > 2 or quantifier[1:] not in ("", "?"):
            raise RegexError(f"{quantifier!r} repeats a repetition", start)
        found.append((atom, quantifier))
    return found


def _atom(expression: str, at: int) -> str:
    atom = expression[at]
    if atom in "*+?":
        raise RegexError(f"{atom!r} repeats nothing", at)
    if atom == "$" and at + 1 < len(expression):
        raise RegexError("'$' is the end of a name, yet more follows; write '\\$' for the character", at)
    if atom == "\\":
        atom = expression[at : at + 2]
        if len(atom) < 2:
            raise RegexError("the backslash escapes nothing", at)
        if atom[1].isalnum() and atom[1] not in _CLASSES:
            raise RegexError(f"\\{atom[1]} is none of the classes \\d \\D \\w \\W \\s \\S", at)
    return atom


class _Parser:
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
            if self._next() != ",":
                raise self._error(f"a comma is expected here, not {self._next()!r}")
            self._at += 1
            self._number += 1
            if self._number > MAX_PATTERNS:
                raise self._error(f"AWS takes at most {MAX_PATTERNS} patterns for one integration")
            found.append(self._pattern())
        return tuple(found)

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_spaces(self) -> None:
        while self._next() == " ":
            self._at += 1

    def _pattern(self) -> Pattern:
        self._skip_spaces()
        include = self._keyword() == "include"
        self._skip_spaces()
        start = self._at
        database, schema, table = (self._part(what) for what in ("database", "schema", "table"))
        if self._next() == ".":
            raise self._error("a pattern has three parts, database.schema.table; here a fourth begins")
        if (length := self._at - start) > MAX_PATTERN_LENGTH:
            raise self._error(f"it has {length} characters; AWS takes at most {MAX_PATTERN_LENGTH}", start)
        self._skip_spaces()
        return Pattern(include, database, schema, table)

    def _keyword(self) -> str:
        found = _KEYWORD.match(self._text, self._at)
        word = found.group(1) if found else ""
        if not found or word.lower() not in ("include", "exclude"):
            raise self._error("each pattern begins with 'include:' or 'exclude:'")
        if word != word.lower():
            raise self._error(f"the keyword is written in lower case: {word.lower()!r}")
        if not found.group(2):
            raise self._error(f"a colon is expected after {word!r}", found.end())
        self._at = found.end()
        return word

    def _part(self, what: str) -> str:
        if what != "database":
            if self._next() != ".":
                raise self._error(f"the {what} part is missing; a pattern is database.schema.table{self._hint()}")
            self._at += 1
        elif self._next() in ("/", "*"):
            thing = "a regular expression" if self._next() == "/" else "'*'"
            raise self._error(f"the database part takes a name only, not {thing}")
        if self._next() == "/":
            return self._regex()
        start = self._at
        if name := _NAME.match(self._text, start):
            self._at = name.end()
        if self._next() == "*":
            self._at += 1
            if name or self._next() not in ("", ".", ",", " "):
                raise self._error(f"'*' stands for a whole {what}, not for a piece of its name", self._at - 1)
        elif not name:
            raise self._error(f"the {what} part is empty or begins with a character no name has{self._hint()}")
        return self._text[start : self._at]

    def _hint(self) -> str:
        return " (quoted names are not documented for these filters)" if self._next() == '"' else ""

    def _regex(self) -> str:
        start = end = self._at + 1
        while (end := self._text.find("/", end)) >= 0 and self._text[end - 1] == "\\":
            # Behind an even number of backslashes a slash closes the expression for one reader and not for another.
            if (len(self._text[start:end]) - len(self._text[start:end].rstrip("\\"))) % 2 == 0:
                problem = "'\\\\' right before '/' can be read in two ways; write '.' for that character"
                raise self._error(problem, end - 2)
            end += 1
        if end < 0:
            raise self._error("the regular expression that begins here has no closing '/'")
        if end == start:
            raise self._error("the regular expression is empty; '*' matches every name")
        expression = self._text[start:end]
        if "," in expression:
            problem = "a comma can be read as the end of the pattern; write '.' for it"
            raise self._error(problem, self._text.index(",", start))
        try:
            tokens(expression)
        except RegexError as error:
            raise self._error(error.message, start + error.at) from None
        self._at = end + 1
        return f"/{expression}/"

    def _error(self, what: str, at: int | None = None, remedy: str = "") -> FilterError:
        position = (self._at if at is None else at) + 1
        return FilterError(f"Data filter, pattern {self._number}, position {position}: {what}", hint=remedy)
