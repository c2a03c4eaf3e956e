"""``reports/`` is of one run: a run writes into a folder of its own, which takes the place of the last one at its end.

Before that it is closed: pages follow from what is in it, and a manifest of digests, in the form that
``sha256sum --check`` reads. The manifest's own digest is named where it is not so easily changed: on the terminal of
the run, which CI keeps, and in the verdict and the summary.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from etl_manager.errors import TargetError
from etl_manager.redaction import redact
from etl_manager.report import (
    COVERED,
    HISTORY,
    LOG,
    MANIFEST,
    OF_A_RUN,
    RENDERED,
    RESULTS,
    SUMMARY,
    VERDICT_PAGE,
)
from etl_manager.report.page import contents, headline, markdown, render
from etl_manager.report.results import Record, append_to_history, read
from etl_manager.report.verdict import RunVerdict, assess
from etl_manager.targets.state import lock, remove

LOCK = ".lock"
UNFINISHED = "unfinished"
"""The folder inside ``reports/`` that a run writes into until its end."""


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


def write_manifest(reports: Path) -> str:
    """Write the manifest of the folder *reports* and return its SHA-256."""
    text = "".join(f"{_sha256(reports / name)}  {name}\n" for name in _covered(reports))
    (reports / MANIFEST).write_text(text, encoding="utf-8")
    return digest(reports)


def digest(reports: Path) -> str:
    """Return the SHA-256 of the manifest; empty when there is none."""
    path = reports / MANIFEST
    return _sha256(path) if path.is_file() else ""


def differences(reports: Path) -> Iterator[str]:
    """Yield what in the folder *reports* is not as the manifest says: changed, missing, or added since."""
    known: dict[str, str] = {}
    for line in (reports / MANIFEST).read_text(encoding="utf-8", errors="replace").splitlines():
        value, gap, name = line.partition("  ")
        inside = name and not Path(name).is_absolute() and ".." not in Path(name).parts
        if len(value) != 64 or not gap or not inside or name in known:
            yield f"{MANIFEST}: not a line of a manifest: {line[:100]}"
        known[name] = value
    there = set(_covered(reports))
    for name in sorted(known.keys() | there):
        if name not in there:
            yield f"{name}: missing"
        elif name not in known:
            yield f"{name}: added since"
        elif _sha256(reports / name) != known[name]:
            yield f"{name}: changed"


def _covered(reports: Path) -> list[str]:
    single = [name for name in COVERED if (reports / name).is_file()]
    results = (path for path in (reports / RESULTS).rglob("*") if path.is_file())
    return sorted([*single, *(path.relative_to(reports).as_posix() for path in results)])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


TITLE = "Phase 2 verdict"


def close(reports: Path, record: Record) -> tuple[RunVerdict, str]:
    """Write all that follows from *record* and the results in the folder *reports*.

    Returns:
        The verdict, and the digest of the manifest.
    """
    record.write(reports)
    append_to_history(reports, record, read(reports / RESULTS, record.expected).found)
    manifest = write_manifest(reports)
    assessment = assess(reports)
    write_pages(reports, assessment)
    return assessment, manifest


def write_pages(reports: Path, assessment: RunVerdict) -> None:
    """Write the summary and the verdict's page into the folder *reports*."""
    for name, text in pages(reports, assessment):
        (reports / name).write_text(text, encoding="utf-8")


def pages(reports: Path, assessment: RunVerdict) -> Iterator[tuple[str, str]]:
    """Yield name and text of each page about *assessment*; the same files always give the same text.

    The verdict links to the scenarios where the rendered report is in the folder *reports*.
    """
    blocks = list(contents(assessment, digest(reports)))
    rendered = f"{RENDERED}/index.html"
    report = rendered if (reports / rendered).is_file() else None
    yield SUMMARY, markdown(blocks)
    title = f"{headline(assessment)} · {TITLE}"
    yield VERDICT_PAGE, redact(render("document.html", blocks=blocks, title=title, report=report))
