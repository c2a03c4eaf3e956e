"""The errors a user may meet: what failed, where, and what to do next.

Every error the suite raises on purpose derives from `ProvisioningError`, so that a caller can tell
"the suite knows what went wrong" from a defect of the suite itself, which keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


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


class EnvironmentTrouble(ProvisioningError):
    """What the suite stands on is not there: AWS, the bastion, the network, credentials or a target."""


class DiscoveryError(EnvironmentTrouble):
    """The stack, the secret or the bastion could not be found or read."""


class TargetError(EnvironmentTrouble):
    """A target could not be started or is in use."""


class CommandError(EnvironmentTrouble):
    """An SSM command did not run to its end, or its whole output could not be had."""


class WorkspaceError(EnvironmentTrouble):
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


class PhaseNotRun(ProvisioningError):
    """Something was not run because a part of the run that it depends on did not come to its end.

    Args:
        part: That part, such as ``phase schema``.
        reason: The first line of what ended it.
        how: How it ended.
    """

    def __init__(self, part: str, reason: str = "", *, how: str = "failed") -> None:
        """Make the message that reports show."""
        super().__init__(f"not run because {part} {how}" + (f": {reason}" if reason else ""))


class EnvironmentNotOpened(PhaseNotRun):
    """Nothing was run because target, cluster or bastion could not be had; the run's own failure says why.

    Args:
        reason: The first line of that failure.
    """

    def __init__(self, reason: str) -> None:
        """Keep the words that reports show."""
        super().__init__("the environment", reason, how="could not be opened")


class NotApplicable(ProvisioningError):
    """What a scenario proves does not exist on this kind of target or in this kind of run: no proof, and no failure."""
