"""Where a scenario is filed in the report: its labels, its description, and the link to its source."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import allure

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
