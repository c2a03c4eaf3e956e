"""A paused cluster resumes at the first connection: the engine waits for it and says so, and for nothing else."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

QUICK = {"PGCONNECT_TIMEOUT": "2"}
"""The shortest that libpq knows, in seconds."""


class PausedCluster:
    """A port that takes connections and says nothing to the first *silent* of them; the others lead to *port*."""

    def __init__(self, port: int, silent: int) -> None:
        self._port, self._silent = port, silent
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.taken = 0
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> str:
        """Where it listens."""
        return str(self._listener.getsockname()[1])

    def close(self) -> None:
        """Take no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in [self._listener, *self._open]:
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            self.taken += 1
            serve = self._forward if self.taken > self._silent else self._refuse
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    def _refuse(self, client: socket.socket) -> None:
        """Say nothing."""

    def _forward(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as server, selectors.DefaultSelector() as selector:
            for one, other in ((client, server), (server, client)):
                selector.register(one, selectors.EVENT_READ, other)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                    if not data:
                        client.close()
                        return
                    key.data.sendall(data)


@pytest.fixture
def paused(server) -> Iterator[Callable[[int], PausedCluster]]:
    """Return a function that puts a paused cluster in front of the server."""
    opened: list[PausedCluster] = []

    def make(silent: int) -> PausedCluster:
        opened.append(PausedCluster(server.port, silent))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_paused_cluster_is_waited_for_and_told(built, paused):
    """Two attempts time out, the third is answered: the file is run, once, and the log says what took so long."""
    cluster = paused(2)
    began = time.monotonic()
    done = built.engine(built.VERIFICATION, AURORA_PORT=cluster.port, **QUICK)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began >= 4
    assert "(3 rows)" in done.stdout
    assert "a paused cluster resumes now: waiting" in done.stderr
    assert done.stderr.count("[WARNING] the database answered after") == 1
    assert "timeout expired" not in done.stderr
    assert cluster.taken == 4  # the one that was answered first, and the file's own


class StartingServer(PausedCluster):
    """Refuses the first *silent* sessions as a server that starts (PostgreSQL manual, Message Formats: ErrorResponse)."""

    def _refuse(self, client: socket.socket) -> None:
        while len(client.recv(10_000)) == 8:  # asks for encryption
            client.sendall(b"N")
        fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is not yet accepting connections\0\0"
        client.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        client.close()


def test_server_that_starts_is_waited_for(built, server):
    """After a crash it refuses for a moment: the file is run as soon as it does not."""
    starting = StartingServer(server.port, 2)
    try:
        done = built.engine(built.VERIFICATION, AURORA_PORT=starting.port)
    finally:
        starting.close()
    assert done.returncode == 0, done.stderr
    assert "is starting: waiting" in done.stderr
    assert starting.taken == 4


def test_server_that_never_has_started_is_given_up(built, server):
    """After the time of four attempts psql's message is shown."""
    starting = StartingServer(server.port, 999)
    try:
        done = built.engine(built.SCHEMA, AURORA_PORT=starting.port, PGCONNECT_TIMEOUT="1")
    finally:
        starting.close()
    assert done.returncode == 2
    assert "not yet accepting connections" in done.stderr


def test_cluster_that_does_not_answer_is_given_up(built, paused):
    """After four attempts psql's message is shown, and the exit status says that there is no connection."""
    cluster = paused(99)
    done = built.engine(built.SCHEMA, AURORA_PORT=cluster.port, **QUICK)
    assert done.returncode == 2
    assert "timeout expired" in done.stderr
    assert f"no connection to {built.database} at 127.0.0.1:{cluster.port}" in done.stderr
    assert cluster.taken == 4
    assert list(built.runtime.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"AURORA_PASSWORD": "wrong"}, "password authentication failed"),
        ({"AURORA_USER": "nobody"}, "authentication failed"),
    ],
)
def test_failed_authentication_is_not_tried_again(built, paused, changes, told):
    """A wrong password is told at once, by one connection: more could lock the user out."""
    cluster = paused(0)
    done = built.engine(built.SCHEMA, AURORA_PORT=cluster.port, **changes)
    assert done.returncode == 2
    assert told in done.stderr
    assert "waiting" not in done.stderr
    assert cluster.taken == 1
