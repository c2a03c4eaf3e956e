"""pytest-xdist's workers: which of a session's processes this is, and how the record of the one run gets to them.

The record does not touch the disk: it holds what the database printed, and the secrets that each process must mask.
"""

from __future__ import annotations

import os
import pickle
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest

from etl_manager import redaction
from etl_manager.errors import ProvisioningError
from etl_manager.provisioning.record import RunRecord
from etl_manager.pytest_plugin import compat

KEY = "etl_manager"
"""What a worker's task is called in its ``workerinput``."""


class Task(NamedTuple):
    """What a worker is told when it starts.

    Attributes:
        folder: Where the run writes.
        address: Where the record will be had, once there are scenarios to prove.
        password: What opens that; it is no one else's.
    """

    folder: Path
    address: str
    password: bytes


class Handout(NamedTuple):
    """What a worker is given when it has something to prove.

    Attributes:
        record: What the run did; None where there was none.
        reason: Why there was none: the first line of what kept it from starting.
        secrets: What the worker has to mask.
    """

    record: RunRecord | None
    reason: str
    secrets: tuple[str, ...]


_SPREADS = pytest.StashKey[bool]()
_TASK = pytest.StashKey[Task]()
_HANDOUT = pytest.StashKey[Handout]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Find out what this process is; a plan proves nothing, and takes no workers.

    Raises:
        pytest.UsageError: When each worker is to run everything: the run would be proven several times.
    """
    if KEY in (given := compat.worker_input(config) or {}):
        folder, address, password = given[KEY]
        config.stash[_TASK] = Task(Path(folder), address, password)
    if not compat.spreads(config) or not any(map(_has_feature_files, config.args)):
        return
    if config.option.plan:
        compat.keep_together(config)
        return
    if config.option.dist == "each":
        raise pytest.UsageError("--dist each has each worker run everything; there is one run: take another --dist")
    config.stash[_SPREADS] = True


def _has_feature_files(argument: str) -> bool:
    path = Path(argument.partition("::")[0])
    if path.suffix == ".feature":
        return True
    for _, folders, files in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if any(name.endswith(".feature") for name in files):
            return True
    return False


def spreads(config: pytest.Config) -> bool:
    """Return whether this process gives a part of the scenarios to workers."""
    return config.stash.get(_SPREADS, False)


def is_worker(config: pytest.Config) -> bool:
    """Return whether this process proves a part of the scenarios of another process."""
    return _TASK in config.stash


def task(config: pytest.Config) -> Task:
    """Return what this worker was told."""
    return config.stash[_TASK]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Know the secrets before anything is shown, also of a test that has nothing to do with the run."""
    if is_worker(item.config):
        _handout(item.config)


def _handout(config: pytest.Config) -> Handout:
    """Return what this worker is given, which it asks for once."""
    if _HANDOUT not in config.stash:
        from multiprocessing.connection import Client  # of no use to a run without workers

        told = task(config)
        with Client(told.address, authkey=told.password) as connection:
            given: Handout = connection.recv()
        for secret in given.secrets:
            redaction.register(secret)
        config.stash[_HANDOUT] = given
    return config.stash[_HANDOUT]


def record(config: pytest.Config) -> RunRecord:
    """Return what the run did, from the process that ran it.

    Raises:
        ProvisioningError: When there was no run.
    """
    given = _handout(config)
    if given.record is None:
        raise ProvisioningError(given.reason)
    return given.record


class RecordServer:
    """Hands the same to every worker that asks; workers are told of it by `tell`."""

    def __init__(self) -> None:
        """Listen, where this user's processes only can ask; nothing is answered yet."""
        from multiprocessing.connection import Listener  # of no use to a run without workers

        self._password = secrets.token_bytes(32)
        self._listener = Listener(family="AF_UNIX", backlog=64, authkey=self._password)
        self._answering: Thread | None = None
        self._closed = False

    def tell(self, folder: Path) -> tuple[str, str, bytes]:
        """Return what a worker finds as its `Task`."""
        return str(folder), str(self._listener.address), self._password

    def open(self, handout: Handout) -> None:
        """Answer from now on."""
        data = pickle.dumps(handout)
        self._answering = Thread(target=self._answer, args=(data,), daemon=True)
        self._answering.start()

    def _answer(self, data: bytes) -> None:
        from multiprocessing import AuthenticationError

        while not self._closed:
            with suppress(AuthenticationError, OSError, EOFError), self._listener.accept() as connection:
                connection.send_bytes(data)

    def close(self) -> None:
        """Answer nobody any more."""
        self._closed = True
        if self._answering:
            # It waits to be asked, or has ended: who connects waits for no answer.
            with suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
                asking.connect(str(self._listener.address))
            self._answering.join(timeout=1)
        self._listener.close()
