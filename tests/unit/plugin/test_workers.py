"""``-n``: this process runs what is told once, workers prove the tenants' rows, and nothing gets lost between them."""

from __future__ import annotations

import json
import threading
from contextlib import closing, nullcontext
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from types import SimpleNamespace

import pytest

from etl_manager import redaction
from etl_manager.errors import ProvisioningError, TargetError
from etl_manager.pytest_plugin import workers

WORKERS = ("features/", "-n", "2")
ONE = ("features/", "-n", "1")
"""Where one worker has all there is to see; each takes a second to begin."""
FEATURE = """\
@schema
Feature: F
  Scenario: Shared
    Given the database exists

  @each-tenant
  Scenario Outline: <tenant> is proven
    Given <tenant> is where it is

    Examples:
      | tenant |
"""
STEPS = """

import os
from pathlib import Path

from etl_manager.errors import NotApplicable


@given("the database exists")
def noted():
    Path("shared.pid").write_text(str(os.getpid()))


@given(parsers.parse("{tenant} is where it is"))
def is_where_it_is(tenant, request):
    Path(f"{tenant}.pid").write_text(str(os.getpid()))
    exec(os.environ.get(tenant, ""))
"""


@pytest.fixture
def spread(project):
    """A project with a scenario of its own, and one of each of three tenants."""
    project.append("sentences.py", STEPS)
    project.write("features/1.feature", FEATURE)
    return project


def scenarios(project):
    """Return the verdict's counts: promised, passed, failed, not run and not applicable."""
    return tuple(json.loads((project.path / "reports/phase3-gate.json").read_text())["scenarios"].values())


def statuses(project):
    """Return how each result ended."""
    return {name: result["status"] for name, result in project.results().items()}


def test_workers_prove_all_tenants_but_the_first(spread):
    """Reports, counts and exit status are those of one process, whatever a worker's scenario ended in."""
    environment = {"tenant_b": "assert False, 'not b'", "tenant_c": "raise NotApplicable('c is none')"}
    alone = spread.run("features/", **environment)
    expected = alone.status, alone.counts, scenarios(spread), statuses(spread)
    found = spread.run(*WORKERS, **environment)
    assert (found.status, found.counts, scenarios(spread), statuses(spread)) == expected
    assert expected[1:3] == ({"passed": 2, "failed": 1, "not applicable": 1}, (4, 2, 1, 0, 1))
    assert "1 not applicable: c is none" in found.out
    assert "not b" in found.failure("tenant_b is proven")
    processes = {name: (spread.path / f"{name}.pid").read_text() for name in ("shared", "tenant_a", "tenant_b")}
    assert processes["shared"] == processes["tenant_a"] != processes["tenant_b"]


def test_scenario_whose_worker_died_has_failed(spread):
    """Another worker takes its place; the verdict counts the scenario as failed, and its result is missed."""
    found = spread.run(*ONE, tenant_b="os._exit(9)")
    assert found.status == 1
    assert scenarios(spread) == (4, 3, 1, 0, 0)
    assert "Results of 3 of 4 promised scenarios." in found.out
    assert json.loads((spread.path / "reports/phase3-gate.json").read_text())["ready"] is False


def test_first_failure_ends_the_run_before_workers_begin(spread):
    """With -x what fails for the first tenant is not tried for the others."""
    found = spread.run(*ONE, "-x", tenant_a="assert False")
    assert (found.status, scenarios(spread)) == (1, (4, 1, 1, 2, 0))
    assert not (spread.path / "tenant_b.pid").exists()


def test_failure_in_a_worker_ends_the_run(spread):
    """With -x the session ends as pytest-xdist ends it, and is no proof."""
    found = spread.run(*ONE, "-x", tenant_b="assert False")
    assert found.status == 2
    assert scenarios(spread)[2] == 1


def test_report_that_a_worker_could_not_write_is_none(spread):
    """A worker has no space: there is no verdict, as if this process had failed to write."""
    full = "def full(*_): raise OSError(28, 'No space left on device', 'x-result.json')\nPath.write_bytes = full"
    found = spread.run(*ONE, tenant_b=full)
    assert found.status != 0
    assert "the run cannot write its reports: x-result.json: No space left on device" in found.out
    assert "There is no report and no verdict of this run: not all of it could be written." in found.out
    assert not (spread.path / "reports/phase3-gate.json").exists()


def test_run_that_cannot_start_is_told_once(spread, monkeypatch):
    """It is a failure of its own here; scenarios of workers are not run because of it, as those of this process."""

    def refuse(*_: object) -> None:
        raise TargetError("there is no such place")

    monkeypatch.setattr("etl_manager.pytest_plugin.session.open_target", refuse)
    code = "request.getfixturevalue('run')"
    found = spread.run(*ONE, tenant_a=code, tenant_b=code, tenant_c=code)
    assert (found.status, found.counts) == (1, {"passed": 1, "skipped": 3, "failed": 1})
    assert found.out.count("not run because the environment could not be opened: there is no such place") >= 1
    assert scenarios(spread) == (4, 1, 0, 3, 0)
    assert "INTERNALERROR" not in found.out + found.err
    assert len([*spread.path.glob("reports/allure-results/*-result.json")]) == 5


def test_mistake_in_a_feature_is_told_once(spread):
    """What cannot be collected is said by this process; nothing is run, in no process."""
    spread.write("features/2.feature", "Feature: G\n  Scenario: S\n    Given nobody knows this\n")
    alone, found = spread.run("features/"), spread.run(*ONE)
    text = "unknown step: Given nobody knows this"
    assert (found.status, found.out.count(text)) == (alone.status, alone.out.count(text)) == (2, 1)
    assert not (spread.path / "shared.pid").exists()


def test_plan_takes_no_workers(spread, monkeypatch):
    """A plan proves nothing, and is made as without -n."""
    run = SimpleNamespace(plan=lambda: ["schema: nothing to change"])
    monkeypatch.setattr("etl_manager.pytest_plugin.session.open_run", lambda _: nullcontext(run))
    found = spread.run(*ONE, "--plan")
    assert (found.status, "schema: nothing to change" in found.out, "created: " in found.out) == (0, True, False)


def test_single_tenant_needs_no_workers(spread):
    """With nothing to give away the run ends as without -n."""
    spread.tenants("tenant_a")
    found = spread.run(*ONE)
    assert (found.status, found.counts, scenarios(spread)) == (0, {"passed": 2}, (2, 2, 0, 0, 0))


def test_tests_beside_the_features_are_spread_as_ever(spread):
    """Tests alone are collected by workers only; together with features they are run by workers."""
    spread.write("tests/test_it.py", "def test_it(worker_id):\n    assert worker_id != 'master'\n")
    assert spread.run("tests/", "-n", "1").counts == {"passed": 1}
    assert spread.run(".", "-n", "1").counts == {"passed": 5}
    assert len(spread.run(*ONE, "--collect-only", "-q").ids) == 4


def test_secrets_of_the_run_are_masked_beside_the_features(spread):
    """A test in a worker shows nothing that this process has to mask, also where the worker proves no scenario."""
    secret = "a-Secret-of-This-Run-2"
    redaction.register(secret)
    spread.tenants("tenant_a")
    spread.write("tests/test_it.py", f"def test_it():\n    print({secret!r})\n    assert False\n")
    found = spread.run(".", "-n", "1")
    assert (found.status, found.counts) == (1, {"passed": 2, "failed": 1})
    assert secret not in found.out
    assert redaction.MASK in found.out


def told(server, tmp_path):
    """Return pytest's config of a worker that was told of *server*."""
    config = SimpleNamespace(
        stash=pytest.Stash(),
        workerinput={workers.KEY: server.tell(tmp_path)},
        option=SimpleNamespace(collectonly=True),
    )
    workers.pytest_configure(config)
    return config


def test_record_is_for_workers_only(tmp_path):
    """Who has not the password gets nothing, and keeps nobody from it; secrets are masked before anything is shown."""
    secret = "a-Secret-of-This-Run-1"
    with closing(workers.RecordServer()) as server:
        server.open(workers.Handout(None, "it never began", (secret,)))
        config = told(server, tmp_path)
        assert (workers.is_worker(config), workers.task(config).folder) == (True, tmp_path)
        with pytest.raises(AuthenticationError):
            Client(workers.task(config).address, authkey=b"guessed")
        assert redaction.redact(secret) == secret
        with pytest.raises(ProvisioningError, match="it never began"):
            workers.record(config)
    assert redaction.redact(secret) == redaction.MASK


def test_server_that_answered_its_last_is_closed_all_the_same(tmp_path):
    """Closing waits for nobody: the last worker may be answered just as it begins."""
    server = workers.RecordServer()
    server.open(workers.Handout(None, "it never began", ()))
    server._closed = True  # as `close` begins
    with pytest.raises(ProvisioningError, match="it never began"):
        workers.record(told(server, tmp_path))
    server._answering.join(10)
    closes = threading.Thread(target=server.close, daemon=True)
    closes.start()
    closes.join(10)
    assert not closes.is_alive()
