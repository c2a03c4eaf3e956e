"""The end of a run's report: history, manifest, summary and verdict, in the order in which one needs the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from etl_manager.redaction import redact
from etl_manager.report import RENDERED, RESULTS, SUMMARY, VERDICT_PAGE, history, manifest, results
from etl_manager.report.assessment import Assessment, assess
from etl_manager.report.contents import contents, headline
from etl_manager.report.markdown import markdown
from etl_manager.report.page import document
from etl_manager.report.record import Record

TITLE = "Phase 2 verdict"


def close(reports: Path, record: Record) -> tuple[Assessment, str]:
    """Write all that follows from *record* and the results in the folder *reports*.

    Returns:
        What the run comes to, and the digest of its manifest.
    """
    record.write(reports)
    history.append(reports, record, results.read(reports / RESULTS, record.promised).found)
    assessment = assess(reports)
    digest = manifest.write(reports)
    for name, text in pages(reports, assessment, digest):
        (reports / name).write_text(text, encoding="utf-8")
    return assessment, digest


def pages(reports: Path, assessment: Assessment, digest: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each page about *assessment*; the same results always give the same text.

    The verdict leads to the scenarios where the rendered report is in the folder *reports*.
    """
    rendered = f"{RENDERED}/index.html"
    report = rendered if (reports / rendered).is_file() else None
    blocks = list(contents(assessment, digest))
    yield SUMMARY, redact(markdown(blocks))
    yield VERDICT_PAGE, redact(document(blocks, f"{headline(assessment)} · {TITLE}", report))
