"""Bad input ends in one clear message, with exit 4 or 1, without a traceback, and with nothing half done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from etl_manager.targets.emulated_aws import SECRET
from tests.support.aws import Cloud
from tests.support.outcome import Outcome
from tests.support.project import Project


def untouched(project: Project, cloud: Cloud, *arguments: str) -> Outcome:
    """Run the suite; neither the bastion nor the database may have been asked for anything."""
    before = cloud.snapshot()
    with cloud.counted() as commands:
        outcome = project.run("features/", *arguments)
    assert commands == []
    assert cloud.snapshot() == before
    assert "Traceback" not in outcome.terminal
    assert "INTERNALERROR" not in outcome.terminal
    return outcome


CONFIGURATIONS = {
    "malformed": ('{"tenants": ["tenant_a",]}', "not valid JSON", "bad.json:1:"),
    "two mistakes": (
        {"tenants": ["TENANT A"], "sampleData": {"usersPerTenant": 0}},
        "  - tenants[0]: 'TENANT A' is not a plain name", "  - sampleData.usersPerTenant: ",
    ),
    "leaves the project": ({"bastion": {"autoTransfer": {"files": ["../secrets"]}}}, "bastion.autoTransfer.files[0]: "),
}  # fmt: skip


@pytest.mark.parametrize("mistake", CONFIGURATIONS)
def test_unusable_configuration_is_wrong_use(built, cloud, mistake):
    """The run exits 4 before anything is started, and the message names the place in the file."""
    content, *told = CONFIGURATIONS[mistake]
    outcome = untouched(built, cloud, "--config-json", built.write("bad.json", content))
    assert outcome.status == 4
    for text in told:
        assert text in outcome.terminal
    assert outcome.terminal.count("ERROR:") == 1
    assert not (built.path / "reports").exists()


def test_missing_configuration_is_wrong_use(built, cloud):
    """The message names the file and the option that names another."""
    outcome = untouched(built, cloud, "--config-json", "none.json")
    assert outcome.status == 4
    assert "Cannot read the configuration: No such file or directory" in outcome.terminal
    assert "none.json" in outcome.terminal
    assert "--config-json FILE" in outcome.terminal


def test_sql_file_that_leads_out_of_sql_is_wrong_use(built, cloud, tmp_path):
    """A link in a phase's folder to a file elsewhere is refused before anything is started."""
    (tmp_path / "elsewhere.sql").write_text("SELECT 1;\n")
    link = built.path / "sql/aurora/data/elsewhere.sql"
    link.symlink_to(tmp_path / "elsewhere.sql")
    try:
        outcome = untouched(built, cloud)
    finally:
        link.unlink()
    assert outcome.status == 4
    assert "aurora.phases.data: sql/aurora/data/elsewhere.sql lies outside sql/" in outcome.terminal


def test_missing_stack_is_told_as_its_users_know_it(built, cloud):
    """Where no stack names the endpoint, the known message comes once, with what to do; the rest refers to it."""
    outcome = untouched(built, cloud, "--aws-region", "eu-west-1", "--junitxml=junit.xml")
    assert outcome.status == 1
    [(title, failure)] = outcome.failures().items()
    assert title == "The run could not start"
    assert "step:" not in failure
    assert "[ERROR] Could not retrieve Aurora endpoint from CloudFormation" in failure.splitlines()
    assert "region eu-west-1" in failure
    assert "Phase 1 may not be complete, or the cluster not running" in outcome.terminal
    assert outcome.counts["failed"] == 1
    assert "passed" not in outcome.counts
    assert "features/1-database.feature:6: not run because the environment could not be opened" in outcome.terminal
    assert '"name": "The run could not start"' in outcome.evidence
    junit = (built.path / "junit.xml").read_text()
    assert 'failures="1"' in junit
    assert '<testcase classname="environment" name="The run could not start"' in junit


@contextmanager
def secret(cloud: Cloud, content: str | None) -> Iterator[None]:
    """Let the cluster's secret hold *content*, or be gone."""
    client = cloud.target.client("secretsmanager")
    kept = client.get_secret_value(SecretId=SECRET)["SecretString"]
    if content is None:
        client.delete_secret(SecretId=SECRET)
    else:
        client.put_secret_value(SecretId=SECRET, SecretString=content)
    try:
        yield
    finally:
        if content is None:
            client.restore_secret(SecretId=SECRET)
        client.put_secret_value(SecretId=SECRET, SecretString=kept)


SECRETS: dict[str, tuple[Any, str]] = {
    "deleted": (None, "Secrets Manager refused: InvalidRequestException"),
    "not JSON": ("hunter2-in-the-clear", "The secret of the cluster is not JSON"),
    "with a line break": (json.dumps({"password": "hunter2\nin-the-clear"}), "holds a line break or NUL"),
}


@pytest.mark.parametrize("state", SECRETS)
def test_unreadable_secret_is_told_and_never_shown(built, cloud, state):
    """A secret that cannot be used is named, and what it holds is not."""
    content, told = SECRETS[state]
    with secret(cloud, content):
        outcome = untouched(built, cloud)
    assert outcome.status == 1
    assert told in outcome.terminal
    assert outcome.counts["failed"] == 1
    assert "passed" not in outcome.counts
    assert "hunter2" not in outcome.terminal + outcome.log + outcome.evidence


def test_wrong_password_is_told_with_where_and_as_whom(built, cloud):
    """Where PostgreSQL refuses the password, the message says so, and what to look at."""
    before = cloud.snapshot()
    with secret(cloud, json.dumps({"username": "postgres", "password": "hunter2-is-wrong"})):
        outcome = built.run()
    assert outcome.status == 1
    assert "The bastion has no connection to the database: " in outcome.terminal
    assert 'password authentication failed for user "postgres"' in outcome.terminal
    assert f"endpoint 127.0.0.1:{cloud.target.postgres.port}" in outcome.terminal
    assert "Traceback" not in outcome.terminal
    assert "hunter2" not in outcome.terminal + outcome.log + outcome.evidence
    assert cloud.snapshot() == before


OBSTACLES = {
    "reports is a file": ("reports", 4, "the run cannot write its reports"),
    ".local is a file": (".local", 1, "cannot hold the target's state"),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_a_place_that_cannot_be_written_is_one_message(new_project, obstacle):
    """What the run needs to write is in the way of it: the message names the path and what to do, once."""
    name, status, told = OBSTACLES[obstacle]
    project = new_project()
    path = project.path / name
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if name.endswith("/") else path.touch()
    process = project.start("features/")
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == status, shown
    assert "Traceback" not in shown
    assert "INTERNALERROR" not in shown
    assert shown.count("  next:  ") == 1
    assert told in shown
    assert str(path) in shown
    if status == 1:
        assert "1 failed, 29 skipped" in shown
        assert f"not run because the environment could not be opened: {path}" in shown


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="a read-only mount takes root")
@pytest.mark.parametrize(("writable", "status"), [("", 4), ("reports", 1)])
def test_a_read_only_checkout_is_one_message(new_project, writable, status):
    """So is a checkout that is mounted read-only, with or without a place for the reports."""
    project = new_project()
    (project.path / "reports").mkdir()
    (project.path / "reports/phase3-gate.json").write_text("{}")
    mounts = [f"mount --bind {project.path} {project.path}", f"mount -o remount,ro,bind {project.path}"]
    mounts += [f"mount -t tmpfs none {project.path}/{writable}"] if writable else []
    script = " && ".join([*mounts, f"cd {project.path}", f"{sys.executable} -m pytest -p no:cacheprovider features/"])
    # On CI pytest shows each message once more, whole, in its summary.
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "BUILD_NUMBER"}}
    words = ["unshare", "-m", "sh", "-c", script]
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=environment)
    if "unshare failed" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("no mount may be made here")
    shown = done.stdout + done.stderr
    assert done.returncode == status, shown
    assert "Read-only file system" in shown
    assert shown.count("  next:  ") == 1
    assert "Traceback" not in shown
    assert "INTERNALERROR" not in shown


FEATURES = ("features/1-database.feature", "features/2-schema.feature", "features/3-data.feature")
"""Some: a long traceback of each scenario takes its time."""


def test_broken_credentials_are_told_once(new_project, tmp_path):
    """Whatever style of traceback is asked for: one scenario says why, the rest were not run, and no secret is shown."""
    program = tmp_path / "program"
    program.write_text(
        '#!/bin/sh\necho \'{"Version": 1, "SecretAccessKey": "UNFORESEENsecret"}\'\necho Updated the profile\n'
    )
    program.chmod(0o755)
    (tmp_path / "config").write_text(f"[default]\nregion = us-east-1\ncredential_process = {program}\n")
    project = new_project()
    outcome = project.run(
        *FEATURES, "--target", "aws", "--tb=long", "-l", "--junitxml=reports/junit.xml",
        AWS_CONFIG_FILE=str(tmp_path / "config"), AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )  # fmt: skip
    assert outcome.status == 1
    assert outcome.counts["failed"] == 1
    assert outcome.counts["skipped"] == 8
    assert "not run because the environment could not be opened: no AWS credentials" in outcome.terminal
    files = [path.read_text(errors="replace") for path in project.path.glob("reports/**/*") if path.is_file()]
    assert len(files) > 10
    assert not [text for text in [outcome.terminal, *files] if "UNFORESEEN" in text]
