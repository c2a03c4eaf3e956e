"""The ``local`` target: emulated AWS, a sandbox as the bastion, embedded PostgreSQL as Aurora."""

from __future__ import annotations

import errno
import re
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from etl_manager.errors import TargetError, remedy
from etl_manager.targets import TargetOptions
from etl_manager.targets.emulated_aws import EmulatedTarget, load, start
from etl_manager.targets.postgres import EmbeddedPostgres
from etl_manager.targets.state import lock_state, private_folder, private_path
from ssm_emulator import SandboxHost


class LocalTarget(EmulatedTarget):
    """Starts everything on loopback ports, with its state in ``options.state``; one user at a time.

    Raises:
        TargetError: When the state is in use, or something does not start.
        ConfigError: When a fault is not known.
    """

    name = "local"

    def __init__(self, options: TargetOptions) -> None:
        _check_open_files()
        state = options.state.absolute()
        try:
            super().__init__(options, state)
        except OSError as error:
            raise TargetError(
                f"the local target cannot be started: {error}",
                hint=remedy(error, f"What is in {state} must be this user's, and writable: look at it, or remove it."),
            ) from error

    @cached_property
    def postgres(self) -> EmbeddedPostgres:
        """The cluster; it is first asked for when its folder is there, whose mode decides where the data is kept."""
        return EmbeddedPostgres(self._options.state.absolute() / "postgres", user=self._options.master_username)

    def witness_conninfo(self, database: str) -> str | None:
        """Return the superuser's connection string for *database*."""
        return self.postgres.conninfo(database)

    def _start(self, state: Path) -> None:
        if self._options.reset or not self.postgres.known:  # state that was removed by hand leaves its stand-ins behind
            _clear(state, self.postgres)
        loading = load()  # while the server starts
        # In a thread, so that Ctrl-C does not come between the server's start and our knowing of it.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(self.postgres.start).result()
        root = state / "bastion"
        if not re.fullmatch(r"[\w./-]+", str(root)):
            root = private_folder(root, "bastion")
        bastion = SandboxHost(root, [self.postgres.bin_dir / name for name in ("psql", "pg_dump")])
        loading.join()
        self.aws = start(bastion, self.postgres, self._options)

    def _stop(self) -> None:
        """Stop PostgreSQL; the state stays."""
        self.postgres.stop()


_OPEN_FILES = 128
"""What a process must be allowed to have open: PostgreSQL wants 58 for itself, each command of the bastion a few."""


def _check_open_files() -> None:
    """Raise a TargetError where fewer are allowed: what fails then says anything but that."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed != resource.RLIM_INFINITY and allowed < _OPEN_FILES:
        raise TargetError(
            f"the local target needs {_OPEN_FILES} open files in a process, and {allowed} are allowed",
            hint=remedy(OSError(errno.EMFILE, ""), ""),
        )


def forget(state: Path) -> None:
    """Remove the local target's state in *state*, with whatever of it lives elsewhere and a killed run left running.

    Raises:
        TargetError: When it is in use.
    """
    with lock_state(state):
        _clear(state.absolute(), EmbeddedPostgres(state / "postgres"))
        (state / "lock").unlink()
    with suppress(OSError):  # somebody's directory, which holds other things as well
        state.rmdir()


def _clear(state: Path, postgres: EmbeddedPostgres) -> None:
    """Remove what is ours in *state*, but for the lock we hold; what else is in that directory is somebody's."""
    postgres.forget()
    for bastion in (state / "bastion", private_path(state / "bastion", "bastion")):
        shutil.rmtree(bastion, ignore_errors=True)
