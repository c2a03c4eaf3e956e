"""The ``container`` target: emulated AWS, a container as the bastion, and a PostgreSQL container only it can reach."""

from __future__ import annotations

import atexit
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from etl_manager.targets.base import TargetOptions
from etl_manager.targets.container_engine import Engine, ImageResolver
from etl_manager.targets.container_stack import ADDRESS, PORT, USER, ContainerStack, addresses, password_of, wait_for
from etl_manager.targets.emulated_aws import CLUSTER, EmulatedTarget, load
from etl_manager.targets.state import lock_state
from ssm_emulator import ContainerHost


class ContainerTarget(EmulatedTarget):
    """Starts two containers in two networks; closing it removes them, unless they are to be kept.

    What an earlier run kept is used again. What a killed run left is removed first.

    Attributes:
        host: The cluster's name, which only the bastion knows.
        user: The cluster's superuser.
        postgres: The server's container, as the Docker SDK has it.

    Raises:
        TargetError: When there is no engine, an image cannot be had, or something does not start.
        ConfigError: When a fault is not known.
    """

    name = "container"
    port = PORT

    def __init__(self, options: TargetOptions) -> None:
        super().__init__(options)
        self.host = f"{CLUSTER}.cluster-emulated.{self.region}.internal"
        self.user = options.master_username
        self.password = ""
        self.postgres: Any = None
        self.bastion: Any = None
        self._options = options
        state = (options.state / "container").absolute()
        self._lock = lock_state(state)
        self._engine: Engine | None = None
        self._machines: ContainerStack | None = None
        self._keep = False  # until all of it runs: half of it is of no use
        atexit.register(self.close)
        try:
            self._start(state)
        except BaseException:
            self.close()
            raise

    def witness_conninfo(self, database: str) -> str | None:  # noqa: ARG002
        """Return None: the database is out of reach from here, which is what this target is for."""
        return None

    def close(self) -> None:
        """Stop the emulated AWS with what its commands left running, then remove the containers, or keep them."""
        self.stop_aws()
        try:
            if self._machines is not None:
                if self._keep:
                    self._show_kept(self._machines)
                else:
                    self._machines.remove()
                self._machines = None
        finally:
            if self._engine is not None:
                self._engine.close()
                self._engine = None
            self._lock.close()
            atexit.unregister(self.close)

    def _start(self, state: Path) -> None:
        loading = load()  # while the containers start
        status = self._options.progress.status
        self._engine = engine = Engine.find()
        images = ImageResolver(engine, status)
        postgres, bastion = images.postgres(self._options.postgres_image), images.bastion(self._options.bastion_image)
        self._machines = machines = ContainerStack(engine, state, kept=self._options.keep)
        status(f"starting containers of {postgres} and {bastion}")
        # In a thread, so that Ctrl-C does not come between the engine's making of something and our knowing of it.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(self._assemble, machines, postgres, bastion).result()
        self.password = password_of(self.postgres)
        wait_for(self.postgres)
        loading.join()
        self.start_aws(ContainerHost(engine.client, self.bastion.id), self, self._options)
        self._keep = self._options.keep

    def _assemble(self, machines: ContainerStack, postgres: str, bastion: str) -> None:
        """Start both containers; a database that was kept is used again, with its data."""
        machines.sweep()
        self.postgres = machines.find("postgres", postgres, {USER: self.user})
        if self.postgres is not None:
            self._keep = self._options.keep  # also where this run cannot go on
        else:
            machines.remove()
            machines.make_networks()
            self.postgres = machines.make_postgres(postgres, self.user)
        address = addresses(self.postgres)[machines.name("database")]
        self.bastion = machines.find("bastion", bastion, {ADDRESS: address})
        if self.bastion is None:
            machines.remove_one("bastion")
            self.bastion = machines.make_bastion(bastion, self.host, address)

    def _show_kept(self, machines: ContainerStack) -> None:
        say = self._options.progress.say
        say("Kept, as --keep asked for: the next run with --target container goes on with them.")
        for line in machines.inspect_commands(self.user):
            say(f"  look:    {line}")
        for line in machines.remove_commands():
            say(f"  remove:  {line}")
