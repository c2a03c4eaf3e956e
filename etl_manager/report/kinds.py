"""The kinds of failure: whose fault it is, so that a reader knows at once where to look."""

from __future__ import annotations

import re
from typing import Any

from etl_manager.errors import (
    CommandError,
    ConfigError,
    DiscoveryError,
    EnvironmentTrouble,
    NotApplicable,
    PhaseNotRun,
    SqlError,
    TargetError,
    VerificationError,
    WorkspaceError,
)

DEFECT = "A defect of the suite itself"
DIFFERS = "The database is not as configured"
NOT_RUN = "Not run, since something before it failed"
LEFT_OUT = "Not run on this target or in this mode"

_BY_ERROR: tuple[tuple[type[BaseException], str], ...] = (
    (PhaseNotRun, NOT_RUN),
    (NotApplicable, LEFT_OUT),
    (SqlError, "PostgreSQL refused a statement"),
    (VerificationError, "The verification did not hold"),
    (DiscoveryError, "AWS, credentials or discovery"),
    (TargetError, "The target could not be started"),
    (CommandError, "SSM, or the bastion's agent"),
    (WorkspaceError, "The bastion's workspace or programs"),
    (ConfigError, "The configuration"),
    (EnvironmentTrouble, "The connection to the database"),
)
"""The first that fits counts: the database's own faults, then what the suite stands on."""

_NOT_BROKEN = {PhaseNotRun, NotApplicable, SqlError, VerificationError}
_MARK = "  kind:  "


def kind_of(error: BaseException, *, failed: bool) -> str:
    """Return what kind of failure *error* is; *failed* says that a proof failed, as opposed to anything else."""
    for error_type, kind in _BY_ERROR:
        if isinstance(error, error_type):
            return kind
    return DIFFERS if failed else DEFECT


def marked(trace: str, kind: str) -> str:
    """Return *trace* with the *kind* at its end, by which reports group failures."""
    return f"{trace}\n{_MARK}{kind}"


def read(trace: str) -> str:
    """Return the kind that `marked` put into *trace*, or an empty string."""
    return trace.rpartition(_MARK)[2].strip() if _MARK in trace else ""


def categories() -> list[dict[str, Any]]:
    """Return the kinds as Allure's categories: one file serves Allure 2 and Allure 3."""
    broken = [kind for error_type, kind in _BY_ERROR if error_type not in _NOT_BROKEN]
    failed = [DIFFERS, *(kind for error_type, kind in _BY_ERROR if error_type in {SqlError, VerificationError})]
    return [
        *(_category(kind, "failed") for kind in failed),
        *(_category(kind, "broken") for kind in [*broken, DEFECT]),
        {"name": NOT_RUN, "matchedStatuses": ["skipped"], "messageRegex": ".*not run because.*"},
        {"name": LEFT_OUT, "matchedStatuses": ["skipped"]},
    ]


def _category(kind: str, status: str) -> dict[str, Any]:
    return {"name": kind, "matchedStatuses": [status], "traceRegex": f".*{_MARK.strip()} +{re.escape(kind)}.*"}
