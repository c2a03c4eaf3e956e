"""What Allure's single page needs before it can be handed on: it must open every time, and call nobody.

Found in Allure 3.18.0: the main script runs before the data is there in about one load of eleven, which then stays
empty; and the page loads an analytics script, which no setting turns off.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from html import escape
from pathlib import Path

from etl_manager.errors import ConfigError, InfrastructureError, VerificationError
from etl_manager.report import HISTORY, RENDERED, RESULTS, finalize, history
from etl_manager.report.finalize import pages
from etl_manager.report.page import STYLE, contents, fragment, headline
from etl_manager.report.staging import take
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


def patch_allure_html(page: str, verdict: str, *, state: str, headline: str, style: str) -> str:
    """Return Allure's *page* with its main script last, without analytics, and with the *verdict* before all else.

    Args:
        page: What Allure made.
        verdict: HTML.
        state: What the verdict comes to, as a class of its style.
        headline: The same, in words.
        style: CSS of the verdict.

    Raises:
        VerificationError: When the page is not built as it is known of Allure 3.18.0.
    """
    page, analytics = _ANALYTICS.subn("", page)
    main = _MAIN.findall(page)
    if len(main) != 1 or page.count(_END) != 1 or "googletagmanager" in page or "<head>" not in page:
        raise VerificationError(
            f"Allure's page is built otherwise than it was: {number_of(len(main), 'main script')}, {number_of(analytics, 'analytics script')}",
            remedy="etl_manager/report/allure_cli/package.json pins the version that is known: install that one.",
        )
    page = page.replace(main[0], "")
    page = page.replace("<head>", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">', 1)
    page = page.replace("</head>", f"<style>{style}{_FRONT_STYLE}</style>\n</head>", 1)
    page = page.replace("<body>", f"<body>\n{_front(verdict, state, headline)}", 1)
    return page.replace(_END, f"{main[0]}{_END}")


_FRONT_STYLE = """
#front-bar { position: sticky; top: 0; z-index: 1000; display: flex; gap: .5rem; align-items: center; height: 40px;
  box-sizing: border-box; padding: 0 1rem; background: #1d2127; color: #fff; font: 600 14px system-ui, "DejaVu Sans", sans-serif; }
#front-bar a { padding: .25rem .8rem; border-radius: .3rem; color: #fff; text-decoration: none; }
#front-bar a[aria-current] { background: #fff; color: #1d2127; }
#front-bar .state { margin-right: auto; padding: .25rem .8rem; border-radius: .3rem; background: #59626e; }
#front-bar .state.ready { background: #14692f; } #front-bar .state.not-ready { background: #b3121d; }
#front { background: #f4f6f9; }
#app, #app > div { height: calc(100vh - 40px) !important; min-height: 0 !important; }
body.front #app, body.front #allure-app-loader, body:not(.front) #front { display: none; }
"""

_FRONT_SCRIPT = """
(function () {
  function show() {
    var front = location.hash === "" || location.hash === "#verdict";
    document.body.classList.toggle("front", front);
    document.getElementById("to-verdict").toggleAttribute("aria-current", front);
    document.getElementById("to-scenarios").toggleAttribute("aria-current", !front);
  }
  addEventListener("hashchange", show);
  show();
})();
"""


def _front(verdict: str, state: str, headline: str) -> str:
    """Return the bar that is always there, and the verdict, which is shown unless a scenario is asked for."""
    return (
        f'<nav id="front-bar"><span class="state {state}">{escape(headline)}</span>'
        '<a id="to-verdict" href="#verdict">Verdict</a><a id="to-scenarios" href="#/">Scenarios</a></nav>\n'
        f'<div id="front">{verdict}</div>\n<script>{_FRONT_SCRIPT}</script>\n'
    )


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
        verdict = fragment(contents(assessment, finalize.digest(reports)))
        page = patch_allure_html(
            (made / "index.html").read_text(encoding="utf-8"),
            verdict,
            state=assessment.state,
            headline=headline(assessment),
            style=STYLE,
        )
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        (output / "index.html").write_text(page, encoding="utf-8")
        for name, content in pages(reports, assessment, finalize.digest(reports)):
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
        raise InfrastructureError(f"{failure} (exit status {done.returncode}): {said}", where={"command": words[0]})
