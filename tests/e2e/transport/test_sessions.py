"""``pytest features/ --target aws`` as a process of its own: the table on its terminal, and Ctrl-C in the middle."""

from __future__ import annotations

import signal
import time

import pytest

from tests.support.aws import variables
from tests.support.project import Project


@pytest.fixture
def project(tmp_path) -> Project:
    """A copy of the project."""
    return Project(tmp_path / "suite")


def test_preflight_stands_on_the_terminal_before_a_run_stops(account, database, project):
    """A bastion without psql: the table, the line that installs it, exit status 1, and no traceback."""
    bastion = account()
    psql = bastion.host.root / "usr/bin/psql"
    psql.unlink()
    psql.write_text("#!/bin/sh\nexit 127\n")
    psql.chmod(0o755)
    outcome = project.run(**variables(bastion.aws))
    assert outcome.status == 1
    assert outcome.terminal.count("preflight: what the run stands on (aws, emulated)") == 1
    assert "  stack       AuroraPostgresStack (CREATE_COMPLETE)" in outcome.terminal
    assert "  psql        MISSING: The bastion lacks psql" in outcome.terminal
    assert "On the bastion: sudo dnf install -y postgresql16" in outcome.terminal
    assert "Traceback" not in outcome.terminal
    assert database.users() is None


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_cancels_its_command_and_cleans_up(account, database, project, sign):
    """Ctrl-C while a phase runs: the command is cancelled, nothing goes on, and only the workspace stays."""
    bastion = account()
    marker = bastion.tmp / "in the phase"
    project.write("sql/aurora/slow/slow.sql", f"\\! touch '{marker}'\nSELECT pg_sleep(120);\n")
    config = project.config
    config["aurora"]["phases"] = {"slow": {"connection_db": "postgres"}} | config["aurora"]["phases"]
    project.write("config.json", config)
    process = project.start("features/", **variables(bastion.aws))
    while not marker.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    process.send_signal(sign)
    outcome = project.outcome(process)
    assert outcome.status == 2
    assert "Traceback" not in outcome.terminal
    assert [command["Status"] for command in bastion.commands()][-2:] == ["Cancelled", "Success"]
    assert "clean up" in bastion.commands()[-1]["Comment"]
    assert bastion.idle()
    marker.unlink()
    assert bastion.left() == ["workspace"]
