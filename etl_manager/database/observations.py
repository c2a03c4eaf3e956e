"""What a run has seen so far: the looks, the verification, and the catalogue that came with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from etl_manager.database.snapshot import DatabaseSnapshot
from etl_manager.database.verification import Verification
from etl_manager.ssm.script import SqlFileResult


@dataclass
class RunObservations:
    """The first look is from before anything was done; the last one tells what is there now."""

    first: DatabaseSnapshot | None = None
    last: DatabaseSnapshot | None = None
    verification: Verification | None = None
    catalogue: list[SqlFileResult] = field(default_factory=list)

    @property
    def now(self) -> DatabaseSnapshot:
        """What is there now; somebody must have looked."""
        if self.last is None:
            raise AssertionError
        return self.last

    def take_look(self, step: SqlFileResult) -> DatabaseSnapshot:
        """Read what the inspection printed, and return it.

        Raises:
            VerificationError: When it cannot be read.
        """
        self.last = DatabaseSnapshot.read(step.stdout)
        self.first = self.first or self.last
        return self.last

    def take_verification(self, steps: Sequence[SqlFileResult], files: Collection[str], catalogue: str) -> Verification:
        """Read what *files* printed, and keep what the file *catalogue* did.

        Raises:
            VerificationError: When the verification cannot be read.
        """
        self.verification = Verification.read("\n".join(step.stdout for step in steps if step.file in files))
        self.catalogue = [step for step in steps if step.file == catalogue]
        return self.verification
