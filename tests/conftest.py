"""What all tests share: a secret that one test made known masks nothing in the next, and signals mean what they mean."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl_manager import redaction
from tests.support import haste

pytest_plugins = ["pytester"]
haste.make_haste()


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets a test registered; those of the fixtures it shares with others stay."""
    monkeypatch.setattr(redaction, "_spellings", redaction._spellings)


@pytest.fixture
def noexec() -> Iterator[Callable[[Path], None]]:
    """Return a function that mounts an empty file system noexec over a folder, as hardened images do with /tmp."""
    mounted = []

    def mount(folder: Path) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "noexec,mode=1777", "tmpfs", folder],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def pytest_configure() -> None:
    """Hear the signals whose answers are tested: under nohup or in the background they would be inherited as ignored."""
    for each, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(each) is signal.SIG_IGN:
            signal.signal(each, default)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many of the seeded defects were caught, where these tests ran."""
    counts = {
        outcome: sum(
            each.when == "call" and ("_is_found[" in each.nodeid or "_is_an_error[" in each.nodeid)
            for each in terminalreporter.stats.get(outcome, [])
            if each.nodeid.startswith(("tests/defects/", "tests/unit/sql/test_sql_isolation.py"))
        )
        for outcome in ("passed", "failed")
    }
    if total := sum(counts.values()):
        terminalreporter.write_line(
            f"seeded defects: {counts['passed']} of {total} caught ({counts['passed'] / total:.0%})"
        )
