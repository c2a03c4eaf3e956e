"""Render the report with Allure's own tool, and patch the page that it makes.

As Allure 3.18.0 makes it, the main script runs before its data is there in about one load of eleven, which then stays
empty; and the page loads an analytics script, which no setting turns off.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from etl_manager.errors import ConfigError, InfrastructureError, VerificationError
from etl_manager.report import HISTORY, RENDERED, RESULTS, folder, page
from etl_manager.report.results import earlier_runs, history_text
from etl_manager.report.verdict import assess
from etl_manager.wording import number_of

_MAIN = re.compile(r'<script\s+src="data:text/javascript;base64,[A-Za-z0-9+/=]*"></script>\n?')
_ANALYTICS = re.compile(
    r'<script async src="https://www\.googletagmanager\.com/[^"]*"></script>\s*'
    r"<script>\s*window\.dataLayer\b.*?</script>\s*",
    re.DOTALL,
)
_END = "</body>"

POLICY = (
    "default-src 'none'; script-src data: blob: 'unsafe-inline' 'unsafe-eval'; style-src data: 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; media-src data: blob:; connect-src data: blob:; frame-src data: blob:; "
    "worker-src data: blob:"
)
"""What the page may load: what it carries, and nothing else."""


def patch_allure_html(page: str, front: str, style: str) -> str:
    """Return Allure's *page* with its main script last, without analytics, and with *front* before all else.

    Args:
        page: What Allure made.
        front: HTML that comes first.
        style: Its CSS.

    Raises:
        VerificationError: When the page is not built as Allure 3.18.0 builds it.
    """
    page, analytics = _ANALYTICS.subn("", page)
    main = _MAIN.findall(page)
    if len(main) != 1 or page.count(_END) != 1 or "googletagmanager" in page or "<head>" not in page:
        raise VerificationError(
            f"Allure's page is built otherwise than it was: {number_of(len(main), 'main script')}, {number_of(analytics, 'analytics script')}",
            hint="etl_manager/report/allure_cli/package.json pins the version that is known: install that one.",
        )
    page = page.replace(main[0], "")
    page = page.replace("<head>", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">', 1)
    page = page.replace("</head>", f"<style>{style}</style>\n</head>", 1)
    page = page.replace("<body>", f"<body>\n{front}", 1)
    return page.replace(_END, f"{main[0]}{_END}")


TOOL = Path(__file__).with_name("allure_cli")
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
        InfrastructureError: When Allure cannot be installed or does not render.
    """
    with folder.take(reports):
        return _render(reports)


def _render(reports: Path) -> Path:
    assessment = assess(reports)
    npm = _npm()
    allure = _allure(npm)
    output = reports / RENDERED
    with tempfile.TemporaryDirectory(prefix="etl-manager-report-") as temporary:
        past = Path(temporary, HISTORY)
        past.write_text(history_text(earlier_runs(reports, assessment.record)), encoding="utf-8")
        made = Path(temporary, "made")
        variables = {
            "REPORT_RESULTS": str((reports / RESULTS).resolve()),
            "REPORT_OUTPUT": str(made),
            "REPORT_HISTORY": str(past),
            "REPORT_NAME": f"Phase 2 on {assessment.record.metadata['target']}{', emulated' if assessment.emulated else ''}",
        }
        words = [str(allure), "generate", "--config", str(TOOL / "allurerc.mjs"), variables["REPORT_RESULTS"]]
        _run(words, "Allure did not render the report", cwd=Path(temporary), **variables)
        front = page.render(
            "front.html",
            blocks=list(page.contents(assessment, folder.digest(reports))),
            headline=page.headline(assessment),
            state=assessment.state,
            report="",
        )
        style = page.render("verdict.css") + page.render("front.css")
        html = patch_allure_html((made / "index.html").read_text(encoding="utf-8"), front, style)
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        (output / "index.html").write_text(html, encoding="utf-8")
        folder.write_pages(reports, assessment)
    return output / "index.html"


def _npm() -> str:
    """Return npm's program where Node is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing = " and ".join(name for name, path in (("Node.js", node), ("npm", npm)) if path is None)
        raise ConfigError(f"The report cannot be rendered: {missing} is not installed", hint=INSTALL)
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    version = re.match(r"v(\d+)", said)
    if version is None or int(version[1]) < OLDEST_NODE:
        raise ConfigError(f"The report cannot be rendered: Node.js is {said or 'not working'}", hint=INSTALL)
    return npm


def _allure(npm: str) -> Path:
    """Return Allure's program; it is installed when it is not there in the version that ``package.json`` pins."""
    program, package = TOOL / "node_modules/.bin/allure", TOOL / "node_modules/allure/package.json"
    pinned = json.loads((TOOL / "package.json").read_bytes())["dependencies"]["allure"]
    installed = json.loads(package.read_bytes())["version"] if package.is_file() else None
    if installed != pinned or not program.exists():
        options = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
        _run([npm, "install", *options], "Allure could not be installed by npm", cwd=TOOL)
    return program


def _run(words: list[str], failure: str, *, cwd: Path, **variables: str) -> None:
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-1500:]
        raise InfrastructureError(f"{failure} (exit status {done.returncode}): {said}", context={"command": words[0]})
