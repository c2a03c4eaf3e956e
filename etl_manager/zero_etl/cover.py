"""Covering things by as few groups as a greedy choice finds."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

C = TypeVar("C")
T = TypeVar("T")


def cover(
    weights: Mapping[T, int],
    candidates: Sequence[tuple[C, Collection[T]]],
    room: int,
    accept: Callable[[C], Collection[T] | None],
    *,
    least: int = 1,
) -> tuple[list[C], set[T]]:
    """Choose at most *room* candidates, each time the one with the most weight not yet covered.

    Args:
        weights: What is to be covered, and what each is worth.
        candidates: Choices with the things they are expected to cover; of equals the earlier is taken.
        room: How many may be chosen.
        accept: Says what a candidate really covers, or None when it may not be chosen.
        least: What a candidate must be worth.

    Returns:
        The chosen candidates, and what is left uncovered.
    """
    left = set(weights)

    def worth(index: int) -> int:
        return sum(weights[thing] for thing in candidates[index][1] if thing in left)

    # The worth of a candidate only ever falls: the head of the queue is right once its worth is up to date.
    queue = [(-worth(index), index) for index in range(len(candidates))]
    heapq.heapify(queue)
    chosen: list[C] = []
    while left and queue and len(chosen) < room:
        known, index = heapq.heappop(queue)
        if (now := worth(index)) < least:
            continue
        if now < -known:
            heapq.heappush(queue, (-now, index))
        elif (covered := accept(candidates[index][0])) is not None:
            left.difference_update(covered)
            chosen.append(candidates[index][0])
    return chosen, left
