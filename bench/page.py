"""The page docs/performance.md, written from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.whole_runs import Measured

    Results = Mapping[str, Mapping[str, Measured]]

HEAD = """# What a run costs

Written by `make bench`; do not edit. All on one embedded server, behind an emulated AWS, on one machine. Ways that are compared
are measured in turn. Seconds depend on the machine and on what else it does: the load is shown, and the ratios count.

"""

WHY = """
## What is missed, and why

- **SendCommands with a transfer: 6, not 3.** The archive is 43 KB packed by xz, 57 KB in base64, and a command is kept under
  20,000 bytes, since AWS documents no limit. `bastion.autoTransfer.maxCommandBytes: 60000` makes it 3.
- **SendCommands of a run that takes long.** After 20 s, 40 s, 80 s and so on a command asks for the progress. The output of 10,000
  tenants came with its command, packed by xz.
- **Build of 20 tables over the same DDL: an earlier 1.5 was the file system.** On ext4 without a journal, making files within
  minutes of the drop of a large database costs more: the kernel steps past each inode that was freed. For 100 tenants psql's own
  DDL took 9.3 s of the server's CPU after such a drop, a third of it in that search, and 4.6 to 5.4 s without. The benchmark
  dropped a database of 132,000 files just before the build, and a small one before psql; now it puts them aside. In four pairs
  at 1,000 tenants, with the data in memory, the build took 0.78 to 1.03 of psql's time and 0.87 to 1.13 of its CPU. Of the build's
  35 s of CPU about 6.5 s compare every tenant with the template; the rest is less than psql's, which sends each statement by itself.
- **Locks with 20 tables in one change: 367, not 200.** Each table brings its TOAST table, indexes, sequence and type. A change is one
  transaction a tenant, and so is the expectation. Fewer would need changes that are split into several files.
- **Seconds for 3 tenants.** Of a run of 4.4 s two commands take 2.3 s. The SQL files of these take 1.5 s: the first look 0.24 s, those
  after it by the same psql 0.06 to 0.08 s, each file that builds 0.13 to 0.17 s with a bash, a jq, a psql and an expectation of its own,
  the verification 0.22 s. The rest is Python: imports and plugins over 1 s, collection 0.4 s, discovery, scenarios, reports. What would
  have to change: one psql for the files that build too, some 0.4 s. That is refused: what a team's file leaves (an open transaction, a
  role, `\\set`) must not reach the next one.
- **`--verify-only` and fresh over bare psql at 1,000 and 10,000 tenants.** Three scenarios a tenant, each with its result: 2.4 ms of CPU a
  scenario, from 5.4, of which pytest's hooks and fixtures, and Allure's listener, are most. `reports/history.jsonl` adds 0.2 ms with nine
  runs in it, whose texts are masked anew. At 10,000 tenants the database's part of `--verify-only` is some 20 s. The memory is what pytest
  and the report keep of 30,000 scenarios: 25 KB each. What would have to change: one scenario for many tenants, which is another proof.
- **`-n` on two cores** gains nothing: `--verify-only` of 1,000 tenants on the local target took 14.1 and 17.0 s, with `-n 2` 16.3 and
  16.8 s, with 24 s of CPU in place of 16 s: workers start, collect, and report each scenario to the process that began.
- **Not in the table:** the first `make provision` in a fresh clone with a warm package cache took 33 s (asked 60), of which the set-up 26 s,
  and left 343 MB (asked 350).
- **The start of the local target.** 1.2 s, of which moto takes 1.0 s to import: its CloudFormation imports the models of all services
  that it can build. What would have to change: stacks answered without moto, or the emulator in a process of its own.
"""


def _ratio(results: Results, size: str, above: str, below: str) -> str:
    ways = results.get(size, {})
    if above not in ways or below not in ways:
        return "not measured"
    return f"{ways[above].median / ways[below].median:.1f}"


def _plain(results: Results, size: str, way: str, what: str) -> str:
    measured = results.get(size, {}).get(way)
    if measured is None:
        return "not measured"
    value = {
        "s": f"{measured.median:.1f} s",
        "MB": f"{max(measured.megabytes):.0f} MB",
        "commands": str(measured.commands),
    }
    return value[what]


def _targets(results: Results) -> list[tuple[str, str, str]]:
    def commands(way: str) -> str:
        return _plain(results, "3", way, "commands")

    sent = (
        f"{commands('suite, again')} / {commands('suite, fresh, with the transfer')} / {commands('suite, verify-only')}"
    )
    ways = [results.get(size, {}).get("suite, verify-only") for size in ("1,000", "10,000")]
    grown = "not measured"
    if (small := ways[0]) and (large := ways[1]):
        grown = f"{large.median / small.median:.1f}, {max(large.megabytes) / max(small.megabytes):.1f}"
    verified = f"{_plain(results, '10,000', 'suite, verify-only', 's')}, {_plain(results, '10,000', 'suite, verify-only', 'MB')}"
    return [
        ("whole run, 3 tenants, running local target", "≤ 2.5 s", _plain(results, "3", "suite, again", "s")),
        ("the same over bare psql of the four files", "≤ 10", _ratio(results, "3", "suite, again", "bare psql, again")),
        (
            "at 1 s latency, the original's way over ours",
            "≥ 10",
            _ratio(results, "3", "original's way, at 1 s latency", "suite, again, at 1 s latency"),
        ),
        ("SendCommands: up-to-date workspace / with transfer / verify-only", "2 / 3 / 2", sent),
        (
            "1,000 tenants fresh over bare psql of the four files",
            "≤ 2.5",
            _ratio(results, "1,000", "suite, fresh", "bare psql, fresh"),
        ),
        ("10,000 tenants `--verify-only`", "≤ 100 s, ≤ 1 GiB", verified),
        ("the same over 1,000 tenants: time, memory", "≤ 11, ≤ 4", grown),
        (
            "10,000 tenants: build over the same DDL by bare psql",
            "≤ 1.15",
            _ratio(results, "10,000 of one table", "build", "bare psql, DDL of all tables"),
        ),
        (
            "1,000 tenants of 20 tables: build over the same DDL by bare psql",
            "≤ 1.25",
            _ratio(results, "1,000 of 20 tables", "build", "bare psql, DDL of all tables"),
        ),
    ]


def text(results: Results, machine: Mapping[str, str]) -> str:
    """Return the page of *results* (by size, then by way), measured on *machine*."""
    lines = [
        HEAD + "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        "",
        "## Targets",
        "",
        "| what | target | measured |",
        "|---|---|---|",
        *(f"| {what} | {target} | {measured} |" for what, target, measured in _targets(results)),
        "",
        "## Measured",
        "",
        "| tenants | way | times | seconds, median | fastest | peak MB | SendCommands | API calls | most locks | load |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for size, ways in results.items():
        for way, measured in ways.items():
            memory = f"{max(measured.megabytes):.0f}" if any(measured.megabytes) else "-"
            locks = "-" if measured.locks is None else str(measured.locks)
            load = f"{min(measured.load):.1f} to {max(measured.load):.1f}"
            lines.append(
                f"| {size} | {way} | {len(measured.seconds)} | {measured.median:.2f} | {min(measured.seconds):.2f} | {memory}"
                f" | {measured.commands or '-'} | {measured.calls or '-'} | {locks} | {load} |"
            )
    return "\n".join(lines) + "\n" + WHY
