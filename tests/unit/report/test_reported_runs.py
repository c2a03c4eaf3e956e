"""What real runs leave for reviewers, and the page that is rendered of it.

Results are filed, linked, with the evidence where it belongs, and with nothing secret in it. The rendered report is one file that
opens from disk every time, calls nobody, and leads with the verdict. Both stand here, since they look at the same runs.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from etl_manager.cli.report import check
from etl_manager.config import phases
from etl_manager.errors import ConfigError, FailureKind, VerificationError
from etl_manager.report.allure import SEVERITIES
from etl_manager.report.render import TOOL, patch_allure_html, render
from etl_manager.report.verdict import assess
from tests.support import forks
from tests.support.project import ROOT, git
from tests.unit.report.browser import CHROMIUM, Browser
from tests.unit.report.conftest import REMOTE, decoded

PICTURES = os.environ.get("REPORT_PICTURES")
"""Where the pictures of docs/report.md are to be put; usually nowhere."""


def labels(result: dict, name: str) -> list[str]:
    return [label["value"] for label in result["labels"] if label["name"] == name]


def test_every_phase_has_its_severity():
    """The report groups scenarios by phase, those of an optional phase too."""
    assert SEVERITIES.keys() == {*phases.KNOWN, "gate"}


def test_every_result_is_filed(green):
    """Epic, feature, story, phase and severity on all; the tenant where there is one."""
    results = green.results()
    assert len(results) == assess(green.reports).completeness.expected
    for result in results.values():
        assert labels(result, "epic") == ["Phase 2: the multi-tenant database"]
        for name in ("feature", "story", "phase", "severity"):
            assert len(labels(result, name)) == 1, (result["name"], name)
    row = results["tenant_b has its sample users"]
    assert {name: labels(row, name) for name in ("feature", "story", "phase", "tenant", "severity")} == {
        "feature": ["Sample data"],
        "story": ["<tenant> has its sample users"],
        "phase": ["data"],
        "tenant": ["tenant_b"],
        "severity": ["critical"],
    }


def test_sources_are_linked_at_the_commit(suite, green):
    """Feature and SQL files lead to the line or file at the commit that ran; the remote's credentials do not show."""
    commit = git(suite.path, "rev-parse", "HEAD")
    base = f"https://git.example.com/platform/etl-manager/blob/{commit}"
    result = green.results()["The database is there, in the encoding that replication demands"]
    links = {link["url"] for link in result["links"]}
    assert f"{base}/sql/aurora/database/create-multitenant-database.sql" in links
    [feature] = [link for link in links if "/features/" in link]
    assert re.fullmatch(rf"{base}/features/1-database\.feature#L\d+", feature)
    assert f"at commit `{commit}`" in result["description"]
    assert not any("hunter2" in path.read_text() for path in green.reports.rglob("*") if path.is_file())
    assert "hunter2" in REMOTE


def test_environment_is_told(suite, green, reported_cloud):
    """environment.properties says where it ran, on what, and from which commit and SQL."""
    text = (green.reports / "allure-results/environment.properties").read_text()
    found = dict(line.replace("\\", "").split("=", 1) for line in text.splitlines())
    assert found["target"] == "aws"
    assert found["emulated"].startswith("yes")
    assert found["account"] == reported_cloud.target.aws.account
    assert found["region"] == "us-east-1"
    assert found["cluster"].startswith(f"arn:aws:rds:us-east-1:{reported_cloud.target.aws.account}:cluster:")
    [(version,)] = reported_cloud.rows("SHOW server_version", "postgres")
    assert found["postgresql"] == version
    assert found["psql"].startswith("psql (PostgreSQL)")
    assert found["commit"] == git(suite.path, "rev-parse", "HEAD")
    by_hand = "find sql -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    digest = subprocess.run(["bash", "-c", by_hand], cwd=suite.path, capture_output=True, text=True, check=True)
    assert found["sql-digest"] == f"sha256:{digest.stdout.split()[0]}"


def test_executor_only_in_ci(green, red):
    """A run in GitHub Actions leads to its workflow run; one by hand names no executor."""
    assert not (green.reports / "allure-results/executor.json").exists()
    executor = json.loads((red.reports / "allure-results/executor.json").read_text())
    assert executor["buildUrl"] == "https://github.example.com/platform/etl-manager/actions/runs/77/attempts/2"
    assert (executor["type"], executor["buildOrder"]) == ("github", 12)


def test_what_ran_is_on_the_step_that_ran_it(green):
    """SQL, SSM command's facts, psql's output and the bastion's log stand on the step that built the database."""
    step = green.results()["The database is there, in the encoding that replication demands"]["steps"][0]
    names = set(green.attachments(step))
    sql = "sql/aurora/database/create-multitenant-database.sql"
    assert {sql, f"output of {sql}", f"bastion log of {sql}", "SSM command of phase database"} <= names
    facts = json.loads(green.attachments(step)["SSM command of phase database"])
    assert facts.keys() >= {"command id", "instance", "region", "status", "seconds"}


def test_verification_is_a_table(red):
    """Beside psql's text the verification is a table, a line for each tenant's table, with its differences; strays included."""
    tables = [
        text
        for result in red.results().values()
        for step in result["steps"]
        for name, text in red.attachments(step).items()
        if name == "verification, a line a table"
    ]
    rows = list(csv.DictReader(io.StringIO(tables[0])))
    assert [row["tenant"] for row in rows] == ["tenant_a", "tenant_b", "tenant_c", "tenant_z"]
    assert rows[0] == {
        "tenant": "tenant_a", "schema": "exists", "table": "users", "exists": "exists", "owner": "postgres",
        "rows": "5", "differences": "none",
    }  # fmt: skip
    assert (rows[1]["rows"], rows[1]["owner"]) == ("4", "postgres")
    assert rows[1]["differences"] == (
        "rows of users: expected 5, found 4; sample rows of users: expected none missing, found missing 3"
    )
    assert rows[3]["differences"] == "schema: expected not configured: absent, found exists"


def test_failure_shows_expectation_finding_and_difference_first(red):
    """The failing step's message is one line of all three, with both sides apart for Allure, and a table."""
    result = red.results()["tenant_b has its sample users"]
    assert result["status"] == "failed"
    details = result["statusDetails"]
    assert details["message"] == "rows of tenant_b.users: expected 5, found 4 (1 too few)"
    assert (details["expected"], details["actual"]) == ("5", "4")
    [failed] = [step for step in result["steps"] if step["status"] == "failed"]
    assert failed["statusDetails"]["message"] == details["message"]
    assert red.attachments(failed) == {"expected and found": "expected,found\n5,4\n"}


def test_failure_carries_where_it_was_seen(red):
    """A proof fails on what an earlier step's command found: that command's facts and the log are there too."""
    result = red.results()["tenant_b has its sample users"]
    attached = red.attachments(result)
    [seen] = [name for name in attached if name.startswith("SSM command of verification, run by: ")]
    assert json.loads(attached[seen])["status"] == "Success"
    assert "Then tenant_b.users has 5 rows" in attached["log of the scenario"]
    assert "tenant_a has its sample users" not in attached["log of the scenario"]


def test_summary_tells_the_break(red):
    """The summary of the second run: not ready, tenant and difference, newly broken, complete."""
    text = (red.reports / "summary.md").read_text()
    assert text.startswith("# ❌ Not ready for Phase 3\n")
    assert "rows of tenant_b.users: expected 5, found 4 (1 too few)" in text
    assert re.search(r"newly broken: .*tenant_b has its sample users", text)
    assert "✅ complete" in text


def test_evidence_takes_no_command(green, red):
    """Evidence is made of what the run asks anyway: no SendCommand more."""
    counts = [int(re.findall(r"SendCommands of this run: (\d+)", kept.outcome.log)[0]) for kept in (green, red)]
    assert counts[0] <= 6
    assert counts[1] <= 3


@pytest.mark.parametrize(
    ("trouble", "kind", "others"),
    [
        ("agent offline", "AWS, credentials or discovery", set()),
        ("command never delivered", "SSM, or the bastion's agent", set()),
        ("wrong password", "The connection to the database", set()),
        # The constraint that refuses the row is itself none of the template's.
        ("row refused", "PostgreSQL refused a statement", {"The database is not as configured"}),
    ],
)
def test_trouble_is_told_apart(troubles, trouble, kind, others):
    """What the suite stands on is broken, what the database refuses is failed; each is of its own kind."""
    kept = troubles[trouble]
    bad = [result for result in kept.results().values() if result["status"] in {"failed", "broken"}]
    assert {FailureKind[name].title for result in bad for name in labels(result, "failure-kind")} == {kind, *others}
    assert {result["status"] for result in bad} == {"failed" if "PostgreSQL" in kind else "broken"}
    assert (
        f"\n{'❌ failed' if 'PostgreSQL' in kind else '🟡 broken'} {kind}\n"
        in (kept.reports / "summary.md").read_text()
    )
    names = {item["name"] for item in json.loads((kept.reports / "allure-results/categories.json").read_text())}
    assert kind in names


def test_rows_of_tenants_are_withheld(troubles):
    """A row that PostgreSQL refuses, it prints: neither results, log nor pages show its values."""
    kept = troubles["row refused"]
    assert "Failing row contains (withheld)" in kept.outcome.log
    for path in kept.reports.rglob("*"):
        if path.is_file() and not path.name.endswith(".sql"):
            assert "Failing row contains (3" not in path.read_text(), path
    assert "Failing row contains (3" not in kept.outcome.terminal


def test_nothing_secret_in_any_report(green, red, troubles, secrets_of_runs, searched):
    """Neither results, log nor pages of any run, whatever trouble it met, hold the password or a private key."""
    assert len(secrets_of_runs) >= 3, "the search must know what to look for"
    for name, kept in {"green": green, "red": red, **troubles}.items():
        assert searched(kept.reports, secrets_of_runs) == [], name


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
