"""A failure that is no scenario's: what stopped the run before anything was proven gets a result of its own."""

from __future__ import annotations

import hashlib

import allure_commons
from allure_commons.model2 import Label, Status, StatusDetails, TestResult
from allure_commons.utils import now, uuid4

from etl_manager.evidence.filing import EPIC
from etl_manager.report import kinds

_PLACE = "environment"
"""Where it is filed: it is of no feature file."""


def record(title: str, error: BaseException, details: str) -> None:
    """Write down that *title* holds because of *error*, which pytest tells as *details*."""
    name, at = f"{_PLACE}#{title}", now()
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    result = TestResult(
        uuid=uuid4(),
        name=title,
        fullName=name,
        titlePath=[_PLACE],
        testCaseId=digest,
        historyId=digest,
        status=Status.BROKEN,
        statusDetails=StatusDetails(message=details, trace=kinds.marked(details, kinds.kind_of(error, failed=False))),
        labels=[Label(name="epic", value=EPIC), Label(name="feature", value="Environment")],
        start=at,
        stop=at,
    )
    allure_commons.plugin_manager.hook.report_result(result=result)
