"""A project of its own for each test: real runs of pytest, by `pytester`, with steps that need no target.

They are runs in this process, where that is possible: a process of its own takes a second to begin.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import hypothesis  # noqa: F401 - its plugin imports it at the end of a run: each run would do so again
import jinja2  # noqa: F401 - as below
import pytest
from pytest_bdd.feature import features

# What a run imports while it goes on would be imported by each run again.
import etl_manager.report.folder
import etl_manager.sql_files.check
import etl_manager.targets.local  # noqa: F401
from tests.support import forks
from tests.support.outcome import counts
from tests.support.project import shell

ROOT = Path(__file__).parents[3]

CONFTEST = """\
pytest_plugins = ["etl_manager.pytest_plugin", "sentences"]
"""

SENTENCES = """\
from pytest_bdd import given, parsers, then, when

from etl_manager import errors
from etl_manager.report import allure as evidence
from etl_manager.pytest_plugin.session import PROGRESS


@given("the database exists")
def database_exists():
    evidence.attach("create-database.sql", "create database x;", "sql")


@given(parsers.parse("the schema {name} exists"))
@then(parsers.parse("the schema {name} exists"))
def schema_exists(name):
    pass


@when("it is provisioned")
def provisioned():
    pass


@then(parsers.parse("{tenant}.users has {count:d} rows"))
def has_rows(tenant, count):
    found = 4 if tenant == "tenant_b" else 5
    assert found == count, f"{tenant}.users: expected {count} rows, found {found}"
"""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: int
    out: str
    err: str

    @property
    def ids(self) -> list[str]:
        """The node ids that ``--collect-only -q`` printed."""
        return [line for line in self.out.splitlines() if ".feature::" in line]

    @property
    def counts(self) -> dict[str, int]:
        """The counts of the terminal's last line."""
        return counts(self.out)

    def failure(self, heading: str) -> str:
        """Return what stands under *heading* among the failures."""
        part = re.search(rf"^_+ {re.escape(heading)} _+\n(.*?)^(?:___+ .* _+|=+ .* =+)$", self.out, re.M | re.S)
        assert part is not None, self.out
        return part[1]


class Project:
    """A folder with features, steps and a configuration, using the plugin as it is here."""

    pytester: pytest.Pytester | None = None
    """What runs in this process; only a test has it."""

    def __init__(self, path: Path) -> None:
        """Lay out the least that the configuration accepts."""
        self.path = path
        for phase in ("database", "schema", "data", "verification"):
            self.write(f"sql/aurora/{phase}/{phase}.sql", "select 1;\n")
        self.write("sql/aurora/tenant/changes/0001-x.sql", "create table x (x integer primary key);\n")
        self.write("conftest.py", CONFTEST)
        self.write("sentences.py", SENTENCES)
        self.write("pytest.ini", (ROOT / "pytest.ini").read_text().replace("pythonpath = .", f"pythonpath = . {ROOT}"))
        self.tenants("tenant_a", "tenant_b", "tenant_c")

    def write(self, name: str, text: str) -> Path:
        """Write the file *name*."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def append(self, name: str, text: str) -> None:
        """Add *text* to the file *name*."""
        self.write(name, (self.path / name).read_text() + text)

    def tenants(self, *names: str) -> None:
        """Configure these tenants."""
        self.write("config.json", json.dumps({"tenants": names}))

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a run."""
        return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a run, the same on every machine."""
        return {**shell(), "COLUMNS": "160"}

    def run(self, *arguments: str, **environment: str) -> Outcome:
        """Run pytest here with *arguments*, in this process; what the fixtures of a module run has one of its own."""
        if self.pytester is None:
            return self.run_apart(*arguments, **environment)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.path)
            for name in os.environ.keys() - self.environment.keys():
                patch.delenv(name)
            for name, value in {**self.environment, **environment}.items():
                patch.setenv(name, value)
            features.clear()  # pytest-bdd keeps them for a process
            done = self.pytester.runpytest_inprocess(*self.command(*arguments)[3:])
        return Outcome(int(done.ret), done.stdout.str() + "\n", done.stderr.str() + "\n")

    def run_apart(self, *arguments: str, **environment: str) -> Outcome:
        """Run pytest here with *arguments*, in a process of its own."""
        done = forks.run(*self.command(*arguments)[2:], cwd=self.path, env={**self.environment, **environment})
        return Outcome(done.returncode, done.stdout, done.stderr)

    def results(self) -> dict[str, dict]:
        """Return Allure's results by the names of the tests."""
        found = [json.loads(path.read_text()) for path in self.path.glob("reports/allure-results/*-result.json")]
        return {result["name"]: result for result in found}

    def attachment(self, attachment: dict) -> str:
        """Return the text of an attachment of a result."""
        return (self.path / "reports/allure-results" / attachment["source"]).read_text()


@pytest.fixture(autouse=True)
def in_process(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runs of a test be runs in this process."""
    monkeypatch.setattr(Project, "pytester", pytester)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def shared_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project for the tests of one module that look at the same run."""
    return Project(tmp_path_factory.mktemp("project"))
