"""The verdict of one page says no more than the gate said and the results bear out."""

from __future__ import annotations

import re

import pytest

from etl_manager.cli.report import check
from etl_manager.gate.verdict import PhaseChanges
from etl_manager.report import GATE, SUMMARY, VERDICT_PAGE
from etl_manager.report.feature_files import ScenarioId
from etl_manager.report.folder import write_pages
from etl_manager.report.page import gate_contents, markdown
from tests.unit.gate.verdicts import CLUSTER_ARN, made_verdict
from tests.unit.report.browser import CHROMIUM, Browser
from tests.unit.report.folder import DATABASE, METADATA, REPAIR, ROWS, Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def page(folder: Folder) -> str:
    return (folder.path / VERDICT_PAGE).read_text()


def summary(folder: Folder) -> str:
    return (folder.path / SUMMARY).read_text()


def test_ready_is_what_the_gate_said_of_complete_results(folder):
    """All promised results there, all passed, and a verdict of this run: ready, with each prerequisite's evidence."""
    folder.results()
    folder.gate()
    assessment = folder.close()
    assert (assessment.state, assessment.reasons) == ("ready", ())
    assert summary(folder).startswith("# ✅ Ready for Phase 3\n")
    assert "| Rows | ✅ passed | 5 rows each | 3 of 3 scenarios held |" in summary(folder)
    assert "rehearsal" not in summary(folder)
    assert "1 of 1 scenario held" in page(folder)


def test_where_and_when_stand_above_the_rest(folder):
    """Target, account, cluster, database, time and what was repaired come before the prerequisites; then the filter."""
    folder.results()
    folder.gate(data_filter="include: analytics.t1.users")
    folder.close()
    top, _, rest = summary(folder).partition("## Prerequisites")
    for line in (
        "| target | aws |",
        "| account | 123456789012, us-east-1 |",
        f"| cluster | {CLUSTER_ARN} |",
        "| database | analytics, 3 tenants |",
        "| time | 2026-03-01 01:00:00 to 2026-03-01 01:01:00 UTC |",
        "1 repair by this run, before it proved anything:",
        f"- 🔧 {REPAIR}",
    ):
        assert line in top.splitlines()
    assert "\n## Data filter\n\n`include: analytics.t1.users`\n" in rest
    assert "prove it again" not in summary(folder)


def test_filter_that_is_long_is_cut_and_said_to_be(folder):
    """A page is to be read: of a filter of thousands of characters the beginning is shown, and where the whole is."""
    folder.results()
    folder.gate(data_filter="include: a.b.c, " * 200)
    folder.close()
    assert "The whole of it, 3,200 characters, is in zero-etl-data-filter.txt." in summary(folder)
    assert len(summary(folder)) < 5_000


@pytest.mark.parametrize("target", ["local", "container", "aws"])
def test_remedy_names_the_target_that_ran(folder, target):
    """Who copies the command from the page proves what was not proven, and on no other target."""
    folder.results("failed", "no")
    folder.gate(ready=False, target=target)
    folder.close()
    assert f"`pytest features/ --target {target} --require-gate`" in summary(folder)
    folder.gate(ready=False, target=target, mode="verify-only")
    folder.close()
    assert f"`pytest features/ --target {target} --verify-only --require-gate`" in summary(folder)


def test_links_only_lead_to_what_is_there(folder):
    """Before it is rendered nothing leads into the report; then everything does, and the evidence is as it was left."""
    folder.results("failed", "rows of t2.users: expected 5, found 4")
    folder.gate(ready=False)
    assessment = folder.close()
    assert "<a " not in page(folder)
    rendered = folder.path / "allure-report/index.html"
    rendered.parent.mkdir()
    rendered.write_text("")
    write_pages(folder.path, assessment)
    addresses = re.findall(r'<a href="([^"#]*)#([0-9a-f]{32})">', page(folder))
    assert len(addresses) == page(folder).count("<a ") > 0
    assert {path for path, _ in addresses} == {"allure-report/index.html"}
    assert {scenario for _, scenario in addresses} <= {result.report_id for result in assessment.results}
    assert "As run run0001 left it" in check(folder.path)


def test_page_is_read_without_scrolling_sideways(folder, tmp_path_factory):
    """On a telephone and on a screen all of a line is seen, however long a cluster's name or a digest is."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: nobody can look at the page (Debian: apt-get install chromium)")
    folder.results("failed", "rows of t2.users: expected 5, found 4")
    cluster = "arn:aws:rds:eu-west-1:123456789012:cluster:" + "c" * 63
    folder.gate(ready=False, data_filter="include: " + "analytics." * 30, cluster=cluster)
    folder.close(metadata=METADATA | {"x": "y" * 71})
    browser = Browser(tmp_path_factory.mktemp("profile"))
    try:
        for width in (500, 1280):
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            browser.call("Emulation.setDeviceMetricsOverride", **size)
            browser.open((folder.path / VERDICT_PAGE).as_uri())
            browser.wait_for("Not ready for Phase 3")
            assert browser.evaluate("document.documentElement.scrollWidth") == width
            widest = "Math.max(...[...document.querySelectorAll('td, p, li')].map(e => e.scrollWidth))"
            assert browser.evaluate(widest) <= width
    finally:
        browser.close()


def test_rehearsal_is_never_just_ready(folder):
    """On an emulated target the headline itself says that it was not AWS."""
    folder.results()
    folder.gate(emulated=True)
    folder.close()
    assert summary(folder).startswith("# ✅ Ready, in a rehearsal that was not on AWS\n")
    assert "proves nothing about an Aurora cluster" in page(folder)


def test_not_ready_leads_with_the_reasons_and_the_difference(folder):
    """The gate's reasons come first; what did not hold is told with tenant and difference, by kind."""
    folder.results("failed", "rows of t2.users: expected 5, found 4 (1 too few)")
    folder.gate(ready=False)
    assert folder.close().state == "not-ready"
    lines = summary(folder).splitlines()
    assert lines[0] == "# ❌ Not ready for Phase 3"
    reason = lines.index("- sample-data-complete failed: t2.users: expected 5, found 4")
    assert reason < lines.index("## Prerequisites")
    assert "❌ failed The database is not as configured" in lines
    assert "- t2 has rows: rows of t2.users: expected 5, found 4 (1 too few)" in lines
    assert "| Rows | ❌ failed | 5 rows each | 2 of 3 scenarios held |" in lines


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (None, "There is no verdict: No such file or directory"),
        ('{"ready": tr', "This is no verdict of the gate"),
        ('{"ready": true}', "This is no verdict of the gate"),
        ("of another run", "phase3-gate.json is of another run: run0000"),
    ],
)
def test_no_verdict_without_one_of_this_run(folder, verdict, reason):
    """A verdict that is missing, of another run or unreadable is none, however green the results are."""
    folder.results()
    if verdict == "of another run":
        folder.gate(run_id="run0000")
    elif verdict is not None:
        (folder.path / GATE).write_text(verdict)
    assessment = folder.close()
    assert (assessment.state, assessment.reasons) == ("none", (reason,))
    assert summary(folder).startswith("# ⚪ No verdict\n")


def test_results_outweigh_the_gate(folder):
    """A gate that says ready beside a failed scenario is contradicted, and does not count."""
    folder.results("broken", "the agent is offline")
    folder.gate()
    assessment = folder.close()
    assert assessment.state == "not-ready"
    assert assessment.reasons == ("the gate says ready, but 1 scenario did not hold",)


def test_truncated_result_is_counted(folder):
    """Allure drops a result that it cannot read: here it is named, and Phase 3 is not ready."""
    folder.results()
    cut = folder.result(DATABASE)
    cut.write_text(cut.read_text()[:-40])
    lost = folder.path / "allure-results"
    [whole] = [path for path in lost.iterdir() if path != cut and "The database exists" in path.read_text()]
    whole.unlink()
    folder.gate()
    assessment = folder.close()
    assert assessment.state == "not-ready"
    assert "the gate says ready, but 1 of 4 promised scenarios has no result" in assessment.reasons
    assert "❌ incomplete: there is a result of 3 of 4 scenarios of the feature files" in summary(folder)
    assert "- lost: features/1-database.feature: The database exists" in summary(folder)
    assert f"- cannot be read: {cut.name}" in summary(folder)


def test_no_result_at_all_is_not_green(folder):
    """An empty folder of results is a run that proved nothing."""
    folder.gate()
    assessment = folder.close()
    assert assessment.state == "not-ready"
    assert "there is a result of 0 of 4 scenarios of the feature files" in summary(folder)


def test_one_tenant_too_few_is_told_by_its_name(folder):
    """Among the rows of an outline the one without a result is named; a result too many is named too."""
    for proof in (DATABASE, ROWS[0], ROWS[2]):
        folder.result(proof)
    folder.result(ROWS[0])
    folder.close()
    assert "- lost: features/3-data.feature: <tenant> has rows [t1]".replace("<", "\\<").replace(">", "\\>").replace(
        "[", "\\["
    ).replace("]", "\\]") in summary(folder)
    assert "more than one result: features/3-data.feature" in summary(folder)


def test_deselected_scenario_is_left_out_and_not_lost(folder):
    """What was not selected is told as that; the run is incomplete all the same."""
    for proof in ROWS:
        folder.result(proof)
    folder.gate()
    assessment = folder.close(deselected=(DATABASE,))
    assert assessment.completeness.missing == ()
    assert assessment.state == "not-ready"
    assert "- not selected for this run: features/1-database.feature: The database exists" in summary(folder)


def test_missing_attachment_is_told(folder):
    """A result whose evidence is gone is not complete."""
    folder.results()
    folder.result(
        DATABASE, steps=[{"name": "Given", "status": "passed", "attachments": [{"name": "x", "source": "x"}]}]
    )
    assert folder.close().completeness.missing_attachments == ("x of The database exists",)


def test_repair_does_not_pass_unremarked(folder):
    """What the run repaired is in the verdict, before and after."""
    folder.results()
    folder.gate()
    folder.close()
    assert "- data: 0 created, 1 repaired, 2 left alone" in summary(folder)
    assert f"- 🔧 {REPAIR}" in summary(folder)


def test_a_thousand_failures_stay_on_a_page(folder):
    """Tenants that fail alike are one line, with the first names and the number of the others."""
    rows = tuple(ScenarioId(ROWS[0].file, ROWS[0].name, (("tenant", f"t{n:04}"),)) for n in range(1000))
    for proof in rows:
        folder.result(proof, "failed", f"rows of {proof.row[0][1]}.users: expected 5, found 4")
    folder.gate(ready=False)
    folder.close(expected=(DATABASE, *rows))
    assert "t0000.users: expected 5, found 4 (and 999 more: t0001, t0002" in summary(folder)
    assert "and 991 more)" in summary(folder)
    assert len(summary(folder)) < 6_000


def test_hostile_words_do_not_become_markup(folder):
    """What comes from the database is shown as it is: as text."""
    folder.results("failed", "<script>alert(1)</script> | [x](javascript:1) `y`")
    folder.close()
    assert "<script>alert" not in page(folder)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page(folder)
    assert "\\<script\\>alert(1)\\</script\\> \\| \\[x\\](javascript:1) \\`y\\`" in summary(folder)
    assert "http" not in page(folder).replace("http-equiv", "")


def test_manifest_is_named_in_both_pages(folder):
    """The digest that the evidence is checked by stands in the verdict and in the summary."""
    import hashlib

    folder.results()
    folder.close()
    digest = hashlib.sha256((folder.path / "manifest.sha256").read_bytes()).hexdigest()
    assert digest in page(folder)
    assert digest in summary(folder)


def test_page_of_the_gate_shows_what_a_reader_decides_from():
    """Verdict, reasons, each prerequisite, repairs, filter and what it is bound to; and no name becomes markup."""
    verdict = made_verdict(
        ready=False,
        reasons=("sample-data-complete failed: <b>x</b> | y",),
        phases=[PhaseChanges(phase="data", created=0, unchanged=2, repaired=(REPAIR,))],
    )
    text = markdown(gate_contents(verdict))
    assert text.startswith("# Phase 3 gate: not ready\n")
    assert r"- sample-data-complete failed: \<b\>x\</b\> \| y" in text
    assert f"- 🔧 {REPAIR}" in text
    assert "`include: multitenant_analytics.tenant_a.users`" in text
    assert "| time | checked at 2026-01-01T00:00:00+00:00 |" in text
    assert all(item.id in text for item in verdict.prerequisites)
    assert "emulated" not in text
    assert "proves nothing about an Aurora cluster" in markdown(gate_contents(made_verdict(emulated=True)))
