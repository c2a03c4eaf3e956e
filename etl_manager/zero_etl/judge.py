"""A filter of the user's own, compared with the tables that are wanted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from etl_manager.zero_etl.evaluate import Ambiguity, Catalogue, Reading, Table
from etl_manager.zero_etl.grammar import parse
from etl_manager.zero_etl.pattern import Pattern

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How a filter differs from what is wanted.

    Attributes:
        patterns: The patterns of the filter.
        missing: Wanted tables it does not take, under one reading of regular expressions or both.
        excess: Tables of the catalogue, in any database, it takes although they are not wanted, under either reading.
        ambiguous: Patterns that match other names under one reading than under the other.
    """

    patterns: tuple[Pattern, ...]
    missing: tuple[Table, ...]
    excess: tuple[Table, ...]
    ambiguous: tuple[Ambiguity, ...]

    @property
    def exact(self) -> bool:
        """Whether it takes exactly the wanted tables, however AWS reads regular expressions."""
        return not self.missing and not self.excess

    def describe(self) -> list[str]:
        """Return the findings, one line each; none when all is well."""
        lines = [f"missing: {line}" for line in _listed(self.missing)]
        lines += [f"taken but not wanted: {line}" for line in _listed(self.excess)]
        for found in self.ambiguous:
            names = ", ".join(_listed(found.names))
            lines.append(f"pattern {found.number} ({found.pattern}): found in, but not the whole of: {names}")
        return lines


def _listed(things: Sequence[object]) -> list[str]:
    shown = [str(thing) for thing in things[:_SHOWN]]
    return shown if len(things) <= _SHOWN else [*shown, f"and {len(things) - _SHOWN:,} more"]


def judge_filter(
    text: str, database: str, wanted: Sequence[tuple[str, str]], catalogue: Collection[tuple[str, str, str]]
) -> Judgement:
    """Return how the filter *text* compares with the *wanted* ``(schema, table)`` pairs of *database*.

    Args:
        text: The filter.
        database: The database the wanted tables are in.
        wanted: They need not exist yet.
        catalogue: Every table of the cluster, as ``(database, schema, table)``.

    Raises:
        FilterError: The filter breaks AWS's grammar or a limit.
    """
    patterns = parse(text)
    asked = {Table(database, *pair) for pair in wanted}
    everything = Catalogue([*catalogue, *asked])
    whole, found = (everything.taken(patterns, reading) for reading in Reading)
    return Judgement(
        patterns=patterns,
        missing=tuple(sorted(asked - (whole & found))),
        excess=tuple(sorted((whole | found) - asked)),
        ambiguous=tuple(everything.ambiguities(patterns)),
    )
