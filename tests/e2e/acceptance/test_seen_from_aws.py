"""What AWS, the bastion and the machine see of a run: how many commands, and nowhere the password."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.aws import Cloud
from tests.support.outcome import Outcome
from tests.support.project import Project
from tests.support.runs import open_run


@dataclass(frozen=True)
class Watched:
    """A run, the commands that AWS was sent, the words of every process seen meanwhile, and all that was shown or written."""

    outcome: Outcome
    commands: list[dict[str, Any]]
    processes: set[str]
    sinks: dict[str, str]


@contextmanager
def process_list() -> Iterator[set[str]]:
    """Give a set that takes in the command line of every process on the machine, as ``ps`` would show it.

    It goes on looking at each that begins meanwhile: a program may become another.
    """
    seen: set[str] = set()
    ended = threading.Event()

    def sample() -> None:
        before: set[str] = set()  # they go on, with the words that they have
        while not ended.wait(0.01):
            there = {*map(str, psutil.pids())}
            for name in there - before:
                try:
                    seen.add(Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue
            before = before & there or there

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


EVERYTHING_LOGGED = (
    *("-rA", "--log-level=DEBUG", "-o", "log_cli=true", "--log-cli-level=DEBUG"),
    *("--log-file=reports/everything.log", "--log-file-level=DEBUG"),
    *("--junitxml=reports/junit.xml", "-o", "junit_logging=all"),
)
TOKEN = "SESSIONtokenSESSIONtoken/0001+SESSIONtoken=="


@pytest.fixture(scope="module")
def full(cloud: Cloud, new_project: Callable[[], Project]) -> Watched:
    """A full run on an empty cluster, by an empty bastion, with all that can be logged in every place it can go to."""
    cloud.empty()
    cloud.forget_workspace()
    project = new_project()
    project.environment = {**cloud.environment, "AWS_SESSION_TOKEN": TOKEN}
    with process_list() as processes, cloud.counted() as commands:
        outcome = project.run("features/", *EVERYTHING_LOGGED)
    files = {str(path.relative_to(project.path)): path for path in project.path.glob("reports/**/*") if path.is_file()}
    shown = {name: path.read_text(errors="surrogateescape") for name, path in files.items()}
    return Watched(outcome, commands, processes, {"terminal": outcome.terminal, **shown})


def spellings(cloud: Cloud) -> list[str]:
    """Return what gives a secret away: the parts of it that no quoting changes, and the whole in base64.

    Raw, in JSON, a URL, a repr, and one within another: letters and digits stay what they are.
    """
    assert cloud.target.aws is not None
    secrets = (cloud.target.postgres.password, cloud.target.aws.secret_access_key, TOKEN)
    plain = [run for secret in secrets for run in re.findall(r"[A-Za-z0-9]{12,}", secret)]
    assert len(plain) >= 4, "the two ends of the password, the key and the token"
    shifted = [
        base64.b64encode(b" " * skip + secret.encode()).decode()[4:28] for secret in secrets for skip in range(3)
    ]
    return [*plain, *shifted, "PRIVATE KEY-----"]


def test_full_run_on_an_empty_bastion_sends_at_most_6_commands(full):
    """Clean-up included, and the log tells the number that AWS counted."""
    assert full.outcome.status == 0, full.outcome.terminal
    assert 0 < len(full.commands) <= 6
    assert f"SendCommands of this run: {len(full.commands)}" in full.outcome.log
    assert any("receive 1 <<" in script(command) for command in full.commands)


def test_proof_sends_few_commands(built, cloud):
    """Where the workspace has to be made first, the archive takes up to four more than the 2 that prove.

    test_spread_over_workers counts those of a run that builds.
    """
    cloud.forget_workspace()
    with cloud.counted() as commands, closing(open_run(cloud.target, built.path, verify_only=True)) as run:
        run.verification()
    assert 0 < len(commands) == run.commands_sent <= 6
    with cloud.counted() as commands:
        outcome = built.run("features/", "--verify-only")
    assert outcome.status == 0, outcome.terminal
    assert len(commands) == 2
    assert "SendCommands of this run: 2" in outcome.log
    assert not any("receive 1 <<" in script(command) for command in commands)


def script(command: dict[str, Any]) -> str:
    """Return the script a command carried, which AWS keeps in clear."""
    return "\n".join(command["Parameters"]["commands"])


def test_every_command_says_what_it_is_for(full):
    """SSM's history can be read: each command carries the suite's name and its purpose."""
    comments = [command["Comment"] for command in full.commands]
    assert all(comment.startswith("etl-manager ") for comment in comments)
    for purpose in ("open", "transfer part 1 of ", "phases database to verification, and again"):
        assert any(comment.startswith(f"etl-manager {purpose}") for comment in comments), purpose


def test_password_is_in_no_parameter_of_any_command(full, cloud):
    """What AWS keeps for weeks and shows in clear holds the sealed credentials only."""
    kept = repr(full.commands)
    assert "AURORA_SEALED" in kept
    assert not [spelling for spelling in spellings(cloud) if spelling in kept]


def test_no_secret_is_in_any_output_log_or_report(full, cloud):
    """Terminal, live log, log files, JUnit, Allure, pages and verdict, with DEBUG on: no password, token or key."""
    for name in ("terminal", "reports/everything.log", "reports/junit.xml"):
        assert "GetSecretValue" in full.sinks[name], f"{name} is at DEBUG"
        assert "Response body" in full.sinks[name], f"{name} is at DEBUG"
    for name in ("run.log", "phase3-gate.json", "phase3-gate.md", "verdict.html", "summary.md", "history.jsonl"):
        assert full.sinks[f"reports/{name}"], name
    assert any(name.startswith("reports/allure-results/") for name in full.sinks)
    found = {name: [each for each in spellings(cloud) if each in text] for name, text in full.sinks.items()}
    assert {name: each for name, each in found.items() if each} == {}


def test_password_is_in_no_process_list(full, cloud):
    """No program was ever given the password as an argument; psql and openssl were seen at work."""
    lines = "\n".join(full.processes)
    assert "psql -X -w" in lines
    assert "openssl" in lines
    assert not [spelling for spelling in spellings(cloud) if spelling in lines]


def test_password_is_nowhere_on_the_bastions_disk_and_the_key_is_gone(full, cloud):
    """After the run the bastion holds the workspace and the scripts that the agent keeps, and no secret."""
    assert full.outcome.status == 0
    root = cloud.tmp.parent
    files = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
    assert any(path.name == "_script.sh" for path in files)
    assert not [path for path, text in files.items() for spelling in spellings(cloud) if spelling.encode() in text]
    assert not [path for path, text in files.items() if b"PRIVATE KEY" in text]
    assert not list(cloud.tmp.glob("etl-manager-run-*"))


FEATURE = "features/1-database.feature"
DEFECTS = {
    "an SQL error": "",
    "a defect of the suite that holds the password": """
import etl_manager.provisioning.sql_runner

def defect(self, *arguments, **options):
    password = self.connection.credentials.password
    pieces = {"line": f"*:*:*:postgres:{password}"}
    raise RuntimeError(f"cannot connect by postgresql://postgres:{password}@host and {pieces!r}")

etl_manager.provisioning.sql_runner.SqlRunner._record = defect
""",
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_password_is_in_no_traceback(built, cloud, defect):
    """Not even ``--tb=long --showlocals`` shows the password, whatever fails with the credentials at hand."""
    if defect == "an SQL error":
        (built.path / "sql/aurora/database/zz-error.sql").write_text("SELECT 1/0;\n")
    else:
        (built.path / "features/conftest.py").write_text(DEFECTS[defect])
    try:
        outcome = built.run(FEATURE, "--tb=long", "--showlocals", "--full-trace")
    finally:
        (built.path / "sql/aurora/database/zz-error.sql").unlink(missing_ok=True)
        (built.path / "features/conftest.py").unlink(missing_ok=True)
    assert outcome.status == 1
    assert ("division by zero" if defect == "an SQL error" else "cannot connect by") in outcome.terminal
    shown = outcome.terminal + outcome.log + outcome.evidence
    assert not [spelling for spelling in spellings(cloud) if spelling in shown]
