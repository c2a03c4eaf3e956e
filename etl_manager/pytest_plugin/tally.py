"""Counts the scenarios that ran against those the features promise: what is not run is not proven."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from pytest_bdd.exceptions import GherkinParseError
from pytest_bdd.feature import get_feature

from etl_manager.config import Config
from etl_manager.errors import NotApplicable
from etl_manager.gate.verdict import Scenarios
from etl_manager.pytest_plugin import tenants

Key = tuple[Path, str]
"""A feature file, and the name of a scenario in it."""


def promised(folder: Path, project: Config) -> Counter[Key]:
    """Return how often each scenario under *folder* is to run; a file that cannot be read promises one, and breaks it."""
    found: Counter[Key] = Counter()
    for path in sorted(folder.rglob("*.feature")):
        try:
            feature = get_feature(str(path.parent), path.name)
        except (GherkinParseError, KeyError, UnicodeDecodeError):  # KeyError: an empty file
            found[path, "(unreadable)"] = 1
            continue
        for name, template in feature.scenarios.items():
            if tenants.is_per_tenant(template):
                tenants.fill(template, project)
            found[path, name] = sum(len(table.examples) for table in template.examples) or 1
    return found


class Tally:
    """How each scenario of this session went."""

    def __init__(self) -> None:
        """Begin with none."""
        self._outcomes: dict[str, tuple[Key, str]] = {}

    def note(self, item: pytest.Function, error: BaseException | None, report: pytest.TestReport) -> None:
        """Remember how a part of the test *item* went; what went wrong once is not mended by a later part."""
        if isinstance(error, NotApplicable):
            outcome = "not-applicable"
        elif report.failed:
            outcome = "failed"
        elif report.skipped:
            outcome = "skipped"
        elif report.when == "call":
            outcome = "passed"
        else:
            return
        self._outcomes[item.nodeid] = (item.path, item.originalname), outcome

    def against(self, expected: Counter[Key]) -> Scenarios:
        """Return the counts; a scenario that is not among the *expected* ones proves nothing of theirs."""
        counts = Counter(outcome for key, outcome in self._outcomes.values() if key in expected)
        ran = Counter(key for key, outcome in self._outcomes.values() if outcome != "skipped")
        return Scenarios(
            promised=sum(expected.values()),
            passed=counts["passed"],
            failed=counts["failed"],
            not_run=sum((expected - ran).values()),
            not_applicable=counts["not-applicable"],
        )
