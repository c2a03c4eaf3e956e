"""Counts the scenarios that ran against those the features promise: what is not run is not proven."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from etl_manager.config import Config
from etl_manager.errors import NotApplicable
from etl_manager.gate.verdict import Scenarios
from etl_manager.pytest_plugin.collection import ROW
from etl_manager.report.promised import Proof, promised, row

WORST_FIRST = ("failed", "skipped", "passed", "not-applicable")


def proof(item: pytest.Item) -> Proof:
    """Return what the scenario *item* is the proof of."""
    inside = item.path.is_relative_to(item.config.rootpath)
    file = item.path.relative_to(item.config.rootpath).as_posix() if inside else str(item.path)
    name = item.originalname if isinstance(item, pytest.Function) else item.name
    return Proof(file, name, row({str(key): str(value) for key, value in item.stash[ROW].items()}))


class Tally:
    """How each scenario of this session went."""

    def __init__(self, root: Path) -> None:
        """Begin with none; *root* is the project's folder."""
        self._root = root
        self._outcomes: dict[Proof, set[str]] = defaultdict(set)

    def note(self, item: pytest.Function, error: BaseException | None, report: pytest.TestReport) -> None:
        """Remember how a part of the test *item* went; what went wrong once stays so, whatever a later part or try does."""
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
        self._outcomes[proof(item)].add(outcome)

    def against(self, project: Config) -> Scenarios:
        """Return the counts; a scenario that the features of *project* do not promise proves nothing of theirs.

        Where one ran several times, as plugins make it, the worst counts.
        """
        expected = promised(self._root, project)
        counts = Counter(
            next((outcome for outcome in WORST_FIRST if outcome in self._outcomes[proven]), "skipped")
            for proven in expected
        )
        return Scenarios(
            promised=len(expected),
            passed=counts["passed"],
            failed=counts["failed"],
            not_run=counts["skipped"],
            not_applicable=counts["not-applicable"],
        )
