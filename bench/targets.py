"""How long a run takes on the targets of this machine: to its first phase, and as a whole.

usage: python -m bench.targets [RUNS] (default 3)

Runs ``pytest features/`` on `local` and `container` in turn, each time from nothing, and prints the median and the
fastest of the seconds from the command to the end of its first phase, and to its own end. The state of the local
target in this folder is forgotten.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGETS = {"local": ["--reset-local"], "container": []}
_FIRST_PHASE = re.compile(r"^(\S+ \S+) \w+ +etl_manager: phase database: SSM command", re.MULTILINE)


def timed(target: str, *arguments: str) -> tuple[float, float]:
    """Return the seconds to the first phase's end, and to the run's."""
    began, clock = datetime.now().astimezone(), time.monotonic()
    words = [sys.executable, "-m", "pytest", "features/", "-q", "--target", target, *arguments]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    whole = time.monotonic() - clock
    if done.returncode != 0:
        sys.exit(done.stdout)
    [stamp] = _FIRST_PHASE.findall((ROOT / "reports/run.log").read_text())
    return (datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f").astimezone() - began).total_seconds(), whole


def main(runs: int) -> None:
    """Print a line a target."""
    seconds: dict[str, list[tuple[float, float]]] = {target: [] for target in TARGETS}
    for _ in range(runs):
        for target, arguments in TARGETS.items():
            seconds[target].append(timed(target, *arguments))
    for target, pairs in seconds.items():
        for name, values in zip(("first phase", "whole run"), zip(*pairs, strict=True), strict=True):
            print(f"{target:9} {name:11} median {statistics.median(values):5.1f} s, fastest {min(values):5.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 3)
