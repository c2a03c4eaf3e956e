"""What a filter is compiled for: the wanted tables among all tables of a database, and what each mistake weighs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property

from etl_manager.zero_etl.cover import cover
from etl_manager.zero_etl.evaluate import Database, Reading
from etl_manager.zero_etl.hierarchy import Choice, Hierarchy, hierarchies
from etl_manager.zero_etl.pattern import ANY, MAX_PATTERNS, Keyword, Part, Pattern
from etl_manager.zero_etl.writing import REST, Group, part_of, shape_of

Pair = tuple[str, str]
"""Schema and table."""

EXCESS, LATENT, PATTERN = 1000, 1, 5
"""The weights of a table taken that is not wanted, of one that would be taken if it existed, and of a pattern more."""

_Offer = tuple[str, "str | Part"]


class Problem:
    """Wanted tables beside the others of their database.

    A schema of which nothing is wanted, and that lacks the table wanted most often, gets that table as a latent one: a filter
    that would take it, should it be created, is worse than one that would not, though only real tables decide whether a
    filter is exact.
    """

    def __init__(self, database: str, wanted: Sequence[Pair], catalogue: Iterable[Pair]) -> None:
        """Index the tables of the catalogue, the wanted ones (which may not exist yet) and the latent ones."""
        self.name = database
        self.wanted = dict.fromkeys(wanted)
        tables: dict[str, set[str]] = {}
        for schema, table in [*catalogue, *self.wanted]:
            tables.setdefault(schema, set()).add(table)
        probe = Counter(table for _, table in self.wanted).most_common(1)[0][0]
        self.wanted_schemas = {schema for schema, _ in self.wanted}
        self.latent = {(schema, probe) for schema in tables.keys() - self.wanted_schemas if probe not in tables[schema]}
        for schema, table in self.latent:
            tables[schema].add(table)
        self.database = Database(tables)
        self.tables = tuple(dict.fromkeys(table for _, table in self.wanted))

    def mistakes(self, patterns: Sequence[Pattern]) -> dict[Pair, int]:
        """Return what *patterns* take beyond the wanted tables, with its weight."""
        beyond = self.database.taken(patterns, Reading.WHOLE) - self.wanted.keys()
        return {pair: LATENT if pair in self.latent else EXCESS for pair in beyond}

    def schema_part(self, shape: str, covered: Collection[str] = ()) -> Part | None:
        """Return the part for *shape* among the schemas of the database; it matches at least *covered*."""
        return part_of(shape, self.database.schemas, covered)

    def table_part(self, shape: str, covered: Collection[str] = ()) -> Part | None:
        """Return the part for *shape* among the table names of the database; it matches at least *covered*."""
        return part_of(shape, self.database.table_names, covered)

    @cached_property
    def table_hierarchies(self) -> list[Hierarchy]:
        """The table names, those wanted nowhere weighted."""
        names = {table for tables in self.database.tables.values() for table in tables}
        return hierarchies(names, dict.fromkeys(names - set(self.tables), EXCESS))

    def cleared(self, patterns: list[Pattern], jobs: Sequence[Job]) -> list[Pattern]:
        """Return *patterns* with excludes behind them, as far as there is room, against what they take too much.

        An exclude added here matches no wanted table, so nothing needs to follow it.
        """
        mistakes = self.mistakes(patterns)
        written: dict[_Offer, Pattern] = {}

        def accept(offer: _Offer) -> Collection[Pair] | None:
            schema = self.schema_part(offer[0])
            table = offer[1] if isinstance(offer[1], Part) else self.table_part(offer[1])
            if schema is None or table is None:
                return None
            written[offer] = Pattern(Keyword.EXCLUDE, self.name, schema, table)
            matched = self.database.matching(written[offer], Reading.WHOLE)
            return matched if self.wanted.keys().isdisjoint(matched) else None

        room = MAX_PATTERNS - len(patterns)
        chosen, _ = cover(mistakes, self._offers(mistakes, jobs), room, accept, least=PATTERN + 1)
        return patterns + [written[offer] for offer in chosen]

    def _offers(self, mistakes: Iterable[Pair], jobs: Sequence[Job]) -> list[tuple[_Offer, list[Pair]]]:
        """Return excludes that may help against *mistakes*: one for each, and one for each group without a wanted name."""
        by_name: tuple[dict[str, list[Pair]], dict[str, list[Pair]]] = {}, {}
        offers: list[tuple[_Offer, list[Pair]]] = []
        for pair in sorted(mistakes):
            offers.append(((shape_of(pair[0]), shape_of(pair[1])), [pair]))
            for names, name in zip(by_name, pair, strict=True):
                names.setdefault(name, []).append(pair)
        tables = (group for hierarchy in self.table_hierarchies for group in hierarchy.foreign_groups())
        for job in jobs:
            for group in job.foreign_groups:
                if len(pairs := [pair for name in group.names for pair in by_name[0].get(name, ())]) > 1:
                    offers += [((shape, job.excluded), pairs) for shape in group.shapes()]
        for group in tables:
            if len(pairs := [pair for name in group.names for pair in by_name[1].get(name, ())]) > 1:
                offers += [((REST, shape), pairs) for shape in group.shapes()]
        return offers


class Job:
    """A part of the problem that is a question about schemas only: these tables, in which schemas?"""

    def __init__(self, problem: Problem, tables: Sequence[Part]) -> None:
        """Weigh each schema by what *tables* would take from it."""
        self._problem = problem
        self.tables = tuple(tables)
        self.excluded = tables[0] if len(tables) == 1 else ANY
        database = problem.database
        matched = frozenset().union(*(database.table_names.matching(part, Reading.WHOLE) for part in tables))
        self.wanted = {schema for schema, table in problem.wanted if table in matched}
        self.weights: dict[str, int] = {}
        for schema in database.tables.keys() - self.wanted:
            for table in database.tables[schema] & matched:
                weight = LATENT if (schema, table) in problem.latent else EXCESS
                self.weights[schema] = self.weights.get(schema, 0) + weight

    @cached_property
    def hierarchies(self) -> list[Hierarchy]:
        """The schemas that are wanted or weigh something, arranged in several ways."""
        return hierarchies(self.wanted | self.weights.keys(), self.weights)

    @cached_property
    def foreign_groups(self) -> list[Group]:
        """The groups of several schemas none of which is wanted."""
        groups = [group for h in self.hierarchies for group in h.foreign_groups()]
        return [group for group in groups if len(group.names) > 1]

    def includes(self, schema: Part) -> list[Pattern]:
        """Return the patterns that include the tables of the job in *schema*."""
        return [Pattern(Keyword.INCLUDE, self._problem.name, schema, table) for table in self.tables]

    def _part(self, group: Group, covered: Collection[str] = ()) -> Part | None:
        """Return a part for *group*, one that matches nothing else where there is such a one."""
        parts = [part for shape in group.shapes() if (part := self._problem.schema_part(shape, covered))]
        for part in parts:
            if self._problem.database.schemas.matching(part, Reading.WHOLE).issubset(group.names):
                return part
        return parts[0] if parts else None

    def patterns(self, way: int, choices: Iterable[Choice]) -> list[tuple[int, Pattern]]:
        """Return the patterns of *choices* with their levels, without excludes that would hit a wanted schema."""
        found: list[tuple[int, Pattern]] = []
        for level, keyword, node in choices:
            group = self.hierarchies[way].group(node)
            if keyword is Keyword.INCLUDE:
                schema = self._part(group, self.wanted.intersection(group.names))
                found += [(level, pattern) for pattern in self.includes(schema or ANY)]
            elif (schema := self._part(group)) is not None:
                hit = self._problem.database.schemas.matching(schema, Reading.WHOLE) & self.wanted
                if hit <= set(group.names):
                    found.append((level, Pattern(Keyword.EXCLUDE, self._problem.name, schema, self.excluded)))
        return found

    def patchwork(self, share: float, room: int) -> list[Pattern] | None:
        """Return includes alone, of groups from all hierarchies of which *share* is wanted; None if *room* is too small."""
        groups = [group for h in self.hierarchies for group in h.wanted_groups(share)]
        room //= len(self.tables)
        if sum(sorted((len(group.names) for group in groups), reverse=True)[:room]) < len(self.wanted):
            return None

        def accept(shape: str) -> Collection[str] | None:
            part = self._problem.schema_part(shape)
            return None if part is None else self._problem.database.schemas.matching(part, Reading.WHOLE)

        offers = [(group.shape, group.names) for group in groups]
        chosen, left = cover(dict.fromkeys(self.wanted, 1), offers, room, accept)
        parts = [part for shape in chosen if (part := self._problem.schema_part(shape))]
        return None if left else [pattern for part in parts for pattern in self.includes(part)]
