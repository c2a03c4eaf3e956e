"""The report of a run: what reviewers decide from.

While a run goes on, `etl_manager.report.allure` writes Allure's results. When it has ended, this room counts them against the
feature files, compares them with the run before, and makes of them a verdict of one page, a summary and a manifest of
digests. It reads Allure's files, and has Allure's own tool render them; the library it does not know.
"""

from __future__ import annotations

RESULTS, RECORD, HISTORY, MANIFEST = "allure-results", "run.json", "history.jsonl", "manifest.sha256"
SUMMARY, VERDICT_PAGE, RENDERED, LOG = "summary.md", "verdict.html", "allure-report", "run.log"
GATE, GATE_PAGE, DATA_FILTER = "phase3-gate.json", "phase3-gate.md", "zero-etl-data-filter.txt"
"""Files and folders of ``reports/``."""
