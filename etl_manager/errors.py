"""What the suite raises: what failed, where, what to do next, and whose fault it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


class ProvisioningError(Exception):
    """A failure the suite understands.

    Args:
        what: What failed, in one sentence. It may start with a word its users know, such as ``[ERROR]``.
        where: The places that help to find it, such as phase, tenant, SSM command id or SQL file and line.
        remedy: What to do next; one line or several.
    """

    def __init__(self, what: str, *, where: Mapping[str, object] | None = None, remedy: str = "") -> None:
        """Keep the parts apart, so that a report can show them in its own way."""
        self.what = what
        self.where = {name: value for name, value in (where or {}).items() if value not in (None, "")}
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        """Return the whole message, ready to be shown."""
        lines = [self.what]
        if self.where:
            lines.append("  where: " + ", ".join(f"{name} {value}" for name, value in self.where.items()))
        lines += [f"  next:  {line}" for line in self.remedy.splitlines()]
        return "\n".join(lines)


class ConfigError(ProvisioningError):
    """The configuration, an option or an argument cannot be used; nothing was started."""


class InfrastructureError(ProvisioningError):
    """What the suite stands on is not there: AWS, the bastion, the network, credentials or a target."""


class DiscoveryError(InfrastructureError):
    """The stack, the secret or the bastion could not be found or read."""


class TargetError(InfrastructureError):
    """A target could not be started or is in use."""


class CommandError(InfrastructureError):
    """An SSM command did not run to its end, or its whole output could not be had."""


class WorkspaceError(InfrastructureError):
    """The workspace on the bastion is missing, not ours, or could not be filled."""


class SqlError(ProvisioningError):
    """PostgreSQL refused a statement of an SQL file."""


class VerificationError(ProvisioningError):
    """What was found in the database cannot be read, two witnesses disagree, or what all proofs stand on is missing."""

    prerequisite = ""
    """The prerequisite of Phase 3 that it disproves; empty where it only keeps it from being proven."""


class DataLost(ProvisioningError):
    """Something vanished from the database while a phase was run.

    Args:
        during: What was run.
        lost: What vanished, each with what it was before and after.
    """

    def __init__(self, during: str, lost: Sequence[str]) -> None:
        """Name each of them."""
        super().__init__(
            f"lost {'; '.join(lost[:10])}" + (f"; … and {len(lost) - 10} more" if len(lost) > 10 else ""),
            where={"during": during},
            remedy="Stop what removes it: an SQL file of the phases, or somebody else at work in the database.\n"
            "Bring back what was the tenants' own from a backup: a run makes structure and sample rows anew, nothing else.",
        )


class DatabaseMissing(VerificationError):
    """The tenants' database does not exist, and this run may not make it.

    Args:
        database: Its name.
        cluster: Where it was looked for, host:port.
    """

    prerequisite = "database-exists"

    def __init__(self, database: str, cluster: str) -> None:
        """Say what to do."""
        super().__init__(
            f"The database {database} does not exist",
            where={"cluster": cluster},
            remedy="Run without --verify-only to build it, or correct aurora.databaseName in config.json.",
        )


class TenantsMissing(VerificationError):
    """Most tenants are not there, and this run may not make them: one failure, where each tenant would be several.

    Args:
        missing: Those that are not there.
        tenants: How many there are to be.
        what: What they have not got: ``schema`` or ``users table``.
        prerequisite: The prerequisite of Phase 3 that is disproven.
    """

    MOST_NAMED = 10

    def __init__(self, missing: Sequence[str], tenants: int, what: str, prerequisite: str) -> None:
        """Name the first few."""
        self.prerequisite = prerequisite
        more = f" … and {len(missing) - self.MOST_NAMED} more" if len(missing) > self.MOST_NAMED else ""
        verb = "has" if len(missing) == 1 else "have"
        super().__init__(
            f"{len(missing)} of {tenants} tenants {verb} no {what}",
            where={"missing": ", ".join(missing[: self.MOST_NAMED]) + more},
            remedy="Run without --verify-only to build what is missing, or correct tenants in config.json.",
        )


class PhaseSkipped(ProvisioningError):
    """Something was not run because a part of the run that it depends on did not come to its end.

    Args:
        part: That part, such as ``phase schema``.
        reason: The first line of what ended it.
        how: How it ended.
    """

    def __init__(self, part: str, reason: str = "", *, how: str = "failed") -> None:
        """Make the message that reports show."""
        super().__init__(f"not run because {part} {how}" + (f": {reason}" if reason else ""))


class SetupFailed(PhaseSkipped):
    """Nothing was run because target, cluster or bastion could not be had; the run's own failure says why.

    Args:
        reason: The first line of that failure.
    """

    def __init__(self, reason: str) -> None:
        """Keep the words that reports show."""
        super().__init__("the environment", reason, how="could not be opened")


class NotApplicable(ProvisioningError):
    """What a scenario proves does not exist on this kind of target or in this kind of run: no proof, and no failure."""


DEFECT = "A defect of the suite itself"
DIFFERS = "The database is not as configured"
NOT_RUN = "Not run, since something before it failed"
LEFT_OUT = "Not run on this target or in this mode"

_BY_ERROR: tuple[tuple[type[BaseException], str], ...] = (
    (PhaseSkipped, NOT_RUN),
    (NotApplicable, LEFT_OUT),
    (SqlError, "PostgreSQL refused a statement"),
    (VerificationError, "The verification did not hold"),
    (DiscoveryError, "AWS, credentials or discovery"),
    (TargetError, "The target could not be started"),
    (CommandError, "SSM, or the bastion's agent"),
    (WorkspaceError, "The bastion's workspace or programs"),
    (ConfigError, "The configuration"),
    (InfrastructureError, "The connection to the database"),
)
"""The first that fits counts: the database's own faults, then what the suite stands on."""

_NOT_BROKEN = {PhaseSkipped, NotApplicable, SqlError, VerificationError}
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


class Failures:
    """The parts of one run that did not come to their end, each with what ended it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ended: dict[str, BaseException] = {}

    def __contains__(self, part: str) -> bool:
        """Return whether *part* was ended."""
        return part in self._ended

    @contextmanager
    def once(self, part: str) -> Iterator[None]:
        """Do *part*, which a failure ends for the whole run: whoever comes later is told, and nothing is sent again.

        An interrupt counts as well (a plugin's timeout is one): what it left half done may not be repeated unseen.

        Raises:
            PhaseSkipped: When *part* was ended before; its cause is what ended it.
        """
        if part in self._ended:
            error = self._ended[part]
            how = "failed" if isinstance(error, Exception) else "was interrupted"
            raise PhaseSkipped(part, reason(error), how=how) from error
        try:
            yield
        except BaseException as error:
            self._ended[part] = error
            raise


def reason(error: BaseException) -> str:
    """Return the first line of what *error* says; one that the suite does not know is named by its type."""
    if isinstance(error, ProvisioningError):
        return error.what.splitlines()[0]
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if isinstance(error, Exception) else first
