"""Where a scenario is filed in the report: its labels, its description, and the link to its source."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import allure
import allure_commons
from allure_commons.model2 import Label, Status, StatusDetails, TestResult
from allure_commons.utils import now, uuid4

from etl_manager import errors
from etl_manager.errors import categories
from etl_manager.redaction import redact

Function = TypeVar("Function", bound=Callable[..., object])

EPIC = "Phase 2: the multi-tenant database"
"""What all scenarios are about."""

SEVERITIES = {
    "database": "blocker",
    "schema": "critical",
    "data": "critical",
    "verification": "critical",
    "gate": "blocker",
    "network": "normal",
}
"""The tag of a phase → how grave it is when a scenario of it fails: a blocker leaves nothing to go on with."""


GROUP = 100
"""Tenants that stand in one group of the report's tree, where there are more than so many."""


def groups(tenants: Sequence[str]) -> dict[str, str]:
    """Return each of *tenants* with the name of its group; none where they are few enough to stand side by side."""
    if len(tenants) <= GROUP:
        return {}
    named: dict[str, str] = {}
    for start in range(0, len(tenants), GROUP):
        part = tenants[start : start + GROUP]
        digits = len(str(len(tenants)))  # names are sorted as text
        name = f"{start + 1:0{digits}}-{start + len(part):0{digits}} of {len(tenants)}: {part[0]} to {part[-1]}"
        named |= dict.fromkeys(part, name)
    return named


def describe(function: Function, *, feature: str, story: str, description: str, tags: Collection[str] = ()) -> Function:
    """Return *function*, the test of a scenario, labelled for the report.

    It is done at collection, so that a scenario whose set-up fails is filed where it belongs all the same.

    Args:
        function: The test.
        feature: Name of its feature.
        story: What it is grouped by: the rule, or the scenario.
        description: What the feature, the rule and the scenario say about themselves.
        tags: Those of the scenario, its rule and its feature: one of them may be a phase.
    """
    phase = next((tag for tag in SEVERITIES if tag in tags), None)
    labels = [allure.epic(EPIC), allure.feature(feature), allure.story(story), allure.description(description)]
    labels += [allure.label("phase", phase)] if phase else []
    labels.append(allure.severity(SEVERITIES.get(phase or "", "normal")))
    for decorate in labels:
        function = decorate(function)
    return function


def write_categories(directory: Path) -> None:
    """Put the kinds of failure beside the results in *directory*."""
    (directory / "categories.json").write_text(json.dumps(categories(), indent=2), encoding="utf-8")


def write_environment(directory: Path, facts: Mapping[str, str]) -> None:
    """Put *facts* about the environment beside the results in *directory*."""
    lines = [f"{_escaped(name)}={_escaped(value)}" for name, value in facts.items()]
    (directory / "environment.properties").write_text("\n".join([*lines, ""]), encoding="utf-8")


def write_executor(directory: Path, variables: Mapping[str, str], report_name: str) -> None:
    """Put who ran it beside the results, where *variables* of the environment are GitHub Actions' own.

    GitHub: "Store information in variables", default environment variables.
    """
    if variables.get("GITHUB_ACTIONS") != "true":
        return
    base = f"{variables.get('GITHUB_SERVER_URL', '')}/{variables.get('GITHUB_REPOSITORY', '')}"
    attempt = variables.get("GITHUB_RUN_ATTEMPT", "1")
    run = f"{base}/actions/runs/{variables.get('GITHUB_RUN_ID', '')}/attempts/{attempt}"
    number = variables.get("GITHUB_RUN_NUMBER", "0")
    executor = {
        "name": "GitHub Actions",
        "type": "github",
        "url": base,
        "buildOrder": int(number) if number.isdigit() else 0,
        "buildName": f"{variables.get('GITHUB_WORKFLOW', 'workflow')} #{number}.{attempt}",
        "buildUrl": run,
        "reportName": report_name,
    }
    (directory / "executor.json").write_text(json.dumps(executor, indent=2), encoding="utf-8")


def _escaped(text: str) -> str:
    """Return *text* as a Java properties file writes it."""
    return re.sub(r"([\\=:#!])", r"\\\1", redact(text)).replace("\n", "\\n")


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
        statusDetails=StatusDetails(message=details, trace=errors.marked(details, errors.kind_of(error, failed=False))),
        labels=[Label(name="epic", value=EPIC), Label(name="feature", value="Environment")],
        start=at,
        stop=at,
    )
    allure_commons.plugin_manager.hook.report_result(result=result)
