"""Scenarios tagged ``@each-tenant``: their Examples table is filled with the tenants of the configuration.

In the file the table is a header and nothing else, so that adding a tenant changes no feature.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_bdd.parser import ScenarioTemplate

TAG = "each-tenant"
COLUMN = "tenant"


def is_per_tenant(template: ScenarioTemplate) -> bool:
    """Return whether *template* stands for one test a tenant; a tag of its rule or feature counts as its own."""
    inherited = template.feature.tags | (template.rule.tags if template.rule else set())
    return TAG in template.tags | inherited


def fill(template: ScenarioTemplate, tenants: Sequence[str]) -> None:
    """Make *template* stand for one test each of *tenants*, in their order."""
    [table] = template.examples
    table.examples = [[tenant] for tenant in tenants]
