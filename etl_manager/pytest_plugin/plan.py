"""``--plan``: show what a run would do, and run nothing."""

from __future__ import annotations

from typing import Any

import pytest

from etl_manager.errors import ProvisioningError
from etl_manager.pytest_plugin.collection import has_scenarios
from etl_manager.pytest_plugin.options import SETTINGS, Mode
from etl_manager.pytest_plugin.session import open_run
from etl_manager.redaction import redact


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Show the plan instead of running the scenarios; exit 1 when it cannot be made.

    Raises:
        pytest.UsageError: When ``--plan`` is given and no feature file is selected: tests would run instead.
    """
    config = session.config
    if config.stash[SETTINGS].mode is not Mode.PLAN or config.option.collectonly or session.testsfailed:
        return None
    if not has_scenarios(session):
        raise pytest.UsageError("--plan shows what `pytest features/` would do, but no scenario is selected")
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    try:
        with open_run(config) as run:
            lines = run.plan()
    except ProvisioningError as error:
        session.testsfailed = 1
        reporter.write_line(redact(str(error)), red=True)
    else:
        for line in lines:
            reporter.write_line(redact(line))
    return True
