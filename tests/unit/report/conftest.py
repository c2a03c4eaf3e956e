"""Real runs whose reports are looked at: a green one, one that finds the database broken, and ones in trouble."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from etl_manager.report.render import render
from etl_manager.ssm.script import RUNTIME_PREFIX
from tests.support import aws
from tests.support.aws import Cloud
from tests.support.outcome import Outcome
from tests.support.project import Project, git

WRONG_PASSWORD = "wr0ng: pa$$'word\\"
"""A secret too: somebody thought it was the right one."""

REMOTE = "https://operator:hunter2@git.example.com/platform/etl-manager.git"
"""Where the copies of the project say they come from; the credentials in it must not show."""


LONG = ("-l", "--tb=long", "-m", "database")
"""The longest tracebacks, with all that the frames hold: of the scenarios that fail first, since the others' are the same."""


@dataclass(frozen=True)
class Kept:
    """A run that ended, and a copy of its reports."""

    outcome: Outcome
    reports: Path

    def results(self) -> dict[str, dict]:
        """Return Allure's results by the names of the scenarios."""
        found = [json.loads(path.read_text()) for path in self.reports.glob("allure-results/*-result.json")]
        return {result["name"]: result for result in found}

    def attachments(self, node: dict) -> dict[str, str]:
        """Return the attachments of a result or a step by their names."""
        folder = self.reports / "allure-results"
        return {item["name"]: (folder / item["source"]).read_text() for item in node.get("attachments", [])}


@pytest.fixture(scope="session")
def reported_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An account of its own for the runs that are reported."""
    with aws.cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def private_keys(reported_cloud: Cloud) -> Iterator[set[str]]:
    """What was seen of the keys that runs make on the bastion; each lives as long as its run."""
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            for path in reported_cloud.tmp.glob(f"{RUNTIME_PREFIX}*/key.pem"):
                try:
                    seen.add(path.read_text())
                except OSError:
                    continue  # it goes when the run does

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    ended.set()
    thread.join()


@pytest.fixture(scope="session")
def suite(reported_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A checkout of the project, with a commit and a remote."""
    suite = Project(tmp_path_factory.mktemp("reported") / "suite")
    suite.environment = reported_cloud.environment
    suite.write(".gitignore", "reports/\n.local/\n__pycache__/\n")
    git(suite.path, "init", "--quiet")
    git(suite.path, "add", ".")
    git(suite.path, "commit", "--quiet", "--message", "as delivered")
    git(suite.path, "remote", "add", "origin", REMOTE)
    yield suite
    suite.forget()


def run(suite: Project, keep: Path, *arguments: str, **environment: str) -> Kept:
    """Run the features, with the reports of earlier runs in place, and keep a copy of the reports."""
    outcome = suite.outcome(suite.start("features/", *arguments, **environment))
    shutil.copytree(suite.path / "reports", keep)
    return Kept(outcome, keep)


@pytest.fixture(scope="session")
def green(suite: Project, private_keys: set[str], tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The first run: it builds everything."""
    kept = run(suite, tmp_path_factory.mktemp("green") / "reports")
    assert kept.outcome.status == 0, kept.outcome.terminal
    return kept


@pytest.fixture(scope="session")
def red(green: Kept, suite: Project, reported_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The second: it proves only, and somebody has deleted a row and made a schema since."""
    reported_cloud.execute("DELETE FROM tenant_b.users WHERE user_id = 3", "CREATE SCHEMA tenant_z")
    variables = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.example.com",
        "GITHUB_REPOSITORY": "platform/etl-manager",
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_NUMBER": "12",
        "GITHUB_RUN_ATTEMPT": "2",
        "GITHUB_WORKFLOW": "acceptance",
    }
    kept = run(suite, tmp_path_factory.mktemp("red") / "reports", "--verify-only", **variables)
    assert kept.outcome.status == 1, kept.outcome.terminal
    return kept


@pytest.fixture(scope="session")
def troubles(
    red: Kept, suite: Project, reported_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Kept]:
    """Runs that met trouble, each of another kind."""
    cloud = reported_cloud
    aws = cloud.target.aws
    assert aws is not None
    folder = tmp_path_factory.mktemp("troubles")
    kept = {}

    aws.agents[aws.instance_id].online = False
    kept["agent offline"] = run(suite, folder / "offline", *LONG)
    aws.agents[aws.instance_id].online = True

    aws.set_faults(["undeliverable@2"])
    kept["command never delivered"] = run(suite, folder / "undelivered")
    aws.set_faults([])

    secrets = cloud.target.client("secretsmanager")
    [name] = [item["Name"] for item in secrets.list_secrets()["SecretList"]]
    right = secrets.get_secret_value(SecretId=name)["SecretString"]
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(json.loads(right) | {"password": WRONG_PASSWORD}))
    kept["wrong password"] = run(suite, folder / "refused", *LONG)
    secrets.put_secret_value(SecretId=name, SecretString=right)

    cloud.execute(
        "DROP SCHEMA tenant_z", "ALTER TABLE tenant_b.users ADD CONSTRAINT odd CHECK (user_id <> 3) NOT VALID"
    )
    kept["row refused"] = run(suite, folder / "row")
    cloud.execute("ALTER TABLE tenant_b.users DROP CONSTRAINT odd")
    return kept


@pytest.fixture
def secrets_of_runs(reported_cloud: Cloud, private_keys: set[str]) -> set[str]:
    """The passwords that were tried, and a line of each private key."""
    assert private_keys
    lines = {line for key in private_keys for line in key.splitlines() if len(line) == 64}
    return {reported_cloud.target.postgres.password, WRONG_PASSWORD, "PRIVATE KEY", *lines}


@pytest.fixture(scope="session")
def rendered(red: Kept) -> Path:
    """The report of the run that found the database broken, as ``make report`` renders it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js and npm are not installed: nothing can be rendered")
    return render(red.reports)


@pytest.fixture(scope="session")
def searched() -> Callable[[Path, set[str]], list[str]]:
    """Search every file of a folder for secrets, also inside base64, and return where there is one."""

    def search(folder: Path, secrets: set[str]) -> list[str]:
        spelled = {way for secret in secrets for way in spellings(secret)}
        found = []
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                text = path.read_bytes()
                layers = [text, *decoded(text)]
                found += [f"{path.name}: {way!r}" for way in spelled if any(way in layer for layer in layers)]
        return found

    return search


def spellings(secret: str) -> set[bytes]:
    """Return *secret* as it may stand in a file."""
    ways = {
        secret,
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
        shlex.quote(secret),
        quote(secret),
    }
    ways |= {json.dumps(way)[1:-1] for way in ways}
    return {way.encode() for way in ways} | {base64.b64encode(secret.encode()).rstrip(b"=")}


def decoded(text: bytes) -> Iterator[bytes]:
    """Yield what is inside the base64 of *text*, and inside the base64 of that."""
    for match in re.finditer(rb"[A-Za-z0-9+/]{16,}={0,2}", text):
        piece = match[0].rstrip(b"=")
        try:
            inner = base64.b64decode(piece[: len(piece) - (len(piece) % 4 == 1)] + b"=" * (-len(piece) % 4))
        except ValueError:
            continue
        yield inner
        if len(inner) < 1_000_000:
            yield from decoded(inner)
