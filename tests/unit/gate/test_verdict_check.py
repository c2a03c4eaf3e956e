"""Whether a verdict may still be relied on: held against the clock, the commit and the project as it is now."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from etl_manager.errors import VerificationError
from etl_manager.gate import check
from etl_manager.gate.prerequisites import PREREQUISITES
from etl_manager.gate.verdict import PrerequisiteResult, Verdict
from etl_manager.project import PACKAGED
from tests.support.project import git
from tests.unit.gate.verdicts import made_verdict

HOUR = timedelta(hours=1)


class Checkout:
    """A project under Git."""

    def __init__(self, path: Path) -> None:
        self.path = path
        git(self.path, "init", "-q")
        self.write("config.json", "{}")
        self.write("sql/aurora/schema/a.sql", "select 1;")
        self.commit()

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self) -> None:
        """Commit everything."""
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "--allow-empty", "-m", "a change")

    def verdict(self, **changes: Any) -> Verdict:
        """Return a verdict of what is here now, but for *changes*."""
        return made_verdict(**{"source": check.source_of(self.path, self.path / "config.json")} | changes)

    def objections(
        self, verdict: Verdict, *, age: timedelta = timedelta(minutes=1), target: str | None = None
    ) -> list[str]:
        """Return what is said against *verdict* when it is *age* old."""
        now = verdict.checked_at + age
        return list(check.invalid_because(verdict, self.path, now=now, max_age=HOUR, target=target))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A project with one commit."""
    return Checkout(tmp_path)


def test_fresh_verdict_of_this_project_is_relied_on(checkout):
    """Nothing is said against it, for any target and for its own."""
    assert checkout.objections(checkout.verdict()) == []
    assert checkout.objections(checkout.verdict(), target="aws") == []


def test_verdict_that_is_not_ready_is_refused_with_its_reasons(checkout):
    """Its own reasons are told; one that gives none is refused all the same."""
    assert checkout.objections(checkout.verdict(ready=False, reasons=["x failed"])) == ["x failed"]
    assert checkout.objections(checkout.verdict(ready=False)) == ["it says that Phase 3 is not ready"]


def test_word_ready_is_not_enough(checkout):
    """A verdict whose parts do not bear it out is refused: somebody wrote the word."""
    failed = PrerequisiteResult(id="quotas", title="t", status="failed", detail="full")
    parts = tuple(
        failed if item.id == "quotas" else PrerequisiteResult(id=item.id, title="t", status="passed", detail="")
        for item in PREREQUISITES
    )
    assert checkout.objections(checkout.verdict(prerequisites=parts)) == ["quotas failed: full"]


def test_age_is_bounded_on_both_sides(checkout):
    """An hour is allowed, more is not, and neither is a verdict from the future; clocks may differ a little."""
    verdict = checkout.verdict()
    assert checkout.objections(verdict, age=HOUR) == []
    assert checkout.objections(verdict, age=HOUR + timedelta(minutes=5)) == [
        "it is 1 h 5 min old; at most 1 h is allowed"
    ]
    assert checkout.objections(verdict, age=timedelta(minutes=-4)) == []
    assert checkout.objections(verdict, age=timedelta(minutes=-6)) == [
        "it is from the future: 2026-01-01T00:00:00+00:00"
    ]


def test_target_is_demanded(checkout):
    """Of another target it is refused, and so is one of an endpoint that only poses as AWS."""
    assert checkout.objections(checkout.verdict(target="container"), target="aws") == [
        "it is of the target container, not of aws"
    ]
    assert checkout.objections(checkout.verdict(emulated=True), target="aws") == ["what answered was emulated, not AWS"]
    assert checkout.objections(checkout.verdict(account="")) == ["it does not say of which account and cluster it is"]


def test_verdict_of_another_commit_is_refused(checkout):
    """Even where the commit changed nothing that was proven: it was not proven of this one."""
    verdict = checkout.verdict()
    checkout.commit()
    [objection] = checkout.objections(verdict)
    assert objection.startswith(f"it is of commit {verdict.source.commit[:12]}; this is ")


@pytest.mark.parametrize("name", ["sql/aurora/schema/a.sql", "sql/aurora/schema/b.sql", "etl.py"])
def test_verdict_of_uncommitted_changes_is_refused(checkout, name):
    """A changed or a new file makes a state that the commit does not hold."""
    checkout.write(name, "select 2;")
    [objection] = checkout.objections(checkout.verdict())
    assert objection.startswith("it was made with changes that commit")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("sql/aurora/schema/a.sql", "sql/ is not what it was then"),
        ("sql/aurora/tenant/changes/0002-more.sql", "sql/ is not what it was then"),
        ("sql/aurora/tenant/data/users.sql", "sql/ is not what it was then"),
        ("sql/redshift/new.sql", "sql/ is not what it was then"),
        ("config.json", "config.json is not what it was then"),
    ],
)
def test_what_was_proven_must_still_be_there(checkout, name, told):
    """SQL and configuration are those of the verdict, whatever the commit says."""
    verdict = checkout.verdict()
    checkout.write(name, '{"tenants": ["tenant_z"]}')
    assert checkout.objections(verdict) == [told]


def test_configuration_that_is_gone(checkout):
    """A verdict of a configuration that is not there cannot be held against it."""
    verdict = checkout.verdict()
    (checkout.path / "config.json").unlink()
    assert checkout.objections(verdict) == ["its configuration config.json is not in this project"]


def test_outside_of_git_nothing_is_bound(tmp_path):
    """Without a commit there is nothing to rely on."""
    (tmp_path / "sql").mkdir()
    (tmp_path / "config.json").write_text("{}")
    source = check.source_of(tmp_path, tmp_path / "config.json")
    verdict = made_verdict(source=source)
    said = check.invalid_because(verdict, tmp_path, now=verdict.checked_at, max_age=HOUR, target=None)
    assert source.commit is None
    assert list(said) == ["it is bound to no commit: it was not made in a Git checkout"]


def test_digest_of_sql_can_be_had_by_hand(checkout):
    """The command that the schema names gives the same digest, where the engine's files lie beside the team's."""
    checkout.write("sql/aurora/schema/B.sql", "select 3;")
    for name in ("sql/shared", "sql/aurora/inspection"):
        shutil.copytree(PACKAGED / name, checkout.path / name)
    command = "find sql -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    printed = subprocess.run(["bash", "-c", command], cwd=checkout.path, check=True, capture_output=True, text=True)
    assert printed.stdout.split()[0] == check.sql_digest(checkout.path)


@pytest.mark.parametrize("content", [None, "", "{}", "[]", "nonsense", '{"ready": true}'])
def test_file_that_is_no_verdict(tmp_path, content):
    """Neither a missing file nor any other JSON is taken for a verdict."""
    path = tmp_path / "phase3-gate.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(VerificationError, match=r"There is no verdict|This is no verdict of the gate"):
        check.read(path)
