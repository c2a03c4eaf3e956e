"""docs/manual.md, done as it says: its commands are typed into a terminal on the bastion, one after another."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

MANUAL = (Path(__file__).parents[3] / "docs/manual.md").read_text()
ENDPOINT = "mycluster.cluster-abcdefghijkl.us-east-1.rds.amazonaws.com"
PROMPT = re.compile(r"(\d+) @@ $")


def commands(place: str) -> list[list[str]]:
    """Return the commands of each block of the manual that is to be run at *place*."""
    blocks = re.findall(r"^```bash\n# (.+)\n((?:.+\n)+)```$", MANUAL, re.MULTILINE)
    return [text.replace("\\\n", "").splitlines() for where, text in blocks if where == place]


class Terminal:
    """A person's shell in a terminal, as in a session on the bastion."""

    def __init__(self, environment: dict[str, str], directory: Path) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
        self.process = subprocess.Popen(
            ["sh"],
            stdin=slave, stdout=slave, stderr=slave, cwd=directory, start_new_session=True,
            env=environment | {"PS1": "$? @@ ", "TERM": "dumb", "INPUTRC": "/dev/null"},
        )  # fmt: skip
        os.close(slave)
        self.shown = ""
        self.read()

    def read(self) -> str:
        """Read up to the next prompt."""
        text, deadline = "", time.monotonic() + 30
        while not PROMPT.search(text):
            ready, _, _ = select.select([self.master], [], [], 0.1)
            if ready:
                text += os.read(self.master, 65536).decode().replace("\r\n", "\n")
            assert time.monotonic() < deadline, text
        self.shown += text
        return text

    def type(self, line: str) -> None:
        """Type *line* and Enter."""
        os.write(self.master, f"{line}\n".encode())

    def asked_for_a_secret(self) -> None:
        """Wait until the shell reads a line without showing it; its line editor, between commands, reads characters."""
        deadline = time.monotonic() + 30
        while termios.tcgetattr(self.master)[3] & (termios.ECHO | termios.ICANON) != termios.ICANON:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def run(self, line: str) -> str:
        """Type *line*, which must succeed; return what it printed."""
        self.type(line)
        text = self.read()
        found = PROMPT.search(text)
        assert found and found[1] == "0", text  # noqa: PT018
        return text


@pytest.fixture
def terminal(service, tmp_path) -> Iterator[Terminal]:
    """A terminal on the service's bastion, with the workspace there and no database."""
    (tmp_path / ".bashrc").write_text("PS1='$? @@ '\n")
    done = service.run("--bastion-command", "ls -l")
    assert done.returncode == 0, done.stderr
    with service.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS multitenant_analytics WITH (FORCE)")
    programs = service.state / "bastion/usr/bin"
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(service.tmp)}
    found = Terminal(environment, service.tmp)
    yield found
    found.process.kill()
    found.process.wait()
    os.close(found.master)


def here(line: str, service) -> str:
    """Return *line* with the test cluster's endpoint, and the bastion's /tmp, in place of the manual's."""
    url = urlsplit(service.exports["DATABASE_URL"])
    line = line.replace(
        f"AURORA_ENDPOINT={ENDPOINT} AURORA_PORT=5432", f"AURORA_ENDPOINT={url.hostname} AURORA_PORT={url.port}"
    )
    return line.replace("/tmp/workspace", str(service.tmp / "workspace"))


def connect(terminal, service) -> str:
    """Do what "The connection" says; return the password that was typed."""
    password = service.password
    for line in commands("on the Bastion Host")[0]:
        if line.startswith("read -rs"):
            terminal.type(line)
            terminal.asked_for_a_secret()
            terminal.type(password)
            assert PROMPT.search(terminal.read())[1] == "0"
        else:
            terminal.run(here(line, service))
    return password


@pytest.mark.parametrize("way", ["engine", "psql"])
def test_the_manual_builds_and_proves_the_database(terminal, service, tmp_path, way):
    """By the engine, and by plain psql; the password is never shown, and nothing of it is left."""
    _, *blocks, done = commands("on the Bastion Host")
    assert [line.split()[0] for line in blocks[0]] == ["scripts/2-sql-execute.sh"] * 4
    assert [line.split()[0] for line in blocks[1]] == ["export", *["psql"] * 4]
    password = connect(terminal, service)
    for line in blocks[0] if way == "engine" else blocks[1]:
        printed = terminal.run(line)
    for tenant in ("tenant_a", "tenant_b", "tenant_c"):
        assert re.search(rf"^ {tenant} +\| +5$", printed, re.MULTILINE)
    assert "(0 rows)" in printed
    terminal.run(done[0])
    terminal.type(done[1])
    terminal.read()
    assert password not in terminal.shown + (tmp_path / ".bash_history").read_text()
    assert not list(service.tmp.glob("2-sql-execute.*"))
    with psycopg.connect(service.exports["DATABASE_URL"], dbname="multitenant_analytics") as database:
        assert database.execute("SELECT count(*) FROM tenant_b.users").fetchone() == (5,)


def test_plain_psql_stops_at_the_first_error(terminal, service):
    """Also by hand: in a database without the schemas, the data file ends with an error, and with psql's status for it."""
    connect(terminal, service)
    *_, psql, _ = commands("on the Bastion Host")
    terminal.run(psql[0])
    terminal.run(psql[1])
    terminal.type(psql[3])
    text = terminal.read()
    assert "ERROR" in text
    assert PROMPT.search(text)[1] == "3"


def test_what_is_looked_up_first_is_found(service):
    """The AWS command line finds endpoint, secret and instance as the manual asks for them."""
    [[line]] = commands("on your machine")
    done = subprocess.run(
        ["bash", "-c", line],
        env=service.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "AWS_PAGER": ""},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert urlsplit(service.exports["DATABASE_URL"]).hostname in done.stdout
    assert "AuroraPostgresSecret" in done.stdout
    assert re.search(r"i-[0-9a-f]{17}", done.stdout)
