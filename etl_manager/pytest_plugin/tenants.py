"""Scenarios tagged ``@each-tenant``: their Examples table is filled with the tenants of the configuration.

In the file the table is a header and nothing else, so that adding a tenant changes no feature.
"""

from __future__ import annotations

from pytest_bdd.parser import ScenarioTemplate

from etl_manager.config import Config

TAG = "each-tenant"
HEADERS = (["tenant"], ["tenant", "users"])
"""The headers such a table may have; ``users`` is the number of sample rows the configuration asks for."""


def is_per_tenant(template: ScenarioTemplate) -> bool:
    """Return whether *template* stands for one test a tenant; a tag of its rule or feature counts as its own."""
    inherited = template.feature.tags | (template.rule.tags if template.rule else set())
    return TAG in template.tags | inherited


def fill(template: ScenarioTemplate, config: Config) -> None:
    """Make *template* stand for one test each of the tenants of *config*, in their order."""
    [table] = template.examples
    width = len(table.example_params)
    table.examples = [[tenant, str(config.users_per_tenant)][:width] for tenant in config.tenants]
