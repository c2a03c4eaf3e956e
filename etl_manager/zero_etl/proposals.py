"""Filters that miss no wanted table; which of them takes least beyond, `compile` finds out.

First the plain list. Then, for each way to ask about the tables (each name, groups of names, all of them) and for each
hierarchy of the schema names: the cheapest choice of groups at a high price of mistakes, which is the shortest exact
one there, and at falling prices, which leave out the excludes that gain least, down to one broad include. Behind
each choice come excludes from all hierarchies against what it takes too much; that is how ``tenant_.*`` but not
``.*_archive`` is found. Beyond a single hierarchy this is a heuristic.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from etl_manager.zero_etl.cover import cover
from etl_manager.zero_etl.evaluate import Reading
from etl_manager.zero_etl.hierarchy import Choice, Prices
from etl_manager.zero_etl.pattern import ANY, MAX_PATTERNS, Keyword, Part, Pattern
from etl_manager.zero_etl.problem import LATENT, PATTERN, Job, Pair, Problem
from etl_manager.zero_etl.writing import shape_of

_EXACT = LATENT / PATTERN
_MILDER = (1e-2, 1e-4, 1e-5, 1e-6, 1e-9)
"""Prices of a unit of weight, in patterns: of what ignores latent tables, down to what ignores all mistakes."""
_STEPS = 10
_SHARES = (1, 0.9, 0.7)
"""How much of a group must be wanted for it to be included with groups of other hierarchies."""


def proposals(problem: Problem) -> Iterator[tuple[list[Pattern], bool]]:
    """Make filters that miss no wanted table, with whether one is final when it is exact."""
    if plain := _plain_list(problem):
        yield problem.cleared(plain, []), True
    for jobs in _job_sets(problem):
        ways = range(min(len(job.hierarchies) for job in jobs))
        exact = [_choose(jobs, way, _EXACT) for way in ways]
        for way in ways:
            if _count(jobs, exact[way]) <= MAX_PATTERNS:
                yield _finished(problem, jobs, _written(jobs, way, exact[way])), False
        for share in _SHARES if len(jobs) == 1 else ():
            if patchwork := jobs[0].patchwork(share, MAX_PATTERNS):
                yield _finished(problem, jobs, patchwork), False
        for way in ways:
            counts = {_count(jobs, exact[way])}
            for excess in ([_dearest(jobs, way)] if min(counts) > MAX_PATTERNS else []) + [*_MILDER]:
                choices = _choose(jobs, way, excess)
                if (count := _count(jobs, choices)) <= MAX_PATTERNS and count not in counts:
                    counts.add(count)
                    yield _finished(problem, jobs, _written(jobs, way, choices)), False


def _plain_list(problem: Problem) -> list[Pattern] | None:
    if len(problem.wanted) > MAX_PATTERNS:
        return None
    found = []
    for schema_name, table_name in problem.wanted:
        schema = problem.schema_part(shape_of(schema_name), [schema_name])
        table = problem.table_part(shape_of(table_name), [table_name])
        if schema is None or table is None:
            return None
        found.append(Pattern(Keyword.INCLUDE, problem.name, schema, table))
    return found


def _job_sets(problem: Problem) -> Iterator[list[Job]]:
    """Split the problem into questions about schemas: all wanted tables together in several ways, or each by itself."""
    parts = [problem.table_part(shape_of(table), [table]) for table in problem.tables]
    names = [part for part in parts if part is not None]
    each = len(names) == len(parts) <= MAX_PATTERNS
    product = all(
        (schema, table) in problem.wanted
        for schema in problem.wanted_schemas
        for table in problem.database.tables[schema].intersection(problem.tables)
    )
    if each and not product:
        yield [Job(problem, [part]) for part in names]
    if each:
        yield [Job(problem, names)]
    if len(parts) > 1 and (grouped := _grouped_tables(problem)) and len(grouped) < len(parts):
        yield [Job(problem, grouped)]
    if len(parts) > 1 or not each:
        yield [Job(problem, [ANY])]


def _grouped_tables(problem: Problem) -> list[Part] | None:
    groups = [group for h in problem.table_hierarchies for group in h.wanted_groups(share=1)]

    def accept(shape: str) -> Collection[str] | None:
        part = problem.table_part(shape)
        return None if part is None else problem.database.table_names.matching(part, Reading.WHOLE)

    offers = [(group.shape, group.names) for group in groups]
    chosen, left = cover(dict.fromkeys(problem.tables, 1), offers, MAX_PATTERNS, accept)
    return None if left else [problem.table_part(shape) or ANY for shape in chosen]


def _choose(jobs: Sequence[Job], way: int, excess: float) -> list[list[Choice]]:
    return [job.hierarchies[way].choose(Prices(len(job.tables), 1, excess)) for job in jobs]


def _count(jobs: Sequence[Job], choices: Sequence[Sequence[Choice]]) -> int:
    return sum(
        len(job.tables) if choice.keyword is Keyword.INCLUDE else 1
        for job, made in zip(jobs, choices, strict=True)
        for choice in made
    )


def _dearest(jobs: Sequence[Job], way: int) -> float:
    """Return about the highest price of a mistake at which the choices still fit into one filter."""
    low, high = _MILDER[-1], _EXACT
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        if _count(jobs, _choose(jobs, way, middle)) <= MAX_PATTERNS:
            low = middle
        else:
            high = middle
    return low


def _written(jobs: Sequence[Job], way: int, choices: Sequence[Sequence[Choice]]) -> list[Pattern]:
    levelled = [found for job, made in zip(jobs, choices, strict=True) for found in job.patterns(way, made)]
    return [pattern for _, pattern in sorted(levelled, key=lambda found: found[0])]


def _finished(problem: Problem, jobs: Sequence[Job], patterns: list[Pattern]) -> list[Pattern]:
    """Clear *patterns* of what they take too much, then drop those that change nothing."""
    patterns = problem.cleared(patterns, jobs)
    matched = {pattern: problem.database.matching(pattern, Reading.WHOLE) for pattern in patterns}
    decided: set[Pair] = set()
    kept = []
    for pattern in reversed(patterns):  # what later patterns decide anyway
        if not matched[pattern] <= decided:
            kept.append(pattern)
            decided |= matched[pattern]
    taken: set[Pair] = set()
    needed = []
    for pattern in reversed(kept):  # what earlier patterns left as this one would
        before = len(taken)
        taken = taken | matched[pattern] if pattern.keyword is Keyword.INCLUDE else taken - matched[pattern]
        if len(taken) != before:
            needed.append(pattern)
    return needed
