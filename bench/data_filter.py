"""Compile data filters for 3 to 10,000 tenants beside 5,000 foreign schemas, and print what it took; each is proven.

Run it as ``python -m bench.data_filter``, or with ``--filters`` to see the filters as well.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from itertools import product

from etl_manager.zero_etl import FilterError, compile_filter

DATABASE = "multitenant_analytics"
SIZES = (3, 99, 100, 1_000, 10_000)
TABLES = ("users",), ("users", "orders", "order_items", "invoices")
FOREIGN = 5_000


def words(count: int, source: random.Random) -> list[str]:
    """Return *count* different random names of eight letters."""
    found: set[str] = set()
    while len(found) < count:
        found.add("".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=8)))
    return sorted(found)


def landscapes(size: int) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield a title, the tenants, and the foreign schemas, which all have the same tables."""
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
    yield "random among random", named[:size], named[size:]


def main() -> None:
    """Print one line a landscape."""
    print(f"{'landscape':34}{'tenants':>8}{'tables':>8}{'patterns':>10}{'chars':>8}{'seconds':>9}")
    for size, tables in product(SIZES, TABLES):
        for title, tenants, others in landscapes(size):
            wanted = [(schema, table) for schema in tenants for table in tables]
            catalogue = [(DATABASE, schema, table) for schema in tenants + others for table in (*tables, "log")]
            started = time.perf_counter()
            try:
                made = compile_filter(DATABASE, wanted, catalogue)
                found, text = f"{len(made.patterns):>10}{len(made.text):>8,}", made.text
            except FilterError as error:
                found, text = f"{'none found':>18}", error.message
            seconds = time.perf_counter() - started
            print(f"{title:34}{size:>8,}{len(tables):>8}{found}{seconds:>9.2f}", flush=True)
            if "--filters" in sys.argv:
                print(f"    {text}")


if __name__ == "__main__":
    main()
