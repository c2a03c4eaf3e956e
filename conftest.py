"""The one place where plugins and step modules are listed.

Steps are listed, not imported: only so are their asserts rewritten by pytest, which gives a failure its difference.
"""

from __future__ import annotations

pytest_plugins = [
    "etl_manager.pytest_plugin",
    # The step modules, one a noun:
    "steps.database",
    "steps.schema",
    "steps.data",
    "steps.isolation",
    "steps.verification",
    "steps.gate",
]
