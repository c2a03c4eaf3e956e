"""Rendering: Allure's own tool makes one page of the results, which is then mended and given the verdict."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from etl_manager.errors import ConfigError, EnvironmentTrouble
from etl_manager.report import HISTORY, RENDERED, RESULTS, history, manifest
from etl_manager.report.assessment import assess
from etl_manager.report.closing import pages
from etl_manager.report.contents import contents, headline
from etl_manager.report.mending import mended
from etl_manager.report.page import STYLE, fragment
from etl_manager.report.staging import take

TOOL = Path(__file__).with_name("allure")
"""The folder with ``package.json``, ``allurerc.mjs`` and, once installed, ``node_modules``."""
OLDEST_NODE = 20
INSTALL = (
    f"Install Node.js {OLDEST_NODE} or newer with npm (https://nodejs.org, or your system's package nodejs), "
    "and run make report again.\nThe verdict needs neither: reports/verdict.html and reports/summary.md are there."
)


def render(reports: Path) -> Path:
    """Make ``allure-report/index.html`` in the folder *reports* and return it.

    Raises:
        TargetError: When a run goes on there, whose report this would be put beside.
        ConfigError: When Node or npm is missing or too old.
        VerificationError: When there are no results, or the page is not what is known of Allure's.
        EnvironmentTrouble: When Allure cannot be installed or does not render.
    """
    with take(reports):
        return _render(reports)


def _render(reports: Path) -> Path:
    assessment = assess(reports)
    npm = _npm()
    allure = _allure(npm)
    output = reports / RENDERED
    with tempfile.TemporaryDirectory(prefix="etl-manager-report-") as temporary:
        past = Path(temporary, HISTORY)
        past.write_text(history.as_text(history.before(reports, assessment.record)), encoding="utf-8")
        made = Path(temporary, "made")
        variables = {
            "REPORT_RESULTS": str((reports / RESULTS).resolve()),
            "REPORT_OUTPUT": str(made),
            "REPORT_HISTORY": str(past),
            "REPORT_NAME": f"Phase 2 on {assessment.record.facts['target']}{', emulated' if assessment.emulated else ''}",
        }
        words = [str(allure), "generate", "--config", str(TOOL / "allurerc.mjs"), variables["REPORT_RESULTS"]]
        _run(words, "Allure did not render the report", cwd=Path(temporary), **variables)
        verdict = fragment(contents(assessment, manifest.digest(reports)))
        page = mended(
            (made / "index.html").read_text(encoding="utf-8"),
            verdict,
            state=assessment.state,
            headline=headline(assessment),
            style=STYLE,
        )
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        (output / "index.html").write_text(page, encoding="utf-8")
        for name, content in pages(reports, assessment, manifest.digest(reports)):
            (reports / name).write_text(content, encoding="utf-8")
    return output / "index.html"


def _npm() -> str:
    """Return npm's program where Node is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing = " and ".join(name for name, path in (("Node.js", node), ("npm", npm)) if path is None)
        raise ConfigError(f"The report cannot be rendered: {missing} is not installed", remedy=INSTALL)
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    version = re.match(r"v(\d+)", said)
    if version is None or int(version[1]) < OLDEST_NODE:
        raise ConfigError(f"The report cannot be rendered: Node.js is {said or 'not working'}", remedy=INSTALL)
    return npm


def _allure(npm: str) -> Path:
    """Return Allure's program; it is installed when it is not there in the version that ``package.json`` pins."""
    program, package = TOOL / "node_modules/.bin/allure", TOOL / "node_modules/allure/package.json"
    pinned = re.search(r'"allure": "([^"]+)"', (TOOL / "package.json").read_text(encoding="utf-8"))
    there = re.search(r'"version": "([^"]+)"', package.read_text(encoding="utf-8")) if package.is_file() else None
    if pinned is None or there is None or there[1] != pinned[1] or not program.exists():
        options = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
        _run([npm, "install", *options], "Allure could not be installed by npm", cwd=TOOL)
    return program


def _run(words: list[str], failure: str, *, cwd: Path, **variables: str) -> None:
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-1500:]
        raise EnvironmentTrouble(f"{failure} (exit status {done.returncode}): {said}", where={"command": words[0]})
