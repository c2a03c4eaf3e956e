"""What real runs leave for reviewers: filed, linked, with the evidence where it belongs, and with nothing secret in it."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from etl_manager.config import phases
from etl_manager.errors import FailureKind
from etl_manager.report.allure import SEVERITIES
from etl_manager.report.verdict import assess
from tests.support.project import git
from tests.unit.report.conftest import REMOTE


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
    import subprocess

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
