r"""Groups of names that one expression stands for, and the choice of few groups that cover many names.

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
from itertools import pairwise
from typing import TypeVar

from etl_manager.zero_etl.evaluate import Names
from etl_manager.zero_etl.filter import ANY

C = TypeVar("C")
R = TypeVar("R")
T = TypeVar("T")

_DIGITS, _DIGIT, REST, _ONE, _SYMBOL, _SPACE, _LAST = map(chr, range(0xE000, 0xE007))
_ESCAPED = ".*+?$"
_WRITTEN = {_DIGITS: r"\d+", _DIGIT: r"\d", REST: ".*", _ONE: ".", _SYMBOL: r"\W", _SPACE: r"\s"} | {
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


def shape_of(name: str) -> str:
    """Return the shape of one name."""
    return name if _WORD.issuperset(name) else "".join(map(_spelled, name))


def _spelled(char: str) -> str:
    if char in _ITSELF:
        return char
    if char.isascii():
        return _SPACE if char in " \t\n\r\f\v" else _SYMBOL
    return _SYMBOL if char in _TERMINATORS else _ONE


def _groups(names: Iterable[str]) -> list[tuple[str, frozenset[str]]]:
    """Return the groups of several *names* with their shapes: small ones first, of equals those with a fixed beginning."""
    shapes = {name: shape_of(name) for name in sorted(names)}
    numbers = {name: found.groups() for name, shape in shapes.items() if (found := _NUMBER.fullmatch(shape))}
    groups: dict[str, list[str]] = {}
    for keys in (shapes, {name: head + _DIGITS + tail for name, (head, _, tail) in numbers.items()}):
        for step in (1, -1):  # beginnings, then endings
            ordered = sorted((key[::step], name) for name, key in keys.items())
            starts = {_common_start(a, b) for (a, _), (b, _) in pairwise(ordered)}
            for start in sorted(starts - {""}):
                low, high = bisect_left(ordered, (start,)), bisect_left(ordered, (start + _LAST,))
                groups[(start + REST)[::step]] = [name for _, name in ordered[low:high]]
    for name, (head, digits, tail) in numbers.items():
        cuts = range(1, len(digits))
        alike = [digits[:cut] + _DIGIT * (len(digits) - cut) for cut in reversed(cuts)]
        alike += [_DIGIT * cut + digits[cut:] for cut in cuts]
        for middle in (*alike, _DIGIT * len(digits), _DIGITS):
            groups.setdefault(head + middle + tail, []).append(name)
    several = [(shape, frozenset(found)) for shape, found in groups.items() if len(found) > 1]
    return sorted(several, key=lambda group: (len(group[1]), group[0].startswith(REST)))


def _common_start(a: str, b: str) -> str:
    return a[: next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))]


class Axis:
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
        if shape == REST or _WORD.issuperset(shape):
            yield ANY if shape == REST else shape
            return
        text = "".join(_WRITTEN.get(atom, atom) for atom in shape)
        if len(text) > _MAX_REGEX_LENGTH - len(".*$"):
            text = "".join(_WRITTEN.get(atom, atom) for atom in shape.translate(_LOOSE))
        free = "" if shape.startswith(REST) else ".*"
        for expression in (text, text + "$", free + text, free + text + "$"):
            if len(expression) <= _MAX_REGEX_LENGTH:
                yield f"/{expression}/"

    def offers(
        self, things: Mapping[str, Sequence[T]], unwanted: frozenset[str], tolerance: float = 0
    ) -> Iterator[tuple[str, list[T]]]:
        """Yield shapes with what there is for their names in *things*.

        Args:
            things: What is to be covered, by name.
            unwanted: Names that are not to be matched.
            tolerance: The share of unwanted names that a group may hold, 0 to 1.
        """
        for name, found in things.items():
            if name not in unwanted:
                yield shape_of(name), list(found)
        for shape, names in self._groups:
            if len(unwanted.intersection(names)) <= tolerance * len(names) and (
                hit := [thing for name in names if name in things for thing in things[name]]
            ):
                yield shape, hit

    def cover(self, wanted: frozenset[str], tolerance: float, room: int) -> list[str] | None:
        """Return at most *room* shapes that match at least the *wanted* names; None where they do not suffice."""

        def accept(shape: str) -> tuple[str, Set[str]] | None:
            matched = self._matching(shape)
            return (shape, matched) if len(matched - wanted) <= tolerance * len(matched) else None

        things = {name: [name] for name in sorted(wanted)}
        offers = list(self.offers(things, self._names.all - wanted, tolerance))
        chosen, left = greedy_cover(wanted, offers, room, accept)
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


def greedy_cover(
    things: Collection[T],
    offers: Sequence[tuple[C, Sequence[T]]],
    room: int,
    accept: Callable[[C], tuple[R, Set[T]] | None],
) -> tuple[list[R], set[T]]:
    """Choose at most *room* offers, each time the one with the most *things* not yet covered, of equals the earlier.

    Args:
        things: What is to be covered.
        offers: Choices with the things they are expected to cover.
        room: How many may be chosen.
        accept: Turns a choice into a result and what it really covers, or None when it may not be chosen.

    Returns:
        The results, and what is left uncovered; nothing is chosen where the offers cannot suffice.
    """
    left = set(things)
    if sum(heapq.nlargest(room, (len(expected) for _, expected in offers))) < len(left):
        return [], left
    # The worth of an offer only ever falls: the head of the queue is right once its worth is up to date.
    queue = [(-len(expected), index) for index, (_, expected) in enumerate(offers)]
    heapq.heapify(queue)
    chosen: list[R] = []
    refused = 0
    while left and queue and len(chosen) < room and refused < _MAX_REFUSALS:
        known, index = heapq.heappop(queue)
        offer, expected = offers[index]
        if (worth := sum(thing in left for thing in expected)) < -known:
            heapq.heappush(queue, (-worth, index))
        elif worth and (accepted := accept(offer)) and not left.isdisjoint(accepted[1]):
            chosen.append(accepted[0])
            left -= accepted[1]
        else:
            refused += 1
    return chosen, left
