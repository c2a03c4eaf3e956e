"""Counts the scenarios that ran against those the features promise: what is not run is not proven."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from etl_manager.config import Config
from etl_manager.errors import NotApplicable
from etl_manager.gate.verdict import Scenarios
from etl_manager.report.promised import promised

Key = tuple[str, str]
"""A feature file, relative to the project's folder, and the name of a scenario in it."""


class Tally:
    """How each scenario of this session went."""

    def __init__(self, root: Path) -> None:
        """Begin with none; *root* is the project's folder."""
        self._root = root
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
        inside = item.path.is_relative_to(self._root)
        file = item.path.relative_to(self._root).as_posix() if inside else str(item.path)
        self._outcomes[item.nodeid] = (file, item.originalname), outcome

    def against(self, project: Config) -> Scenarios:
        """Return the counts; a scenario that the features of *project* do not promise proves nothing of theirs."""
        expected = Counter((proof.file, proof.scenario) for proof in promised(self._root, project))
        counts = Counter(outcome for key, outcome in self._outcomes.values() if key in expected)
        ran = Counter(key for key, outcome in self._outcomes.values() if outcome != "skipped")
        return Scenarios(
            promised=sum(expected.values()),
            passed=counts["passed"],
            failed=counts["failed"],
            not_run=sum((expected - ran).values()),
            not_applicable=counts["not-applicable"],
        )
