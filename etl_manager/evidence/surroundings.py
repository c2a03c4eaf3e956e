"""What stands beside the results: where they were made, who ran them, and what kinds of failure there are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from etl_manager.redaction import redact
from etl_manager.report.kinds import categories


def write_categories(directory: Path) -> None:
    """Put the kinds of failure beside the results in *directory*."""
    (directory / "categories.json").write_text(json.dumps(categories(), indent=2), encoding="utf-8")


def write_environment(directory: Path, facts: Mapping[str, str]) -> None:
    """Put *facts* about the environment beside the results in *directory*."""
    lines = [f"{_escaped(name)}={_escaped(value)}" for name, value in facts.items()]
    (directory / "environment.properties").write_text("\n".join([*lines, ""]), encoding="utf-8")


def write_executor(directory: Path, variables: Mapping[str, str], report_name: str) -> None:
    """Put who ran it beside the results, where *variables* of the environment are GitHub Actions' own.

    GitHub: "Store information in variables", default environment variables.
    """
    if variables.get("GITHUB_ACTIONS") != "true":
        return
    base = f"{variables.get('GITHUB_SERVER_URL', '')}/{variables.get('GITHUB_REPOSITORY', '')}"
    attempt = variables.get("GITHUB_RUN_ATTEMPT", "1")
    run = f"{base}/actions/runs/{variables.get('GITHUB_RUN_ID', '')}/attempts/{attempt}"
    number = variables.get("GITHUB_RUN_NUMBER", "0")
    executor = {
        "name": "GitHub Actions",
        "type": "github",
        "url": base,
        "buildOrder": int(number) if number.isdigit() else 0,
        "buildName": f"{variables.get('GITHUB_WORKFLOW', 'workflow')} #{number}.{attempt}",
        "buildUrl": run,
        "reportName": report_name,
    }
    (directory / "executor.json").write_text(json.dumps(executor, indent=2), encoding="utf-8")


def _escaped(text: str) -> str:
    """Return *text* as a Java properties file writes it."""
    return re.sub(r"([\\=:#!])", r"\\\1", redact(text)).replace("\n", "\\n")
