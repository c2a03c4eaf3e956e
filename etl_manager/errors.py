"""The errors of the suite: what failed, where, what to do next, and which kind of failure it is."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import ClassVar

from etl_manager.redaction import one_line
from etl_manager.wording import MOST_NAMED, first_of


class FailureKind(Enum):
    """The kinds of failure that reports tell apart: the title, and the status that Allure gives to what it ends.

    *Failed* is the database's fault, *broken* that of what the suite needs, *skipped* is no failure.
    """

    DIFFERENCE = ("The database is not as configured", "failed")
    STATEMENT = ("PostgreSQL refused a statement", "failed")
    VERIFICATION = ("The verification did not hold", "failed")
    DISCOVERY = ("AWS, credentials or discovery", "broken")
    TARGET = ("The target could not be started", "broken")
    COMMAND = ("SSM, or the bastion's agent", "broken")
    WORKSPACE = ("The bastion's workspace or programs", "broken")
    CONFIGURATION = ("The configuration", "broken")
    CONNECTION = ("The connection to the database", "broken")
    DEFECT = ("A defect of the suite itself", "broken")
    NOT_RUN = ("Not run, since something before it failed", "skipped")
    NOT_APPLICABLE = ("Not run on this target or in this mode", "skipped")

    def __init__(self, title: str, status: str) -> None:
        self.title = title
        self.status = status


_STARVED = {
    errno.ENOSPC: "Free space there, or inodes: df -h and df -i show which is missing.",
    errno.EDQUOT: "This user's quota there is used up: free space, or have it raised.",
    errno.EFBIG: "Let this process write longer files: ulimit -f unlimited",
    errno.EROFS: "It is mounted read-only: have it mounted writable, or take another place.",
    errno.EMFILE: "Let this process open more files: ulimit -n 1024",
    errno.ENFILE: "This system has no open files left to give: end what holds them, or raise fs.file-max.",
    errno.ENOMEM: "This machine has no memory left: end what holds it.",
    errno.EAGAIN: "This user may start no more processes or threads: end some, or raise ulimit -u.",
}


def remedy(error: OSError, otherwise: str) -> str:
    """Return what to do about *error*: where the machine lacks something that, else *otherwise*."""
    return _STARVED.get(error.errno or 0, otherwise)


class ProvisioningError(Exception):
    """A failure the suite understands.

    Args:
        message: What failed, in one sentence. It may start with a word people know, such as ``[ERROR]``.
        context: Where: phase, tenant, SSM command id, SQL file and line and the like, name → value.
        hint: What to do next; one line or several.
    """

    kind: ClassVar[FailureKind] = FailureKind.DEFECT

    def __init__(self, message: str, *, context: Mapping[str, object] | None = None, hint: str = "") -> None:
        """Keep the parts apart, so that a report can show them in its own way."""
        self.message = message
        self.context = {name: value for name, value in (context or {}).items() if value not in (None, "")}
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        """Return the whole message, ready to be shown."""
        lines = [self.message]
        if self.context:
            lines.append(
                "  where: " + ", ".join(f"{name} {one_line(str(value))}" for name, value in self.context.items())
            )
        lines += [f"  next:  {line}" for line in self.hint.splitlines()]
        return "\n".join(lines)


class ConfigError(ProvisioningError):
    """The configuration, an option or an argument cannot be used; nothing was started."""

    kind = FailureKind.CONFIGURATION


class InfrastructureError(ProvisioningError):
    """AWS, the bastion, the network, credentials or the target is unavailable."""

    kind = FailureKind.CONNECTION


class DiscoveryError(InfrastructureError):
    """The stack, the secret or the bastion could not be found or read."""

    kind = FailureKind.DISCOVERY


class TargetError(InfrastructureError):
    """A target could not be started or is in use."""

    kind = FailureKind.TARGET


class CommandError(InfrastructureError):
    """An SSM command did not run to its end, or its output is not complete."""

    kind = FailureKind.COMMAND


class WorkspaceError(InfrastructureError):
    """The workspace on the bastion is missing, not ours, or could not be filled."""

    kind = FailureKind.WORKSPACE


class WorkspaceReplaced(WorkspaceError):
    """Another run took parts of the archive, or the workspace, away; nothing of this run was executed."""


class SqlError(ProvisioningError):
    """PostgreSQL refused a statement of an SQL file."""

    kind = FailureKind.STATEMENT


class VerificationError(ProvisioningError):
    """The database's answer cannot be read, two ways of asking disagree, or what every proof needs is missing."""

    kind = FailureKind.VERIFICATION

    def __init__(
        self, message: str, *, context: Mapping[str, object] | None = None, hint: str = "", prerequisite: str = ""
    ) -> None:
        """Keep the id of the *prerequisite* of Phase 3 that it disproves; empty for none."""
        super().__init__(message, context=context, hint=hint)
        self.prerequisite = prerequisite


class DataLost(ProvisioningError):
    """Data disappeared from the database while *during* was run: *lost*, each with its state before and after."""

    def __init__(self, during: str, lost: Sequence[str]) -> None:
        super().__init__(
            f"lost {'; '.join(first_of(lost, MOST_NAMED))}",
            context={"during": during},
            hint="Stop what removes it: an SQL file of the phases, or somebody else at work in the database.\n"
            "Bring back what was the tenants' own from a backup: a run makes structure and sample rows anew, nothing else.",
        )


class PhaseSkipped(ProvisioningError):
    """A part of the run was skipped because *part*, such as ``phase schema``, on which it depends, did not complete.

    *reason* is the first line of what ended it, and *how* in which way it ended.
    """

    kind = FailureKind.NOT_RUN

    def __init__(self, part: str, reason: str = "", *, how: str = "failed") -> None:
        super().__init__(f"not run because {part} {how}" + (f": {reason}" if reason else ""))


class NotApplicable(ProvisioningError):
    """A scenario does not apply to this kind of target or run: neither a proof nor a failure."""

    kind = FailureKind.NOT_APPLICABLE


class Failures:
    """The parts of one run that did not complete, each with its error."""

    def __init__(self, known: Mapping[str, tuple[str, str]] | None = None) -> None:
        """Start with those that are *known* from another process, as `ended` gives them, or without failures."""
        self.ended: dict[str, tuple[str, str]] = dict(known or {})
        """Part → the first line of what ended it, and how."""
        self._errors: dict[str, BaseException] = {}

    def __contains__(self, part: str) -> bool:
        """Return whether *part* failed."""
        return part in self.ended

    @contextmanager
    def once(self, part: str) -> Iterator[None]:
        """Run *part* once: after a failure, every later attempt raises `PhaseSkipped`, and nothing is sent again.

        An interrupt counts as well, such as a plugin's timeout: its work may be half done.

        Raises:
            PhaseSkipped: When *part* failed before; its cause is that failure, where it was in this process.
        """
        if part in self.ended:
            why, how = self.ended[part]
            raise PhaseSkipped(part, why, how=how) from self._errors.get(part)
        try:
            yield
        except BaseException as error:
            self.ended[part] = reason(error), "failed" if isinstance(error, Exception) else "was interrupted"
            self._errors[part] = error
            raise


def reason(error: BaseException) -> str:
    """Return the first line of the message of *error*, with the type of an error that is not the suite's own."""
    if isinstance(error, ProvisioningError):
        return error.message.splitlines()[0]
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if isinstance(error, Exception) else first
