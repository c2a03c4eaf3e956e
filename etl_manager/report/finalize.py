"""Close a report: its manifest of digests, in the form that ``sha256sum --check`` reads, and its pages.

The manifest's own digest is named where it is not so easily changed: on the terminal of the run, which CI keeps, and in
the verdict and the summary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from etl_manager.redaction import redact
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
    history,
    results,
)
from etl_manager.report.page import contents, headline, markdown, render
from etl_manager.report.results import Record
from etl_manager.report.verdict import RunVerdict, assess

SINGLE = (RECORD, HISTORY, LOG, GATE, GATE_PAGE, DATA_FILTER)
"""What is covered beside the results, where it is there."""


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
    single = [name for name in SINGLE if (reports / name).is_file()]
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
    history.append(reports, record, results.read(reports / RESULTS, record.expected).found)
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
