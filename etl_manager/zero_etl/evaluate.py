r"""What a data filter takes from a catalogue, and how that compares with the tables that are wanted.

Any filter begins with an implicit "exclude all"; then the patterns are applied in order and the last that matches a
table wins (Aurora User Guide, "Data filtering"). Names and ``*`` match whole parts, in their case. Whether a regular
expression must match the *whole* name (AWS's wording, "starts with", "ends with") or may be *found* anywhere in it
(Maxwell, whose syntax AWS uses) is not documented. So there are two semantics here, and a pattern on which they differ
is flagged.

Atoms mean what they mean in Java, the language of Maxwell: ``.`` is no line terminator, ``\d \w \s`` are ASCII, ``$``
also stands before a final line terminator.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from etl_manager.zero_etl.filter import ANY, Pattern, parse, tokens

Pair = tuple[str, str]
"""Schema and table."""

_TERMINATORS = r"\n\r\x85\u2028\u2029"
_MEANING = {".": f"[^{_TERMINATORS}]", "$": rf"(?=(?:\r\n|[{_TERMINATORS}])?\Z)"}


class RegexSemantics(Enum):
    """How a regular expression meets a name."""

    FULL_MATCH = "it matches the whole name"
    SEARCH = "it is found in the name"


class Table(NamedTuple):
    """A table of the cluster."""

    database: str
    schema: str
    table: str

    def __str__(self) -> str:
        """Return ``database.schema.table``."""
        return ".".join(self)


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> tuple[re.Pattern[str], str]:
    """Return *expression* for Python's `re`, and the longest text that every match contains as far as its form shows."""
    pieces: list[str] = []
    literals = [""]
    for atom, quantifier in tokens(expression):
        piece = _MEANING.get(atom, atom if len(atom) == 2 else re.escape(atom)) + quantifier
        if not (quantifier == "*" and pieces[-1:] == [piece]):  # x*x* is x*, and a name is refused far sooner
            pieces.append(piece)
        if quantifier or atom in _MEANING or (len(atom) == 2 and atom[1].isalpha()):
            literals.append("")
        else:
            literals[-1] += atom[-1]
    return re.compile("".join(pieces), re.ASCII), max(literals, key=len)


class Names:
    """The schema names or the table names of one database; remembers what each part matches among them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.all = frozenset(names)
        self._known: dict[str, dict[RegexSemantics, frozenset[str]]] = {}

    def matching(self, part: str, semantics: RegexSemantics = RegexSemantics.FULL_MATCH) -> frozenset[str]:
        """Return the names that the *part* of a pattern matches."""
        if part == ANY:
            return self.all
        if part[0] != "/":
            return self.all & {part}
        if part not in self._known:
            expression, literal = _compiled(part[1:-1])
            found = [name for name in self.all if literal in name and expression.search(name)]
            self._known[part] = {
                RegexSemantics.FULL_MATCH: frozenset(filter(expression.fullmatch, found)),
                RegexSemantics.SEARCH: frozenset(found),
            }
        return self._known[part][semantics]

    def differing(self, part: str) -> frozenset[str]:
        """Return the names on which the two semantics of *part* differ."""
        return self.matching(part, RegexSemantics.SEARCH) - self.matching(part, RegexSemantics.FULL_MATCH)


class Database:
    """The tables of one database, by schema."""

    def __init__(self, tables: Mapping[str, set[str]]) -> None:
        self.tables = tables
        self.schemas = Names(tables)
        self.table_names = Names(name for names in tables.values() for name in names)

    def matching(self, pattern: Pattern, semantics: RegexSemantics = RegexSemantics.FULL_MATCH) -> set[Pair]:
        """Return the ``(schema, table)`` pairs that *pattern* matches, whether it includes or excludes."""
        matched = self.table_names.matching(pattern.table, semantics)
        return {
            (schema, table)
            for schema in self.schemas.matching(pattern.schema, semantics)
            for table in self.tables[schema] & matched
        }

    def taken(self, patterns: Iterable[Pattern], semantics: RegexSemantics = RegexSemantics.FULL_MATCH) -> set[Pair]:
        """Return the pairs that *patterns*, all of them for this database, take: the last match wins."""
        taken: set[Pair] = set()
        for pattern in patterns:
            if pattern.include:
                taken |= self.matching(pattern, semantics)
            else:
                taken -= self.matching(pattern, semantics)
        return taken


@dataclass(frozen=True)
class Ambiguity:
    """A pattern on which the two semantics differ; `names` are the schema or table names they differ on."""

    number: int
    pattern: Pattern
    names: tuple[str, ...]


class ClusterTables:
    """Every table of the cluster's databases."""

    def __init__(self, tables: Collection[tuple[str, str, str]]) -> None:
        """Index ``(database, schema, table)`` triples."""
        found: dict[str, dict[str, set[str]]] = {}
        for database, schema, table in tables:
            found.setdefault(database, {}).setdefault(schema, set()).add(table)
        self.databases = {name: Database(schemas) for name, schemas in found.items()}

    def taken(self, patterns: Sequence[Pattern], semantics: RegexSemantics = RegexSemantics.FULL_MATCH) -> set[Table]:
        """Return the tables that the filter takes."""
        return {
            Table(name, schema, table)
            for name, database in self.databases.items()
            for schema, table in database.taken([p for p in patterns if p.database == name], semantics)
        }

    def ambiguities(self, patterns: Sequence[Pattern]) -> list[Ambiguity]:
        """Return the patterns on which the two semantics differ for a name of the pattern's database."""
        found = []
        for number, pattern in enumerate(patterns, 1):
            if database := self.databases.get(pattern.database):
                names = database.schemas.differing(pattern.schema) | database.table_names.differing(pattern.table)
                if names:
                    found.append(Ambiguity(number, pattern, tuple(sorted(names))))
        return found


@dataclass(frozen=True, kw_only=True)
class FilterComparison:
    """How a filter differs from what is wanted.

    Attributes:
        patterns: The patterns of the filter.
        missing: Wanted tables it does not take, under one semantics of regular expressions or both.
        excess: Tables of the catalogue, in any database, it takes although they are not wanted, under either semantics.
        ambiguous: Patterns that match other names under one semantics than under the other.
    """

    patterns: tuple[Pattern, ...]
    missing: tuple[Table, ...]
    excess: tuple[Table, ...]
    ambiguous: tuple[Ambiguity, ...]

    @property
    def exact(self) -> bool:
        """Whether it takes exactly the wanted tables, however AWS reads regular expressions."""
        return not self.missing and not self.excess


def compare_filter(
    text: str, database: str, wanted: Iterable[Pair], catalogue: Collection[tuple[str, str, str]]
) -> FilterComparison:
    """Return how the filter *text* compares with the *wanted* ``(schema, table)`` pairs of *database*.

    These need not exist yet; *catalogue* has every table of the cluster, as ``(database, schema, table)``.

    Raises:
        FilterError: The filter breaks AWS's grammar or a limit.
    """
    patterns = parse(text)
    expected = {Table(database, *pair) for pair in wanted}
    everything = ClusterTables([*catalogue, *expected])
    full, found = (everything.taken(patterns, semantics) for semantics in RegexSemantics)
    return FilterComparison(
        patterns=patterns,
        missing=tuple(sorted(expected - (full & found))),
        excess=tuple(sorted((full | found) - expected)),
        ambiguous=tuple(everything.ambiguities(patterns)),
    )
