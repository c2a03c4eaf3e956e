"""The rendered report is one file that opens from disk every time, calls nobody, and leads with the verdict."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from etl_manager.cli.report import check
from etl_manager.errors import ConfigError, VerificationError
from etl_manager.report.render import TOOL, patch_allure_html, render
from etl_manager.report.verdict import assess
from tests.support import forks
from tests.support.project import ROOT
from tests.unit.report.browser import CHROMIUM, Browser
from tests.unit.report.conftest import decoded

PICTURES = os.environ.get("REPORT_PICTURES")
"""Where the pictures of docs/report.md are to be put; usually nowhere."""


@pytest.fixture(scope="module")
def browser(rendered, tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: nobody can look at the report (Debian: apt-get install chromium)")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def picture(browser: Browser, name: str) -> None:
    if PICTURES:
        browser.screenshot(Path(PICTURES) / f"{name}.png")


def test_one_file(rendered):
    """Everything is in one file, and rendering changes none of the evidence."""
    assert [path.name for path in rendered.parent.iterdir()] == ["index.html"]
    assert "As run " in check(rendered.parents[1])


def test_verdict_is_seen_first(browser, rendered):
    """Opened from disk, the page says whether Phase 3 may start, and why not, before anything is clicked."""
    browser.open(rendered.as_uri())
    browser.wait_for("Not ready for Phase 3")
    text = browser.text()
    for words in (
        "sample-data-complete failed: tenant_b.users: rows of users: expected 5, found 4",
        "rows of tenant_b.users: expected 5, found 4 (1 too few)",
        "newly broken",
        "not AWS",
        "scenarios of the feature files",
    ):
        assert words in text
    assert browser.evaluate("getComputedStyle(document.getElementById('app')).display") == "none"
    picture(browser, "verdict")


def test_verdict_leads_to_the_failing_scenario_and_its_evidence(browser, rendered):
    """One click from the verdict: the tenant, the difference, each step, and the evidence attached to it."""
    browser.open(rendered.as_uri())
    browser.click("tenant_b has its sample users", "#front a")
    browser.wait_for("rows of tenant_b.users: expected 5, found 4 (1 too few)")
    for words in (
        "Given the database exists",
        "Then tenant_b.users has 5 rows",
        "And its reference rows are there, unaltered",
        "Show difference",
    ):
        browser.wait_for(words)
    assert "The database is not as configured" in browser.text()
    picture(browser, "failing-scenario")
    browser.click("Attachments", "[data-testid^='test-result-tab'], button, a, div")
    for words in ("expected and found", "SSM command of verification", "log of the scenario"):
        browser.wait_for(words)
    browser.click("SSM command of verification")
    browser.wait_for("command id")
    picture(browser, "evidence")


def test_behaviours_are_a_tree(browser, rendered):
    """Features, then scenarios, then tenants; what failed is marked as newly broken."""
    browser.open(rendered.as_uri() + "#/")
    for words in (
        "Sample data",
        "<tenant> has its sample users",
        "tenant_a has its sample users",
        "tenant_b has its sample users",
    ):
        browser.wait_for(words)
    browser.evaluate("document.querySelector('[data-testid=report-title]').scrollIntoView({block: 'center'})")
    picture(browser, "overview")
    assert browser.evaluate("document.querySelectorAll('[data-testid=tree-leaf-transition-regressed]').length") >= 5
    browser.evaluate("document.querySelector('[data-testid=search-input]').scrollIntoView()")
    picture(browser, "behaviours")


def test_history_is_a_trend(browser, rendered):
    """The run before stands beside this one: in the graphs, and in the history of each scenario."""
    browser.open(rendered.as_uri() + "#/charts")
    browser.wait_for("The last runs")
    browser.wait_for("Latest")
    picture(browser, "trend")
    browser.open(rendered.as_uri())
    browser.click("tenant_b has its sample users", "#front a")
    browser.wait_for("History\n1")


def test_verdict_prints_on_one_page(browser, rendered):
    """The verdict's own page, which needs no Node, says the same and fits on one sheet of paper."""
    browser.open((rendered.parents[1] / "verdict.html").as_uri())
    browser.wait_for("rows of tenant_b.users: expected 5, found 4 (1 too few)")
    assert browser.pages() == 1
    [link] = browser.evaluate(
        "[...document.links].filter(a => a.innerText === 'tenant_b has its sample users').map(a => a.href).slice(0, 1)"
    )
    browser.open(link)
    browser.wait_for("Then tenant_b.users has 5 rows")


def test_kinds_of_failure_are_categories(browser, rendered):
    """Allure groups the failures by the kinds that the suite tells apart."""
    browser.open(rendered.as_uri() + "#/")
    browser.click("Categories", "[data-testid=nav-tab-categories], [data-testid=nav-tab-categories] *")
    browser.wait_for("The database is not as configured")


def test_nothing_is_asked_of_the_network(browser, rendered):
    """The page asks for itself and nothing else, and complains of nothing it was denied."""
    browser.open(rendered.as_uri() + "#/")
    browser.wait_for("Sample data")
    assert browser.requests() == {rendered.as_uri()}
    text = rendered.read_text()
    assert "googletagmanager" not in text
    assert "gtag(" not in text
    denied = [event for event in browser.events if event.get("method") == "Log.entryAdded"]
    assert [event["params"]["entry"]["text"] for event in denied] == []


def test_it_opens_every_time(browser, rendered):
    """Load after load the data is there: the script that needs it comes last."""
    text = rendered.read_text()
    assert text.index("data:text/javascript;base64") > text.index("allureReportDataReady = true")
    for _ in range(3):
        browser.open(rendered.as_uri() + "#/")
        browser.wait_for("Sample data")


def test_nothing_secret_in_the_page(rendered, secrets_of_runs, searched):
    """The page's data is base64: it is searched decoded, and the search finds what is known to be there."""
    page = rendered.read_bytes()
    assert any(b"rows of tenant_b.users: expected 5, found 4" in layer for layer in decoded(page))
    assert searched(rendered.parent, {"rows of tenant_b.users: expected 5, found 4"}) != []
    assert searched(rendered.parent, secrets_of_runs) == []


def test_rendering_twice_makes_no_second_run(rendered):
    """Allure reads the history and adds nothing to it."""
    reports = rendered.parents[1]
    before = (reports / "history.jsonl").read_bytes()
    render(reports)
    assert (reports / "history.jsonl").read_bytes() == before
    assert "1 changed" not in check(reports)


def test_version_is_pinned_exactly():
    """Allure is pinned to one version, and no file says where from it is to be had."""
    assert '"allure": "3.18.0"' in (TOOL / "package.json").read_text()
    known = subprocess.run(["git", "ls-files"], cwd=TOOL, capture_output=True, text=True, check=True).stdout.split()
    assert known == ["allurerc.mjs", "package.json"]


@pytest.mark.parametrize(("tools", "missing"), [((), "Node.js and npm"), (("node",), "npm")])
def test_missing_tool_is_one_message(red, tmp_path, tools, missing):
    """Without Node or npm: one message that says what to install, exit status of a wrong call, no traceback."""
    for tool in tools:
        path = shutil.which(tool)
        if path is None:
            pytest.skip(f"{tool} is not installed")
        (tmp_path / tool).symlink_to(path)
    words = ("etl_manager", "report", "--reports", red.reports, "render")
    done = forks.run(*words, cwd=ROOT, env={"PATH": str(tmp_path)})
    said = done.stdout + done.stderr
    assert done.returncode == 64
    assert f"The report cannot be rendered: {missing} is not installed" in said
    assert "Install Node.js 20 or newer with npm" in said
    assert "Traceback" not in said


def test_old_node_is_told(red, tmp_path, monkeypatch):
    """A Node that is too old is named with its version."""
    for name, prints in (("node", "v18.20.4"), ("npm", "10")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {prints}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ConfigError, match=re.escape("Node.js is v18.20.4")):
        render(red.reports)


@pytest.mark.parametrize("page", ["", "<html><head></head><body></body></html>", "<html><head></head>"])
def test_unknown_page_is_refused(page):
    """A page that is built otherwise is not handed on half mended."""
    with pytest.raises(VerificationError, match="built otherwise"):
        patch_allure_html(page, "", "")


def test_no_run_no_report(tmp_path):
    """Without a run there is nothing to render, and that is said."""
    with pytest.raises(VerificationError, match="There is no record of a run"):
        assess(tmp_path)
