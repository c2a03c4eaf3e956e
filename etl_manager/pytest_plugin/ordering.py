"""Phases run in the order of their files' names, and in one process."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from etl_manager.pytest_plugin.collection import SCENARIO


def pytest_configure(config: pytest.Config) -> None:
    """Refuse pytest-xdist for feature files: it would give every worker a target and lose the order of phases.

    Raises:
        pytest.UsageError: When feature files are asked for together with ``-n``.
    """
    distributed = getattr(config.option, "numprocesses", None) or getattr(config.option, "dist", "no") != "no"
    if distributed and any(map(_has_feature_files, config.args)):
        raise pytest.UsageError(
            "provisioning runs its phases one after another in one process: leave out -n and --dist"
        )


def _has_feature_files(argument: str) -> bool:
    path = Path(argument.partition("::")[0])
    if path.suffix == ".feature":
        return True
    for _, folders, files in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if any(name.endswith(".feature") for name in files):
            return True
    return False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the scenarios in order, whatever the order on the command line; other tests keep their places."""
    places = [index for index, item in enumerate(items) if SCENARIO in item.stash]
    in_order = sorted((items[index] for index in places), key=_place)
    for index, item in zip(places, in_order, strict=True):
        items[index] = item


def _place(item: pytest.Item) -> tuple[list[str | int], Path, int]:
    """Return the sort key of *item*: ``10-x.feature`` comes after ``9-y.feature``; rows stay as they are."""
    parts = re.split(r"(\d+)", item.path.name)
    numbers = [int(part) if part.isdigit() else part for part in parts]
    return numbers, item.path, item.stash[SCENARIO].line_number
