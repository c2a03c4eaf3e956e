"""Compile data filters for 3 to 10,000 tenants beside 5,000 foreign schemas, prove each, and print what it took.

Run it as ``python -m bench.data_filter``, or with ``--filters`` to see the filters as well.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator

from etl_manager.zero_etl import compile_filter, judge_filter

DATABASE = "multitenant_analytics"
SIZES = (3, 99, 100, 1_000, 10_000)
FOREIGN = 5_000


def words(count: int, source: random.Random) -> list[str]:
    """Return *count* different random names of eight letters."""
    found: set[str] = set()
    while len(found) < count:
        found.add("".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=8)))
    return sorted(found)


def landscapes(size: int) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield a title, the tenants, and the foreign schemas, which all have a users table of their own."""
    source = random.Random(size)  # noqa: S311
    numbered = [f"tenant_{number:05d}" for number in range(size)]
    named = words(size + FOREIGN, source)
    tenants, others = named[:size], named[size:]
    source.shuffle(named)
    yield "numbered, beside random names", numbered, others
    yield "numbered, beside their copies", numbered, [f"tenant_{number:05d}_old" for number in range(FOREIGN)]
    yield "numbered, beside my…", numbered, [f"mytenant_{number:05d}" for number in range(FOREIGN)]
    hostile = ["".join(source.choices("tenant_019 é'\".$\n", k=14)) for _ in range(FOREIGN)]
    yield "numbered, beside hostile names", numbered, [name for name in hostile if name not in numbered]
    yield (
        "named, beside …_archive",
        [f"tenant_{name}" for name in tenants],
        [f"tenant_{name}_archive" for name in others],
    )
    yield "random among random (no exact one)", named[:size], named[size:]


def main() -> None:
    """Print one line a landscape."""
    print(f"{'landscape':36}{'tenants':>8}{'patterns':>10}{'chars':>8}{'seconds':>9}  proof")
    for size in SIZES:
        for title, tenants, others in landscapes(size):
            catalogue = [(DATABASE, schema, "users") for schema in tenants + others]
            wanted = [(schema, "users") for schema in tenants]
            started = time.perf_counter()
            made = compile_filter(DATABASE, wanted, catalogue)
            seconds = time.perf_counter() - started
            verdict = judge_filter(made.text, DATABASE, wanted, catalogue)
            proof = "exact" if verdict.exact else f"{len(verdict.missing)} missing, {len(verdict.excess):,} too many"
            proof += f", {len(verdict.ambiguous)} ambiguous patterns"
            print(f"{title:36}{size:>8,}{len(made.patterns):>10}{len(made.text):>8,}{seconds:>9.2f}  {proof}")
            if "--filters" in sys.argv:
                print(f"    {made.text}")


if __name__ == "__main__":
    main()
