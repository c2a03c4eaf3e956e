"""The pytest plugin: ``.feature`` files become tests that build and prove the database.

It only wires; each module owns its options and hooks.
"""

from __future__ import annotations

pytest_plugins = (
    "etl_manager.pytest_plugin.options",
    "etl_manager.pytest_plugin.workers",
    "etl_manager.pytest_plugin.staging",
    "etl_manager.pytest_plugin.reporting",
    "etl_manager.pytest_plugin.collection",
    "etl_manager.pytest_plugin.report_session",
    "etl_manager.pytest_plugin.session",
    "etl_manager.pytest_plugin.spread",
    "etl_manager.pytest_plugin.gate",
)
