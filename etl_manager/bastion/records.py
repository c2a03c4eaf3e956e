"""Which runs of a project may have left a folder on a bastion: a file for each on the operator's machine, locked by its run.

A run whose process is gone cannot clean up after itself, and the bastion cannot tell it from one that is between two
commands. Its lock can: the kernel takes it from a process however that ends (flock(2)).
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DELIVERY_SECONDS = 3_600
"""So long SSM may still deliver a command of a run that is gone: the longest ``TimeoutSeconds`` that the suite sends, and more."""


@dataclass
class RunRecords:
    """The records in *folder*; where it cannot be written none is kept, and what a killed run leaves stays for a day."""

    folder: Path
    _lock: int | None = None

    def keep(self, run_id: str) -> None:
        """Record the run *run_id* of this process, until `forget` or `release`; once is enough."""
        if self._lock is not None:
            return
        part = self.folder / f".{run_id}"
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.rename(self.folder / run_id)  # locked before anybody sees it

    def release(self) -> None:
        """Let a later run clean up after this one, which could not."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def orphans(self) -> list[str]:
        """Return the ids of the runs whose process is gone."""
        found = []
        with suppress(OSError):
            for path in sorted(self.folder.iterdir()):
                with suppress(OSError), path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    if path.name.isalnum():
                        found.append(path.name)
        return found

    def forget(self, run_id: str) -> None:
        """Remove the record of the run *run_id* of this process: nothing of it is on the bastion any more."""
        with suppress(OSError):
            (self.folder / run_id).unlink(missing_ok=True)
        self.release()

    def cleaned(self, orphans: list[str]) -> None:
        """Remove the records of *orphans* that were cleaned up, but for those a command may still be delivered of."""
        for run_id in orphans:
            path = self.folder / run_id
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > DELIVERY_SECONDS:
                    path.unlink()
