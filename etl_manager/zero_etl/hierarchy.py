r"""Hierarchies of names, and the cheapest choice of groups in one: which to include, which to exclude again.

A hierarchy turns each name into a key such that names with a common beginning of the key are a group that one
expression matches. There are four: by beginning (``tenant_.*``), by ending (``.*_archive``), and both again with runs of
digits abstracted: ``tenant_\d+``, below it ``tenant_\d\d\d``, below that ``tenant_1\d\d``.

Since a later pattern wins and a narrower group is written later, a choice of groups labels each name by the smallest
chosen group around it, as in a routing table with longest-prefix match. So the best choice comes from one pass over the
tree, from the leaves up: for either label from above, is it cheaper to leave it or to set the other one here?
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from etl_manager.zero_etl.pattern import MAX_PATTERNS, Keyword
from etl_manager.zero_etl.writing import DIGIT, DIGITS, REST, Group, common_start, shape_of

_END = "\ue010"
_LENGTH = 0xE100  # lengths of digit runs are characters from here on
_RUN = re.compile("[0-9]+")
_CORE = 0.9
_MOST_RUNS = 3
"""A name with more runs of digits is no numbered name: many repetitions in one expression are slow to refuse."""


class Choice(NamedTuple):
    """What to do with the group at a node; a choice of a deeper level is written later."""

    level: int
    keyword: Keyword
    node: int


@dataclass(frozen=True)
class Prices:
    """What a choice costs: a pattern to include, one to exclude, and each unit of weight taken that is not wanted."""

    include: float
    exclude: float
    excess: float


def _plain_key(shape: str) -> str:
    return shape + _END


def _plain_shape(key: str) -> str:
    return key[:-1] if key.endswith(_END) else key + REST


def _abstract_key(shape: str) -> str:
    runs = _RUN.findall(shape)
    if len(runs) > _MOST_RUNS:
        return _plain_key(shape)
    return _RUN.sub(DIGITS, shape) + _END + "".join(chr(_LENGTH + len(run)) for run in runs) + "".join(runs)


def _abstract_shape(key: str) -> str:
    shape, end, details = key.partition(_END)
    if not end:
        return key + REST
    lengths = [ord(mark) - _LENGTH for mark in details if ord(mark) >= _LENGTH]
    digits = iter(details[len(lengths) :])
    runs = iter(lengths)
    filled = []
    for element in shape:
        length = next(runs, 0) if element == DIGITS else 0
        filled += [next(digits, DIGIT) for _ in range(length)] if length else [element]
    return "".join(filled)


class Hierarchy:
    """Names arranged by keys, each wanted or with a weight: what it costs to take it although it is not wanted."""

    def __init__(self, names: Iterable[str], weights: Mapping[str, int], *, abstract: bool, backward: bool) -> None:
        """Arrange *names*; those in *weights* are not wanted."""
        key_of, self._shape_of = (_abstract_key, _abstract_shape) if abstract else (_plain_key, _plain_shape)
        self._step = -1 if backward else 1
        by_key: dict[str, list[str]] = {}
        for name in names:
            by_key.setdefault(key_of(shape_of(name)[:: self._step]), []).append(name)
        self._keys = sorted(by_key)
        self._names = [by_key[key] for key in self._keys]
        # Names that no pattern can tell apart are wanted when one of them is.
        loads = [min(weights.get(name, 0) for name in found) for found in self._names]
        self._wanted = list(accumulate((load == 0 for load in loads), initial=0))
        self._weight = list(accumulate(loads, initial=0))
        self._spans: list[tuple[int, int]] = []
        self._parents: list[int] = []
        self._leaves: list[bool] = []
        if self._keys:
            self._grow(0, len(self._keys), -1)

    def _grow(self, low: int, high: int, parent: int) -> None:
        """Add the node of the keys *low* to *high*; below one whose names are all of a kind there is nothing to choose."""
        me = len(self._spans)
        self._spans.append((low, high))
        self._parents.append(parent)
        pure = self._weight[high] == self._weight[low] or self._wanted[high] == self._wanted[low]
        self._leaves.append(pure or high - low == 1)
        if self._leaves[me]:
            return
        depth = len(common_start(self._keys[low], self._keys[high - 1]))
        while low < high:
            following = bisect_right(self._keys, self._keys[low][: depth + 1] + "\U0010ffff", low, high)
            self._grow(low, following, me)
            low = following

    def group(self, node: int) -> Group:
        """Return the names at *node*, with the narrowest shape for them."""
        low, high = self._spans[node]
        key = common_start(self._keys[low], self._keys[high - 1])
        shape = self._shape_of(key)
        return Group(shape[:: self._step], tuple(name for found in self._names[low:high] for name in found))

    def foreign_groups(self) -> list[Group]:
        """Return the largest groups without a wanted name."""
        return [
            self.group(node)
            for node, (low, high) in enumerate(self._spans)
            if self._leaves[node] and self._wanted[high] == self._wanted[low]
        ]

    def wanted_groups(self, share: float) -> list[Group]:
        """Return the largest groups of which at least *share* (0 to 1) is wanted, no more than a filter has patterns."""
        dense = [self._wanted[high] - self._wanted[low] >= share * (high - low) for low, high in self._spans]
        if not common_start(self._keys[0], self._keys[-1]):
            dense[0] = False  # no group but simply all names
        # Where one child has nearly all the wanted names of a node, the child is the narrower group for them.
        wanted = [self._wanted[high] - self._wanted[low] for low, high in self._spans]
        core = list(range(len(self._spans)))
        for node in range(len(self._spans) - 1, 0, -1):
            if wanted[node] >= _CORE * wanted[self._parents[node]]:
                core[self._parents[node]] = core[node]
        # A node below a dense one is part of its group, also where it is not dense itself.
        for node, parent in enumerate(self._parents):
            covered = parent >= 0 and dense[parent]
            dense[node] = dense[node] or covered
        found = [
            node for node, parent in enumerate(self._parents) if dense[node] and not (parent >= 0 and dense[parent])
        ]
        largest = sorted(found, key=lambda node: -wanted[node])[:MAX_PATTERNS]
        return [self.group(core[node]) for node in largest]

    def choose(self, prices: Prices) -> list[Choice]:
        """Return the cheapest choice that leaves out no wanted name; broad before narrow."""
        count = len(self._spans)
        off = [0.0] * count  # the cost below a node when what comes from above is "not taken"
        on = [0.0] * count  # the same when it is "taken"
        turn_on, turn_off = [False] * count, [False] * count
        for node in range(count - 1, -1, -1):
            if self._leaves[node]:
                low, high = self._spans[node]
                if self._wanted[high] > self._wanted[low]:
                    off[node] = float("inf")
                else:
                    on[node] = prices.excess * (self._weight[high] - self._weight[low])
            kept_off, kept_on = off[node], on[node]
            if (turned_on := prices.include + kept_on) < kept_off:
                turn_on[node], off[node] = True, turned_on
            if (turned_off := prices.exclude + kept_off) < kept_on:
                turn_off[node], on[node] = True, turned_off
            if (parent := self._parents[node]) >= 0:
                off[parent] += off[node]
                on[parent] += on[node]
        return self._chosen(turn_on, turn_off)

    def _chosen(self, turn_on: list[bool], turn_off: list[bool]) -> list[Choice]:
        levels: list[int] = []  # odd: taken; each change of the label is one level deeper
        chosen = []
        for node, parent in enumerate(self._parents):
            level = levels[parent] if parent >= 0 else 0
            if (turn_off if level % 2 else turn_on)[node]:
                level += 1
                chosen.append(Choice(level, Keyword.INCLUDE if level % 2 else Keyword.EXCLUDE, node))
            levels.append(level)
        return sorted(chosen, key=lambda choice: choice.level)


def hierarchies(names: Iterable[str], weights: Mapping[str, int]) -> list[Hierarchy]:
    """Return the four hierarchies of *names*, or two where no name holds a digit."""
    names = list(names)
    abstract = (False, True) if any(map(_RUN.search, names)) else (False,)
    return [Hierarchy(names, weights, abstract=a, backward=b) for a in abstract for b in (False, True)]
