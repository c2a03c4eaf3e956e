"""`python -m etl_manager local`: prints how to reach it, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import psycopg
import pytest

from etl_manager.targets.emulated_aws import DEFAULT_INSTANCE
from etl_manager.targets.local import forget
from tests.support import forks
from tests.support.project import ROOT


def processes_of(state: Path) -> list[str]:
    """Return the command lines of all processes that have to do with *state*."""
    marks = [str(state).encode(), (state / "postgres/port").read_bytes()]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if int(folder.name) != os.getpid() and (marks[0] in words or b"--port=" + marks[1] + b"\0" in words):
            found.append(words.decode(errors="replace"))
    return found


@pytest.mark.parametrize("port", ["65536", "-1", "http", "99999999"])
def test_a_port_out_of_range_is_wrong_use(tmp_path, port):
    """It is told at once, as every wrong word on the command line is, and nothing is started."""
    words = ("local", "--state", tmp_path / "state", f"--port={port}")
    done = forks.run("etl_manager", *words, cwd=ROOT, env=os.environ)
    assert done.returncode == 64
    assert "is no port: it is a number from 0 to 65535" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


def test_prints_how_to_reach_it(serve):
    """Five export lines and `ready`, one a line, in this order; a shell that takes them over reaches the database."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    service = serve("--region", "ap-northeast-1", "--port", str(port))
    names = [line.removeprefix("export ").partition("=")[0] for line in service.lines]
    assert names == [
        "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "DATABASE_URL", "ready",
    ]  # fmt: skip
    assert f"export AWS_ENDPOINT_URL=http://127.0.0.1:{port}" in service.lines
    assert "export AWS_DEFAULT_REGION=ap-northeast-1" in service.lines
    with psycopg.connect(service.shell('printf %s "${DATABASE_URL%/*}/postgres"').stdout) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("rdsadmin",)
    assert service.end() == (0, "")


def test_database_url_leads_to_the_tenants_database(serve, tmp_path):
    """To the one the configuration names, as soon as it exists; until then there is what the help and README say."""
    config = tmp_path / "other.json"
    config.write_text('{"aurora": {"databaseName": "other_analytics", "masterUsername": "chief"}}')
    service = serve("--config-json", str(config), state=tmp_path / "state")  # a cluster's master user stays
    url = service.shell('printf %s "$DATABASE_URL"').stdout
    with pytest.raises(psycopg.OperationalError, match='database "other_analytics" does not exist'):
        psycopg.connect(url)
    with psycopg.connect(service.shell('printf %s "${DATABASE_URL%/*}/postgres"').stdout, autocommit=True) as first:
        first.execute("CREATE DATABASE other_analytics OWNER chief")  # the user that the configuration names
    with psycopg.connect(url) as connection:
        assert connection.info.dbname == "other_analytics"
    assert service.end() == (0, "")
    forget(tmp_path / "state")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ends_without_a_trace(serve, sign):
    """Ctrl-C, SIGTERM and a closed terminal end it with exit 0, and nothing of it runs on: no server, no command."""
    service = serve()
    service.shell(
        f"aws ssm send-command --instance-ids {DEFAULT_INSTANCE} --document-name AWS-RunShellScript"
        " --parameters 'commands=[\"(setsid sleep 300 &) ; sleep 300\"]'"
    ).check_returncode()
    assert len(processes_of(service.state)) > 2
    assert service.end(sign) == (0, "")
    assert processes_of(service.state) == []
