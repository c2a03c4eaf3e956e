"""The report of a run, from which reviewers decide.

During a run `etl_manager.report.allure` writes Allure's results. At its end they are counted against the feature files and
compared with the run before; a verdict of one page, a summary and a manifest of digests follow from them. Allure's own tool
renders them on demand.
"""

from __future__ import annotations

RESULTS, RECORD, HISTORY, MANIFEST = "allure-results", "run.json", "history.jsonl", "manifest.sha256"
SUMMARY, VERDICT_PAGE, RENDERED, LOG = "summary.md", "verdict.html", "allure-report", "run.log"
GATE, GATE_PAGE, DATA_FILTER = "phase3-gate.json", "phase3-gate.md", "zero-etl-data-filter.txt"
"""Files and folders of ``reports/``."""
OF_A_RUN = (GATE, VERDICT_PAGE, SUMMARY, GATE_PAGE, DATA_FILTER, RENDERED, MANIFEST, RECORD, RESULTS, LOG)
"""All that is of one run, what others rely on first: it is removed in this order, and comes back in the opposite one."""
COVERED = (RECORD, HISTORY, LOG, GATE, GATE_PAGE, DATA_FILTER)
"""What the manifest covers beside the results, where it is there."""
