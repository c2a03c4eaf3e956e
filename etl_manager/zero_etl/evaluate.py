r"""What a data filter takes from a catalogue, under either reading of its regular expressions.

Any filter begins with an implicit "exclude all"; then the patterns are applied in order and the last that matches a
table wins (Aurora User Guide, "Data filtering"). Names and ``*`` match whole parts. Whether a regular expression must
match the *whole* name (AWS's wording, "starts with", "ends with") or may be *found* anywhere in it (Maxwell, whose
syntax AWS uses) is not documented. So there are two readings here, and a pattern on which they differ is flagged.

PostgreSQL names are case-sensitive, and so is matching.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import NamedTuple

from etl_manager.zero_etl.pattern import Keyword, Kind, Part, Pattern
from etl_manager.zero_etl.regex import compiled, longest_literal


class Reading(Enum):
    """How a regular expression meets a name."""

    WHOLE = "whole-name match"
    FIND = "unanchored find"


class Table(NamedTuple):
    """A table of the cluster."""

    database: str
    schema: str
    table: str

    def __str__(self) -> str:
        """Return ``database.schema.table``."""
        return ".".join(self)


@dataclass(frozen=True)
class Ambiguity:
    """A pattern on which the two readings differ; `names` are the schema or table names they differ on."""

    number: int
    pattern: Pattern
    names: tuple[str, ...]


class Names:
    """The schema names or the table names of one database; remembers what each part matches among them."""

    def __init__(self, names: Iterable[str]) -> None:
        """Keep the names sorted, and joined for a quick search (no PostgreSQL name contains NUL)."""
        self._names = sorted(set(names))
        self._all = frozenset(self._names)
        self._text = "\0".join(self._names)
        self._starts = list(accumulate((len(name) + 1 for name in self._names[:-1]), initial=0))
        self._known: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def matching(self, part: Part, reading: Reading) -> frozenset[str]:
        """Return the names that *part* matches."""
        if part.kind is Kind.ANY:
            return self._all
        if part.kind is Kind.NAME:
            return self._all & {part.text}
        if part.text not in self._known:
            expression = compiled(part.text)
            # Nearly all names fall out because they lack the longest literal of the expression.
            names = self._containing(longest_literal(part.text))
            found = [name for name in names if expression.search(name)]
            self._known[part.text] = frozenset(filter(expression.fullmatch, found)), frozenset(found)
        return self._known[part.text][reading is Reading.FIND]

    def differing(self, part: Part) -> frozenset[str]:
        """Return the names on which the two readings of *part* differ."""
        return self.matching(part, Reading.FIND) - self.matching(part, Reading.WHOLE)

    def _containing(self, literal: str) -> list[str]:
        if not literal:
            return self._names
        names = []
        at = self._text.find(literal)
        while at >= 0:
            index = bisect_right(self._starts, at) - 1
            names.append(self._names[index])
            at = self._text.find(literal, self._starts[index] + len(self._names[index]))
        return names


class Database:
    """The tables of one database, by schema."""

    def __init__(self, tables: dict[str, set[str]]) -> None:
        """Index the names."""
        self.tables = tables
        self.schemas = Names(tables)
        self.table_names = Names(name for names in tables.values() for name in names)

    def matching(self, pattern: Pattern, reading: Reading) -> set[tuple[str, str]]:
        """Return the ``(schema, table)`` pairs that *pattern* matches, whatever its keyword."""
        wanted = self.table_names.matching(pattern.table, reading)
        every = pattern.table.kind is Kind.ANY
        return {
            (schema, table)
            for schema in self.schemas.matching(pattern.schema, reading)
            for table in (self.tables[schema] if every else self.tables[schema] & wanted)
        }

    def taken(self, patterns: Iterable[Pattern], reading: Reading) -> set[tuple[str, str]]:
        """Return the pairs that *patterns*, all of them for this database, take: the last match wins."""
        taken: set[tuple[str, str]] = set()
        for pattern in patterns:
            if pattern.keyword is Keyword.INCLUDE:
                taken |= self.matching(pattern, reading)
            else:
                taken -= self.matching(pattern, reading)
        return taken


class Catalogue:
    """Every table of the cluster's databases."""

    def __init__(self, tables: Collection[tuple[str, str, str]]) -> None:
        """Index ``(database, schema, table)`` triples."""
        found: dict[str, dict[str, set[str]]] = {}
        for database, schema, table in tables:
            found.setdefault(database, {}).setdefault(schema, set()).add(table)
        self.databases = {name: Database(schemas) for name, schemas in found.items()}

    def taken(self, patterns: Sequence[Pattern], reading: Reading = Reading.WHOLE) -> set[Table]:
        """Return the tables that the filter takes."""
        return {
            Table(name, schema, table)
            for name, database in self.databases.items()
            for schema, table in database.taken([p for p in patterns if p.database == name], reading)
        }

    def ambiguities(self, patterns: Sequence[Pattern]) -> list[Ambiguity]:
        """Return the patterns on which the two readings differ for a name of the pattern's database."""
        found = []
        for number, pattern in enumerate(patterns, 1):
            if database := self.databases.get(pattern.database):
                names = database.schemas.differing(pattern.schema) | database.table_names.differing(pattern.table)
                if names:
                    found.append(Ambiguity(number, pattern, tuple(sorted(names))))
        return found
