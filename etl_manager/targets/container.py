"""The ``container`` target: emulated AWS, a container as the bastion, and a PostgreSQL container only it can reach."""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from etl_manager import redaction
from etl_manager.errors import TargetError
from etl_manager.targets import TargetOptions
from etl_manager.targets.container_engine import Engine, ImageResolver, engine_errors
from etl_manager.targets.emulated_aws import CLUSTER, EmulatedTarget, load, start
from etl_manager.targets.postgres import new_password
from etl_manager.targets.state import in_use
from ssm_emulator import ContainerHost

# Docker's bridge has an address of the host in every network, also in an internal one, and the host could go in by
# it (Docker docs, "Bridge network driver", options). Podman gives an internal bridge none, and refuses the option.
_NO_HOST_ADDRESS = {"com.docker.network.bridge.inhibit_ipv4": "true"}


def addresses(container: Any) -> dict[str, str]:
    """Return the container's present address in each of its networks."""
    with engine_errors("tell the addresses of a container"):
        container.reload()
    networks: Mapping[str, Mapping[str, Any]] = container.attrs["NetworkSettings"]["Networks"]
    return {name: str(part["IPAddress"]) for name, part in networks.items() if part.get("IPAddress")}


PASSWORD_FILE = "/run/etl-manager/password"  # noqa: S105  # its name
_START_SECONDS = 60


def password_of(postgres: Any) -> str:
    """Return the password that the server was made with.

    Raises:
        TargetError: When it cannot be read.
    """
    with engine_errors("read the password of the database"):
        stream, _ = postgres.get_archive(PASSWORD_FILE)
        content = io.BytesIO(b"".join(stream))
    with tarfile.open(fileobj=content) as tar:
        file = tar.extractfile(PASSWORD_FILE.rpartition("/")[2])
        password = file.read().decode() if file else ""
    redaction.register(password)
    return password


def wait_for(postgres: Any) -> None:
    """Wait until the server takes connections over the network.

    Raises:
        TargetError: When it ends, or does not come up in time; it quotes the server's log.
    """
    deadline = time.monotonic() + _START_SECONDS
    while not _takes_connections(postgres):
        with engine_errors("look at the database's container"):
            postgres.reload()
            log = postgres.logs(tail=5).decode(errors="replace").strip()
        if postgres.status != "running" or time.monotonic() > deadline:
            raise TargetError(
                f"PostgreSQL does not come up in its container ({postgres.status})", hint=redaction.redact(log)
            )
        time.sleep(0.05)


def _takes_connections(postgres: Any) -> bool:
    import docker.errors

    try:
        return bool(postgres.exec_run(["pg_isready", "-q", "-h", "127.0.0.1"]).exit_code == 0)
    except docker.errors.APIError:  # the container has ended
        return False


LABEL = "etl-manager.state"
KEPT = "etl-manager.kept"
FOLDER = "etl-manager.folder"
HOST = "etl-manager.host"
USER = "etl-manager.user"
ADDRESS = "etl-manager.database-address"
PORT = 5432
# It ends on SIGTERM, and reaps the processes that scripts leave behind, as an init does.
_IDLE = ["bash", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"]


def key_of(state: Path) -> str:
    """Return what tells the containers of the state folder *state* from those of others."""
    return hashlib.sha256(str(state.absolute()).encode()).hexdigest()[:8]


class ContainerStack:
    """The containers of one state in two networks, as in a VPC: the database's, closed to the outside, and the bastion's.

    Args:
        engine: The engine.
        state: The state's folder; its `key_of` tells it from those of others.
        kept: Whether what is made stays when it is no longer used; its labels say so.

    Raises:
        TargetError: Each of its methods, when the engine cannot do it.
    """

    def __init__(self, engine: Engine, state: Path, *, kept: bool) -> None:
        self._engine = engine
        self._key = key_of(state)
        self._prefix = f"etl-manager-{self._key}"
        self._labels = {LABEL: self._key, FOLDER: str(state.absolute()), HOST: platform.node()}
        if kept:
            self._labels[KEPT] = "true"

    def name(self, role: str) -> str:
        """Return the name of the container or network for *role*."""
        return f"{self._prefix}-{role}"

    def make_networks(self) -> None:
        """Make the database's network, which nothing but its containers reaches into or out of, and the bastion's."""
        from testcontainers.core.network import Network

        for role, internal in (("database", True), ("operator", False)):
            words: dict[str, Any] = {"labels": dict(self._labels), "internal": internal}
            if internal and not self._engine.podman:
                words["options"] = _NO_HOST_ADDRESS
            network = Network(docker_client_kw=self._engine.client_words, docker_network_kw=words)
            network.name = self.name(role)
            with engine_errors(f"make the network {network.name}"):
                network.create()

    def make_postgres(self, image: str, user: str) -> Any:
        """Start the server in the database's network, with a password of its own; it may not be ready yet."""
        container = self._container(image, "postgres", "database", {USER: user})
        container.with_env("POSTGRES_USER", user).with_env("POSTGRES_PASSWORD_FILE", PASSWORD_FILE)
        # A file, since the environment of a container is shown to everybody who may look at it.
        container.with_copy_into_container(new_password().encode(), PASSWORD_FILE, 0o600)
        return self._start(container, image)

    def make_bastion(self, image: str, host: str, address: str) -> Any:
        """Start the bastion in both networks; *host* stands for the database's *address* in it."""
        container = self._container(image, "bastion", "operator", {ADDRESS: address}, extra_hosts={host: address})
        started = self._start(container.with_command(_IDLE), image)
        with engine_errors("put the bastion into the database's network"):
            self._engine.client.networks.get(self.name("database")).connect(started.id)
        return started

    def find(self, role: str, image: str, labels: Mapping[str, str]) -> Any | None:
        """Return the container that an earlier run kept for *role*, started if need be.

        None when there is none, or it is of another image or has other labels, or was taken out of its network.
        """
        with engine_errors("look for kept containers"):
            wanted = self._engine.client.images.get(image).id
            for container in self._containers():
                kept = (
                    container.name == self.name(role) and {KEPT: "true", **labels}.items() <= container.labels.items()
                )
                if kept and container.image.id == wanted:
                    container.start()
                    needed = {self.name("database"), *([self.name("operator")] if role == "bastion" else [])}
                    return container if needed <= addresses(container).keys() else None
        return None

    def remove_one(self, role: str) -> None:
        """Remove the container of *role*, if there is one."""
        with engine_errors("remove a container", remedy=f"By hand: {self.remove_commands()[0]}"):
            for container in self._containers():
                if container.name == self.name(role):
                    _gone(container.remove, v=True, force=True)

    def remove(self) -> None:
        """Remove every container and network of this state; harmless when there is none."""
        with engine_errors("remove the containers", remedy=f"By hand: {'; '.join(self.remove_commands())}"):
            for container in self._containers():
                _gone(container.remove, v=True, force=True)
            for network in self._engine.client.networks.list(filters={"label": f"{LABEL}={self._key}"}):
                _gone(network.remove)

    def sweep(self) -> None:
        """Remove what killed runs of other states left on this machine.

        A state whose lock is free is in use by no run.
        """
        ours = {"label": [LABEL, f"{HOST}={platform.node()}"]}
        with engine_errors("remove what killed runs left"):
            client = self._engine.client
            for container in client.containers.list(all=True, ignore_removed=True, filters=ours):
                if _orphaned(container.labels):
                    _gone(container.remove, v=True, force=True)
            for network in client.networks.list(filters=ours):
                if _orphaned(network.attrs.get("Labels") or {}):
                    _gone(network.remove)

    def remove_commands(self) -> list[str]:
        """Return the commands by which people remove everything."""
        program = self._engine.program
        return [
            f"{program} rm --force --volumes {self.name('postgres')} {self.name('bastion')}",
            f"{program} network rm {self.name('database')} {self.name('operator')}",
        ]

    def inspect_commands(self, user: str) -> list[str]:
        """Return the commands by which people look around; *user* is the cluster's superuser."""
        program = self._engine.program
        return [
            f"{program} exec -it {self.name('postgres')} psql -U {user} postgres",
            f"{program} exec -it {self.name('bastion')} bash",
            f"{program} logs {self.name('postgres')}",
        ]

    def _container(
        self, image: str, role: str, network: str, labels: dict[str, str] | None = None, **words: Any
    ) -> Any:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.network import Network

        attached = Network(docker_client_kw=self._engine.client_words)
        attached.name = self.name(network)
        return DockerContainer(
            image,
            docker_client_kw=self._engine.client_words,
            name=self.name(role),
            network=attached,
            labels={**self._labels, **(labels or {})},
            hostname=role,
            **words,
        )

    def _start(self, container: Any, image: str) -> Any:
        with engine_errors(f"start a container of {image}"):
            return container.start().get_wrapped_container()

    def _containers(self) -> Iterator[Any]:
        yield from self._engine.client.containers.list(
            all=True, ignore_removed=True, filters={"label": f"{LABEL}={self._key}"}
        )


def _orphaned(labels: Mapping[str, str]) -> bool:
    return KEPT not in labels and FOLDER in labels and not in_use(Path(labels[FOLDER]))


def _gone(remove: Any, **words: Any) -> None:
    import docker.errors

    with suppress(docker.errors.NotFound):
        remove(**words)


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
        self.host = ""
        self.user = options.master_username
        self.password = ""
        self.postgres: Any = None
        self.bastion: Any = None
        self._engine: Engine | None = None
        self._machines: ContainerStack | None = None
        self._keep = False  # until all of it runs: half of it is of no use
        super().__init__(options, (options.state / "container").absolute())

    def witness_conninfo(self, database: str) -> str | None:  # noqa: ARG002
        """Return None: the database is out of reach from here, which is what this target is for."""
        return None

    def _start(self, state: Path) -> None:
        loading = load()  # while the containers start
        self.host = f"{CLUSTER}.cluster-emulated.{self.region}.internal"
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
        self.aws = start(ContainerHost(engine.client, self.bastion.id), self, self._options)
        self._keep = self._options.keep

    def _stop(self) -> None:
        """Remove the containers, or keep them."""
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
