"""What a run has read so far: the snapshots and the verification."""

from __future__ import annotations

from dataclasses import dataclass

from etl_manager.database.snapshot import DatabaseSnapshot
from etl_manager.database.verification import Verification
from etl_manager.ssm.script import SqlFileResult


@dataclass
class RunObservations:
    """The initial snapshot is from before anything was done; the last one shows what is there now."""

    initial: DatabaseSnapshot | None = None
    last: DatabaseSnapshot | None = None
    verification: Verification | None = None

    @property
    def now(self) -> DatabaseSnapshot:
        """What is there now; there must be a snapshot."""
        if self.last is None:
            raise AssertionError
        return self.last

    def take_snapshot(self, result: SqlFileResult) -> DatabaseSnapshot:
        """Read what the inspection printed, and return it.

        Raises:
            VerificationError: When it cannot be read.
        """
        self.last = DatabaseSnapshot.read(result.stdout)
        self.initial = self.initial or self.last
        return self.last
