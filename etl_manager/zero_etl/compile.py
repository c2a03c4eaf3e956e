"""From wanted tables to a data filter that takes exactly them, within AWS's limits.

Up to 99 tables it is the plain list. Beyond, several proposals are made (see `proposals`), and the best is taken: fewest
tables too many, then without an include for every schema, then fewest patterns and latent tables. Where even the best
takes too much, that is the smallest excess found, not one proven to be the smallest.

Whatever is found is judged by `evaluate`, under both readings of regular expressions, before it is returned.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from etl_manager.zero_etl.evaluate import Catalogue, Reading, Table
from etl_manager.zero_etl.grammar import is_database_name, render
from etl_manager.zero_etl.pattern import ANY, FilterError, Keyword, Pattern
from etl_manager.zero_etl.problem import EXCESS, LATENT, PATTERN, Problem
from etl_manager.zero_etl.proposals import proposals
from etl_manager.zero_etl.writing import is_blurred

_GOOD_ENOUGH = 4 * PATTERN
"""A filter that takes nothing too much is not bettered any more when it has so few patterns."""


@dataclass(frozen=True, kw_only=True)
class CompiledFilter:
    """A data filter, and how it compares with what was wanted.

    Attributes:
        text: The filter, as ``--data-filter`` takes it.
        patterns: The same, in its parts.
        exact: It takes the wanted tables and no other table of the catalogue, under both readings.
        excess: The tables of the catalogue it takes although they are not wanted; it never misses a wanted one.
        latent: Schemas of the catalogue of which nothing is wanted and nothing taken, until they get the table wanted most often.
        blurred: Wanted tables whose name no filter can spell; a pattern with ``.`` stands for them.
    """

    text: str
    patterns: tuple[Pattern, ...]
    exact: bool
    excess: tuple[Table, ...]
    latent: tuple[str, ...]
    blurred: tuple[Table, ...]


def compile_filter(
    database: str, wanted: Sequence[tuple[str, str]], catalogue: Collection[tuple[str, str, str]]
) -> CompiledFilter:
    """Return a filter for the *wanted* ``(schema, table)`` pairs of *database*.

    Args:
        database: The database they are in.
        wanted: In the order the plain list is to have; they need not exist yet.
        catalogue: Every table of the cluster, as ``(database, schema, table)``.

    Raises:
        FilterError: Nothing is wanted, or the database has a name that no filter can hold.
    """
    if not wanted:
        raise FilterError("A data filter needs at least one table", remedy="Name tenants in config.json.")
    if not is_database_name(database):
        raise FilterError(
            f"No data filter can name the database {database!r}",
            remedy="The database part of a pattern is a plain name of letters, digits, '_', '-' and '$'.",
        )
    problem = Problem(database, wanted, [(schema, table) for name, schema, table in catalogue if name == database])
    patterns = _best(problem)
    return _judged(problem, patterns, Catalogue([*catalogue, *((database, *pair) for pair in problem.wanted)]))


def _judged(problem: Problem, patterns: list[Pattern], catalogue: Catalogue) -> CompiledFilter:
    asked = {Table(problem.name, *pair) for pair in problem.wanted}
    taken = catalogue.taken(patterns, Reading.WHOLE)
    if catalogue.ambiguities(patterns) or asked - taken:  # a defect of this package: never hand it out
        raise AssertionError(f"{render(patterns)} is ambiguous or misses a wanted table")
    latent = problem.database.taken(patterns, Reading.WHOLE) & problem.latent
    return CompiledFilter(
        text=render(patterns),
        patterns=tuple(patterns),
        exact=taken == asked,
        excess=tuple(sorted(taken - asked)),
        latent=tuple(sorted(schema for schema, _ in latent)),
        blurred=tuple(Table(problem.name, *pair) for pair in problem.wanted if any(map(is_blurred, pair))),
    )


def _best(problem: Problem) -> list[Pattern]:
    best: tuple[tuple[int, bool, int], list[Pattern]] | None = None
    for proposal, final_when_exact in proposals(problem):
        mistakes = problem.mistakes(proposal)
        real = sum(weight == EXCESS for weight in mistakes.values())
        latent = len(mistakes) - real
        rank = (real, _open(proposal), latent * LATENT + len(proposal) * PATTERN)
        if best is None or rank < best[0]:
            best = rank, proposal
        if real == 0 and (final_when_exact or (rank[1:] <= (False, _GOOD_ENOUGH) and not latent)):
            return proposal
    if best is None:
        raise AssertionError("not even a filter that includes every schema was proposed")
    return best[1]


def _open(patterns: Sequence[Pattern]) -> bool:
    """Tell whether a schema of any name would be taken, once it has such a table."""
    return any(pattern.keyword is Keyword.INCLUDE and pattern.schema is ANY for pattern in patterns)
