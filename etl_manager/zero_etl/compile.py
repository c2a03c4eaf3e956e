r"""From wanted tables to a data filter that takes exactly them, within AWS's limits.

Up to 99 tables it is the plain list. For more it is broad includes, followed by excludes of the excess; a greedy choice
makes both from groups of names (see `groups`). Several filters are made, whose groups tolerate more and more unwanted names,
and the shortest exact one is returned. Excludes never match a wanted table.

The filter is proven by `evaluate` against the catalogue, under both semantics of regular expressions. This is a heuristic:
where it finds none, there may still be one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from etl_manager.wording import enumeration
from etl_manager.zero_etl.evaluate import Database, Pair, Table, compare_filter
from etl_manager.zero_etl.filter import ANY, MAX_PATTERNS, FilterError, Pattern, is_database_name, render
from etl_manager.zero_etl.groups import REST, Axis, greedy_cover, shape_of

_Shapes = tuple[str, str]
"""The shapes of a schema part and of a table part."""
_TOLERANCES = (0, 0.1, 0.2, 0.3, 0.5, 1)
"""Shares of the names of an included group that may be unwanted."""


@dataclass(frozen=True, kw_only=True)
class CompiledFilter:
    """A data filter that takes the wanted tables and no other table of the catalogue.

    Attributes:
        text: The filter, as ``--data-filter`` takes it.
        patterns: The same, in its parts.
        open_schemas: Schemas of the catalogue of which nothing is wanted and nothing taken, until they get the table that
            is wanted most often.
    """

    text: str
    patterns: tuple[Pattern, ...]
    open_schemas: tuple[str, ...]


def compile_filter(
    database: str, wanted: Sequence[Pair], catalogue: Collection[tuple[str, str, str]]
) -> CompiledFilter:
    """Return a filter for the *wanted* ``(schema, table)`` pairs of *database*.

    Args:
        database: The database they are in.
        wanted: In the order the plain list is to have; they need not exist yet.
        catalogue: Every table of the cluster, as ``(database, schema, table)``.

    Raises:
        FilterError: Nothing is wanted, the database has a name that no filter can hold, or no exact filter was found.
    """
    if not wanted:
        raise FilterError("A data filter needs at least one table", hint="Name tenants in config.json.")
    if not is_database_name(database):
        raise FilterError(
            f"No data filter can name the database {database!r}",
            hint="The database part of a pattern is a plain name of letters, digits, '_', '-' and '$'.",
        )
    wanted = list(dict.fromkeys(wanted))
    existing = {(schema, table) for name, schema, table in catalogue if name == database}.union(wanted)
    # Preferred is a filter that also leaves out the table wanted most often where a schema gets it later.
    [(usual, _)] = Counter(table for _, table in wanted).most_common(1)
    foreign = {schema for schema, _ in existing} - {schema for schema, _ in wanted}
    later = {(schema, usual) for schema in foreign} - existing
    compiler = _Compiler(database, wanted, existing | later)
    best = compiler.best()
    opened: set[Pair] = set()
    if best.excess and later:
        best = _Compiler(database, wanted, existing).best()
        opened = compiler.database.taken(best.patterns) & later
    if best.excess:
        raise _not_found(len(wanted), [Table(database, *pair) for pair in sorted(best.excess)])
    text = render(best.patterns)
    proof = compare_filter(text, database, wanted, catalogue)
    if not proof.exact or proof.ambiguous:  # a defect of this module: never hand it out
        raise AssertionError(f"{text} is ambiguous or not exact")
    open_schemas = tuple(sorted(schema for schema, _ in opened))
    return CompiledFilter(text=text, patterns=proof.patterns, open_schemas=open_schemas)


def _not_found(wanted: int, excess: Sequence[Table]) -> FilterError:
    return FilterError(
        f"No data filter of at most {MAX_PATTERNS} patterns was found that takes every wanted table ({wanted:,})"
        f" and leaves out {enumeration(excess)}",
        hint="Move or rename those tables, or give the wanted schemas and tables names that set them apart:"
        " a beginning or an ending of their own.",
    )


class _Candidate(NamedTuple):
    """A filter that takes every wanted table, and its excess."""

    patterns: list[Pattern]
    excess: set[Pair]

    def rank(self) -> tuple[int, bool, int]:
        """Return the order of filters, the best first: little excess, no include of every schema, few patterns."""
        every_schema = any(pattern.include and pattern.schema == ANY for pattern in self.patterns)
        return len(self.excess), every_schema, len(self.patterns)


class _Compiler:
    """The search for a filter: *wanted* tables among all *tables* of a database."""

    def __init__(self, database: str, wanted: Iterable[Pair], tables: Iterable[Pair]) -> None:
        self._name = database
        self._wanted = dict.fromkeys(wanted)
        by_schema: dict[str, set[str]] = {}
        for schema, table in tables:
            by_schema.setdefault(schema, set()).add(table)
        self.database = Database(by_schema)
        self._schemas = Axis(self.database.schemas)
        self._tables = Axis(self.database.table_names)
        schemas_of: dict[str, set[str]] = {}
        for schema, table in self._wanted:
            schemas_of.setdefault(table, set()).add(schema)
        self._wanted_tables = frozenset(schemas_of)
        self._wanted_schemas = frozenset(schema for schema, _ in self._wanted)
        # Tables that are wanted in the same schemas share their patterns; mostly that is all of them.
        self._columns: dict[frozenset[str], list[str]] = {}
        for table, schemas in schemas_of.items():
            self._columns.setdefault(frozenset(schemas), []).append(table)

    def best(self) -> _Candidate:
        """Return the best filter found: an exact one where there is one."""
        found: list[_Candidate] = []
        tried: set[tuple[_Shapes, ...]] = set()
        for attempts in self._stages():
            for includes in attempts:
                if includes not in tried and (candidate := self._completed(includes)):
                    found.append(candidate)
                    if candidate.rank() == (0, False, len({table for _, table in includes})):
                        return candidate  # one pattern for each table: this cannot be shorter
                tried.add(includes)
            if found and not (best := min(found, key=_Candidate.rank)).excess:
                break
        return best

    def _stages(self) -> Iterator[Iterable[tuple[_Shapes, ...]]]:
        """Yield includes to try, in stages: the next one only where none before gave an exact filter."""
        if len(self._wanted) <= MAX_PATTERNS:
            yield [tuple((shape_of(schema), shape_of(table)) for schema, table in self._wanted)]
        if len(self._wanted_tables) <= MAX_PATTERNS:
            yield self._in_groups({key: list(map(shape_of, tables)) for key, tables in self._columns.items()})
        for tolerance in _TOLERANCES:
            if tables := self._tables.cover(self._wanted_tables, tolerance, MAX_PATTERNS):
                yield self._in_groups({self._wanted_schemas: tables})
        yield self._in_groups({self._wanted_schemas: [REST]})

    def _in_groups(self, columns: Mapping[frozenset[str], list[str]]) -> Iterator[tuple[_Shapes, ...]]:
        """Yield includes of the tables of *columns* in groups of their schemas, and in every schema."""
        for tolerance in _TOLERANCES:
            found: list[_Shapes] = []
            for schemas, tables in columns.items():
                groups = self._schemas.cover(schemas, tolerance, (MAX_PATTERNS - len(found)) // len(tables))
                if groups is None:
                    break
                found += [(schema, table) for schema in groups for table in tables]
            else:
                yield tuple(found)
        yield tuple((REST, table) for table in dict.fromkeys(chain(*columns.values())))

    def _pattern(self, shapes: _Shapes, *, include: bool) -> Pattern | None:
        schema, table = self._schemas.part(shapes[0]), self._tables.part(shapes[1])
        return Pattern(include, self._name, schema, table) if schema and table else None

    def _completed(self, shapes: Sequence[_Shapes]) -> _Candidate | None:
        """Return the includes of *shapes* with excludes behind them; None where they are too many or miss a wanted table."""
        patterns = [pattern for each in shapes if (pattern := self._pattern(each, include=True))]
        taken = self.database.taken(patterns)
        if not taken >= self._wanted.keys():
            return None

        def accept(offer: _Shapes) -> tuple[Pattern, Set[Pair]] | None:
            pattern = self._pattern(offer, include=False)
            matched = self.database.matching(pattern) if pattern else set()
            return (pattern, matched) if pattern and matched.isdisjoint(self._wanted) else None

        excess = taken - self._wanted.keys()
        tables = {table for _, table in shapes}
        offers = list(self._excludes(excess, tables.pop() if len(tables) == 1 else REST))
        excludes, left = greedy_cover(excess, offers, MAX_PATTERNS - len(patterns), accept)
        patterns += excludes
        return _Candidate(patterns, left) if len(patterns) <= MAX_PATTERNS else None

    def _excludes(self, excess: Set[Pair], usual: str) -> Iterator[tuple[_Shapes, list[Pair]]]:
        """Yield excludes with what they are expected to take out of *excess*, schemas by the table part *usual*."""
        by_schema: dict[str, list[Pair]] = {}
        by_table: dict[str, list[Pair]] = {}
        for pair in sorted(excess):
            by_schema.setdefault(pair[0], []).append(pair)
            by_table.setdefault(pair[1], []).append(pair)
        for schema, pairs in self._schemas.offers(by_schema, self._wanted_schemas):
            yield (schema, usual), pairs
        for table, pairs in self._tables.offers(by_table, self._wanted_tables):
            yield (REST, table), pairs
        for schema, table in sorted(excess):
            yield (shape_of(schema), shape_of(table)), [(schema, table)]
