"""Labels of a scenario, and the files that describe a run beside Allure's results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import allure
import allure_commons
from allure_commons.model2 import Label, Status, StatusDetails, TestResult

from etl_manager.errors import FailureKind
from etl_manager.redaction import redact
from etl_manager.report.compat import md5, now, uuid4
from etl_manager.report.results import FAILURE_KIND

Function = TypeVar("Function", bound=Callable[..., object])

EPIC = "Phase 2: the multi-tenant database"
"""What all scenarios are about."""

SEVERITIES = {
    "database": "blocker",
    "schema": "critical",
    "data": "critical",
    "isolation": "critical",
    "verification": "critical",
    "gate": "blocker",
}
"""The tag of a phase → how severe a failure of one of its scenarios is: nothing can go on after a blocker."""

GROUP = 100
"""Tenants in one group of the report's tree; that many or fewer are not grouped."""


def tenant_groups(tenants: Sequence[str]) -> dict[str, str]:
    """Return each of *tenants* with the name of its group; none where no groups are needed."""
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

    Done at collection, so that a scenario whose set-up fails has its labels too.

    Args:
        function: The test.
        feature: Name of its feature.
        story: What it is grouped by: the rule, or the scenario.
        description: The descriptions of feature, rule and scenario.
        tags: Those of the scenario, its rule and its feature: one of them may be a phase.
    """
    phase = next((tag for tag in SEVERITIES if tag in tags), None)
    labels = [allure.epic(EPIC), allure.feature(feature), allure.story(story), allure.description(description)]
    labels += [allure.label("phase", phase)] if phase else []
    labels.append(allure.severity(SEVERITIES.get(phase or "", "normal")))
    for decorate in labels:
        function = decorate(function)
    return function


_MARK = "  kind:  "


def with_kind(trace: str, kind: FailureKind) -> str:
    """Return *trace* with the *kind* at its end: Allure's categories can match nothing but message and trace."""
    return f"{trace}\n{_MARK}{kind.title}"


def write_categories(directory: Path) -> None:
    """Write the kinds of failure as Allure's categories into *directory*: one file serves Allure 2 and Allure 3."""
    categories: list[dict[str, object]] = [
        {
            "name": kind.title,
            "matchedStatuses": [kind.status],
            "traceRegex": f".*{_MARK.strip()} +{re.escape(kind.title)}.*",
        }
        for kind in FailureKind
        if kind.status != Status.SKIPPED
    ]
    categories += [
        {"name": FailureKind.NOT_RUN.title, "matchedStatuses": ["skipped"], "messageRegex": ".*not run because.*"},
        {"name": FailureKind.NOT_APPLICABLE.title, "matchedStatuses": ["skipped"]},
    ]
    (directory / "categories.json").write_text(json.dumps(categories, indent=2), encoding="utf-8")


def write_environment(directory: Path, facts: Mapping[str, str]) -> None:
    """Write *facts* about the environment beside the results in *directory*."""
    lines = [f"{_escaped(name)}={_escaped(value)}" for name, value in facts.items()]
    (directory / "environment.properties").write_text("\n".join([*lines, ""]), encoding="utf-8")


def write_executor(directory: Path, variables: Mapping[str, str], report_name: str) -> None:
    """Write who ran it beside the results, where *variables* of the environment are those of GitHub Actions.

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


def record(title: str, kind: FailureKind, details: str) -> None:
    """Write a result of its own, called *title*, for a failure that no scenario has; *details* is what pytest shows."""
    name, at = f"environment#{title}", now()
    digest = md5(name)
    result = TestResult(
        uuid=uuid4(),
        name=title,
        fullName=name,
        titlePath=["environment"],
        testCaseId=digest,
        historyId=digest,
        status=kind.status,
        statusDetails=StatusDetails(message=details, trace=with_kind(details, kind)),
        labels=[
            Label(name="epic", value=EPIC),
            Label(name="feature", value="Environment"),
            Label(name=FAILURE_KIND, value=kind.name),
        ],
        start=at,
        stop=at,
    )
    allure_commons.plugin_manager.hook.report_result(result=result)
