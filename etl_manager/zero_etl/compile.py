r"""From wanted tables to a data filter that takes exactly them, within AWS's limits.

Up to 99 tables it is the plain list. For more it is broad includes, followed by excludes of the excess; a greedy choice
makes both from groups of names. Several filters are made, whose groups tolerate more and more unwanted names,
and the shortest exact one is returned. Excludes never match a wanted table.

The filter is proven by `evaluate` against the catalogue, under both semantics of regular expressions. This is a heuristic:
where it finds none, there may still be one.

A group is names with a common beginning (``tenant_.*``) or ending (``.*_archive``), or alike but for digits of their last
number (``tenant_\d+``, ``tenant_1\d\d``, ``tenant_\d\d0``, ``.*_\d+``).

Its *shape* is an expression of which each atom is one character, so that it can be cut, sorted and reversed like a name:
the characters themselves, and marks for ``\d+``, ``\d`` and ``.*``, and for what is outside the filter's alphabet, ``.``,
``\W`` or ``\s``.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple, TypeVar

from etl_manager.wording import enumeration
from etl_manager.zero_etl.evaluate import Database, Names, Pair, Table, compare_filter
from etl_manager.zero_etl.filter import ANY, MAX_PATTERNS, FilterError, Pattern, is_database_name, render

C = TypeVar("C")
T = TypeVar("T")

_Shapes = tuple[str, str]
"""The shapes of a schema part and of a table part."""
_TOLERANCES = (0, 0.1, 0.2, 0.3, 0.5, 1)
"""Shares of the names of an included group that may be unwanted."""

_DIGITS, _DIGIT, _REST, _ONE, _SYMBOL, _SPACE, _LAST = map(chr, range(0xE000, 0xE007))
_ESCAPED = ".*+?$"
_WRITTEN = {_DIGITS: r"\d+", _DIGIT: r"\d", _REST: ".*", _ONE: ".", _SYMBOL: r"\W", _SPACE: r"\s"} | {
    char: "\\" + char for char in _ESCAPED
}
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_ITSELF = _WORD | frozenset("-" + _ESCAPED)
_TERMINATORS = frozenset("\x85\u2028\u2029")  # a dot would not match them
_LOOSE = str.maketrans(dict.fromkeys(_ESCAPED + _DIGIT, _ONE))
_NUMBER = re.compile("(.*?)([0-9]+)([^0-9]*)")
_MAX_REFUSALS = 100
"""Offers that are refused before a cover is given up: each takes a search through all names."""
_MAX_REGEX_LENGTH = 88
"""With a database name of 63 characters and two of these, a pattern stays under 256, and 99 of them under 25,600."""


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
        in_the_way = enumeration([Table(database, *pair) for pair in sorted(best.excess)])
        raise FilterError(
            f"No data filter of at most {MAX_PATTERNS} patterns was found that takes every wanted table ({len(wanted):,})"
            f" and leaves out {in_the_way}",
            hint="Move or rename those tables, or give the wanted schemas and tables names that set them apart:"
            " a beginning or an ending of their own.",
        )
    text = render(best.patterns)
    proof = compare_filter(text, database, wanted, catalogue)
    if not proof.exact or proof.ambiguous:  # a defect of this module: never hand it out
        raise AssertionError(f"{text} is ambiguous or not exact")
    open_schemas = tuple(sorted(schema for schema, _ in opened))
    return CompiledFilter(text=text, patterns=proof.patterns, open_schemas=open_schemas)


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
        self._schemas = _Axis(self.database.schemas)
        self._tables = _Axis(self.database.table_names)
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
            yield [tuple((_shape_of(schema), _shape_of(table)) for schema, table in self._wanted)]
        if len(self._wanted_tables) <= MAX_PATTERNS:
            yield self._in_groups({key: list(map(_shape_of, tables)) for key, tables in self._columns.items()})
        for tolerance in _TOLERANCES:
            if tables := self._tables.cover(self._wanted_tables, tolerance, MAX_PATTERNS):
                yield self._in_groups({self._wanted_schemas: tables})
        yield self._in_groups({self._wanted_schemas: [_REST]})

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
        yield tuple((_REST, table) for table in dict.fromkeys(chain(*columns.values())))

    def _pattern(self, shapes: _Shapes, *, include: bool) -> Pattern | None:
        schema, table = self._schemas.part(shapes[0]), self._tables.part(shapes[1])
        return Pattern(include, self._name, schema, table) if schema and table else None

    def _patterns(self, shapes: Iterable[_Shapes], *, include: bool) -> list[Pattern]:
        return [pattern for each in shapes if (pattern := self._pattern(each, include=include))]

    def _completed(self, shapes: Sequence[_Shapes]) -> _Candidate | None:
        """Return the includes of *shapes* with excludes behind them; None where they are too many or miss a wanted table."""
        patterns = self._patterns(shapes, include=True)
        taken = self.database.taken(patterns)
        if not taken >= self._wanted.keys():
            return None

        def covered(offer: _Shapes) -> set[Pair]:
            pattern = self._pattern(offer, include=False)
            matched = self.database.matching(pattern) if pattern else set()
            return matched if matched.isdisjoint(self._wanted) else set()

        excess = taken - self._wanted.keys()
        tables = {table for _, table in shapes}
        offers = list(self._excludes(excess, tables.pop() if len(tables) == 1 else _REST))
        excludes, left = _greedy_cover(excess, offers, MAX_PATTERNS - len(patterns), covered)
        patterns += self._patterns(excludes, include=False)
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
            yield (_REST, table), pairs
        for schema, table in sorted(excess):
            yield (_shape_of(schema), _shape_of(table)), [(schema, table)]


def _shape_of(name: str) -> str:
    return name if _WORD.issuperset(name) else "".join(map(_spelled, name))


def _spelled(char: str) -> str:
    if char in _ITSELF:
        return char
    if char.isascii():
        return _SPACE if char in " \t\n\r\f\v" else _SYMBOL
    return _SYMBOL if char in _TERMINATORS else _ONE


def _groups(names: Iterable[str]) -> list[tuple[str, frozenset[str]]]:
    """Return the groups of several *names* with their shapes: small ones first, of equals those with a fixed beginning."""
    shapes = {name: _shape_of(name) for name in sorted(names)}
    numbers = {name: found.groups() for name, shape in shapes.items() if (found := _NUMBER.fullmatch(shape))}
    groups: dict[str, list[str]] = {}
    for keys in (shapes, {name: head + _DIGITS + tail for name, (head, _, tail) in numbers.items()}):
        for step in (1, -1):  # beginnings, then endings
            ordered = sorted((key[::step], name) for name, key in keys.items())
            starts = {_common_start(a, b) for (a, _), (b, _) in pairwise(ordered)}
            for start in sorted(starts - {""}):
                low, high = bisect_left(ordered, (start,)), bisect_left(ordered, (start + _LAST,))
                groups[(start + _REST)[::step]] = [name for _, name in ordered[low:high]]
    for name, (head, digits, tail) in numbers.items():
        cuts = range(1, len(digits))
        alike = [digits[:cut] + _DIGIT * (len(digits) - cut) for cut in reversed(cuts)]
        alike += [_DIGIT * cut + digits[cut:] for cut in cuts]
        for middle in (*alike, _DIGIT * len(digits), _DIGITS):
            groups.setdefault(head + middle + tail, []).append(name)
    several = [(shape, frozenset(found)) for shape, found in groups.items() if len(found) > 1]
    return sorted(several, key=lambda group: (len(group[1]), group[0].startswith(_REST)))


def _common_start(a: str, b: str) -> str:
    return a[: next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))]


class _Axis:
    """The schema names or the table names of a database, and the shapes that stand for some of them."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._groups = _groups(names.all)
        self._parts: dict[str, str | None] = {}

    def part(self, shape: str) -> str | None:
        """Return the narrowest part for *shape* on which both semantics agree over all names; None where there is none.

        Where a name is found by an expression but not matched whole, the end is anchored, then the beginning is freed
        (there is no ``^`` in the alphabet), which makes the two agree at the price of matching more.
        """
        if shape not in self._parts:
            self._parts[shape] = next((p for p in self._candidates(shape) if not self._names.differing(p)), None)
        return self._parts[shape]

    @staticmethod
    def _candidates(shape: str) -> Iterator[str]:
        if shape == _REST or _WORD.issuperset(shape):
            yield ANY if shape == _REST else shape
            return
        text = "".join(_WRITTEN.get(atom, atom) for atom in shape)
        if len(text) > _MAX_REGEX_LENGTH - len(".*$"):
            text = "".join(_WRITTEN.get(atom, atom) for atom in shape.translate(_LOOSE))
        free = "" if shape.startswith(_REST) else ".*"
        for expression in (text, text + "$", free + text, free + text + "$"):
            if len(expression) <= _MAX_REGEX_LENGTH:
                yield f"/{expression}/"

    def offers(
        self, things: Mapping[str, Sequence[T]], unwanted: frozenset[str], tolerance: float = 0
    ) -> Iterator[tuple[str, list[T]]]:
        """Yield shapes with what there is to be covered for their names in *things*.

        Of a group's names, *tolerance* is the share, 0 to 1, that may be *unwanted*.
        """
        for name, found in things.items():
            if name not in unwanted:
                yield _shape_of(name), list(found)
        for shape, names in self._groups:
            if len(unwanted.intersection(names)) <= tolerance * len(names) and (
                hit := [thing for name in names if name in things for thing in things[name]]
            ):
                yield shape, hit

    def cover(self, wanted: frozenset[str], tolerance: float, room: int) -> list[str] | None:
        """Return at most *room* shapes that match at least the *wanted* names; None where they do not suffice."""

        def covered(shape: str) -> frozenset[str]:
            matched = self._matching(shape)
            return matched if len(matched - wanted) <= tolerance * len(matched) else frozenset()

        things = {name: [name] for name in sorted(wanted)}
        offers = list(self.offers(things, self._names.all - wanted, tolerance))
        chosen, left = _greedy_cover(wanted, offers, room, covered)
        return None if left else self._narrowed(chosen, wanted)

    def _matching(self, shape: str) -> frozenset[str]:
        part = self.part(shape)
        return self._names.matching(part) if part else frozenset()

    def _narrowed(self, shapes: list[str], wanted: frozenset[str]) -> list[str]:
        """Return *shapes* without those that are not needed, each narrowed to the names that no other of them matches."""
        count = Counter(name for shape in shapes for name in self._matching(shape) & wanted)
        narrowed = []
        for shape in shapes:
            matched = self._matching(shape)
            count.subtract(matched & wanted)
            if only := frozenset(name for name in matched & wanted if not count[name]):
                fitting = (
                    group for group, names in self._groups if only <= names and only <= self._matching(group) < matched
                )
                narrowed.append(next(fitting, shape))
                count.update(self._matching(narrowed[-1]) & wanted)
        return narrowed


def _greedy_cover(
    things: Collection[T],
    offers: Sequence[tuple[C, Sequence[T]]],
    room: int,
    covered: Callable[[C], Set[T]],
) -> tuple[list[C], set[T]]:
    """Choose at most *room* offers, each time the one with the most *things* not yet covered, of equals the earlier.

    Args:
        things: What is to be covered.
        offers: Choices with the things they are expected to cover.
        room: How many may be chosen.
        covered: Returns what a choice really covers; nothing when it may not be chosen.

    Returns:
        The choices, and what is left uncovered; nothing is chosen where the offers cannot suffice.
    """
    left = set(things)
    if sum(heapq.nlargest(room, (len(expected) for _, expected in offers))) < len(left):
        return [], left
    # The worth of an offer only ever falls: the head of the queue is right once its worth is up to date.
    queue = [(-len(expected), index) for index, (_, expected) in enumerate(offers)]
    heapq.heapify(queue)
    chosen: list[C] = []
    refused = 0
    while left and queue and len(chosen) < room and refused < _MAX_REFUSALS:
        known, index = heapq.heappop(queue)
        offer, expected = offers[index]
        if (worth := sum(thing in left for thing in expected)) < -known:
            heapq.heappush(queue, (-worth, index))
        elif worth and not left.isdisjoint(taken := covered(offer)):
            chosen.append(offer)
            left -= taken
        else:
            refused += 1
    return chosen, left
