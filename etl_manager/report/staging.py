"""``reports/`` is of one run: a run writes into a folder of its own, which takes the place of the last run's at its end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from etl_manager.errors import TargetError
from etl_manager.report import (
    DATA_FILTER,
    GATE,
    GATE_PAGE,
    HISTORY,
    LOG,
    MANIFEST,
    RECORD,
    RENDERED,
    RESULTS,
    SUMMARY,
    VERDICT_PAGE,
)
from etl_manager.targets.state import lock, remove

LOCK = ".lock"
UNFINISHED = "unfinished"
"""The folder inside ``reports/`` that a run writes into until its end."""
OF_A_RUN = (GATE, VERDICT_PAGE, SUMMARY, GATE_PAGE, DATA_FILTER, RENDERED, MANIFEST, RECORD, RESULTS, LOG)
"""All that is of one run, what others rely on first: it is removed in this order, and comes back in the opposite one."""


def take(reports: Path) -> ExitStack:
    """Return the lock of the folder *reports*, which goes with the process.

    Raises:
        TargetError: When another process has it.
        OSError: When the folder cannot be written.
    """
    return lock(reports, LOCK, hint="Wait for the run that goes on there, or end it")


class RunFolder:
    """The folder that a run writes into, in each of its processes.

    Attributes:
        folder: What everything is written into.
        failure: Why nothing of it will be kept: the first thing that could not be written; else None.
    """

    def __init__(self, folder: Path) -> None:
        """Write into *folder*."""
        self.folder = folder
        self.failure: OSError | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep the first error of what is written within; it ends what is written, not the run."""
        try:
            yield
        except OSError as error:
            self.failure = self.failure or error


class Staging(RunFolder):
    """Where a run writes until its end.

    Attributes:
        refused: Why nothing of it will be kept: another run has ``reports/``; else None.
    """

    def __init__(self, reports: Path) -> None:
        """Take the folder *reports*, and remove all that is of an earlier run; the history and what is not ours stay.

        Where another run has it nothing is touched, and the run writes into a temporary folder.

        Raises:
            OSError: When it cannot be written.
        """
        super().__init__(reports / UNFINISHED)
        self._reports, self._made = reports, not reports.exists()
        self._lock: ExitStack | None = None
        self.refused: TargetError | None = None
        try:
            self._lock = take(reports)
        except TargetError as error:
            self.refused = error
            self.folder = Path(tempfile.mkdtemp(prefix="etl-manager-reports-"))
            return
        for name in (*OF_A_RUN, UNFINISHED):
            remove(reports / name)
        self.folder.mkdir()
        if (reports / HISTORY).is_file():
            shutil.copy(reports / HISTORY, self.folder)

    def show_log(self) -> None:
        """Let the log be read at its usual place while it is written; after a kill it is still there."""
        if self._lock:
            with suppress(OSError):  # a file system without links: the log is in the unfinished folder
                (self._reports / LOG).symlink_to(Path(UNFINISHED, LOG))

    def swap_in(self) -> None:
        """Put what was written into its place, unless another run has it, or not all of it could be written."""
        if self._lock is None or self.failure:
            return
        for name in (HISTORY, *reversed(OF_A_RUN)):
            made = self.folder / name
            if made.exists():
                remove(self._reports / name)
                made.rename(self._reports / name)

    def close(self) -> None:
        """Forget what was not swapped in, and let others have the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock:
            if (self._reports / LOG).is_symlink():
                (self._reports / LOG).unlink()
            if self._made and [path.name for path in self._reports.iterdir()] == [LOCK]:
                shutil.rmtree(self._reports, ignore_errors=True)
            self._lock.close()
