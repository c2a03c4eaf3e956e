"""``-n``: one run, shared by pytest-xdist's workers, which prove the tenants' scenarios from its record.

This process does all that sends something or is told once: it runs every scenario that is no tenant's, and each
scenario of tenants for the first of them. What that asked for, and what failed, is what the other tenants' scenarios
ask for: those are proven by the workers, which reach neither AWS nor the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from etl_manager import redaction
from etl_manager.errors import reason
from etl_manager.pytest_plugin import workers
from etl_manager.pytest_plugin.collection import SCENARIO
from etl_manager.pytest_plugin.session import RUN, SETUP_ERROR
from etl_manager.pytest_plugin.staging import STAGING
from etl_manager.pytest_plugin.workers import Handout, RecordServer, spreads
from etl_manager.report.feature_files import EACH_TENANT
from etl_manager.wording import number_of

_SERVER = pytest.StashKey[RecordServer]()
_SESSION = pytest.StashKey[pytest.Session]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[Any]) -> None:
    """Have something to tell workers.

    Raises:
        pytest.UsageError: When one is to be elsewhere: it would have neither the record nor the reports.
    """
    if not spreads(config):
        return
    if any(not spec.popen or spec.chdir for spec in specs):
        raise pytest.UsageError("the workers prove the one run of this machine: leave out --tx, and take -n")
    server = config.stash[_SERVER] = RecordServer()
    config.add_cleanup(server.close)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where the run writes and where its record is had; also one that takes a dead one's place."""
    if spreads(node.config):
        node.workerinput[workers.KEY] = node.config.stash[_SERVER].tell(node.config.stash[STAGING].folder)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> bool | None:
    """Collect in this process too, which pytest-xdist leaves to the workers."""
    if not spreads(session.config):
        return None
    session.perform_collect()
    return True


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to the process that runs what is its own."""
    if workers.is_worker(config):
        items[:] = split(items)[1]


def split(items: Sequence[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Return which of *items* are run in the process of the run, and which by workers."""
    own, others, begun = [], [], set()
    for item in items:
        if SCENARIO not in item.stash:
            others.append(item)
            continue
        outline = (item.path, item.originalname if isinstance(item, pytest.Function) else item.name)
        if outline in begun and item.get_closest_marker(EACH_TENANT):
            others.append(item)
        else:
            own.append(item)
        begun.add(outline)
    return own, others


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run what is this process's own, as pytest would; then let pytest-xdist have the rest done.

    Raises:
        pytest.Session.Failed: When enough has failed (``-x``).
        pytest.Session.Interrupted: When something could not be collected, or a plugin ends the session.
    """
    config = session.config
    if not spreads(config):
        return None
    if session.testsfailed and not config.option.continue_on_collection_errors:
        raise session.Interrupted(f"{number_of(session.testsfailed, 'error')} during collection")
    config.stash[_SESSION] = session
    own, others = split(session.items)
    for item, following in zip(own, [*own[1:], None], strict=True):
        config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
    if not others:
        return True
    config.stash[_SERVER].open(_handout(config))
    return None


def _handout(config: pytest.Config) -> Handout:
    run, error = config.stash.get(RUN, None), config.stash.get(SETUP_ERROR, None)
    why = reason(error) if error else "no scenario of the first tenant asked for it"
    return Handout(run.record() if run else None, why, redaction.registered())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the number of tests that of this process: pytest-xdist counts what workers have collected."""
    if (node := getattr(report, "node", None)) is not None and spreads(node.config):
        session = node.config.stash[_SESSION]
        session.testscollected = max(session.testscollected, len(session.items))
