"""The containers and networks of one state: made by testcontainers, found again by their label, removed together."""

from __future__ import annotations

import hashlib
import io
import secrets
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from etl_manager import redaction
from etl_manager.errors import TargetError
from etl_manager.targets import container_network
from etl_manager.targets.container_engine import Engine, asking

LABEL = "etl-manager.state"
KEPT = "etl-manager.kept"
ADDRESS = "etl-manager.database-address"
PORT = 5432
_BITING = ":\\'$ \"%@/#&"
"""Aurora passwords may hold any of these; each has broken somebody's quoting."""
_PASSWORD_FILE = "/run/etl-manager/password"  # noqa: S105  # its name
_START_SECONDS = 60
# It ends when it is told to, and takes in the processes that scripts leave behind, as an init does.
_IDLE = ["bash", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"]


def key_of(state: Path) -> str:
    """Return what tells the containers of the state folder *state* from those of others."""
    return hashlib.sha256(str(state.absolute()).encode()).hexdigest()[:8]


class Machines:
    """What belongs to one state on *engine*.

    Args:
        engine: The engine.
        key: Tells the states of one machine apart: `key_of` the state's folder.
        kept: Whether what is made stays when it is no longer used; noted on it, for whoever finds it.
    """

    def __init__(self, engine: Engine, key: str, *, kept: bool) -> None:
        self._engine = engine
        self._prefix = f"etl-manager-{key}"
        self._key = key
        self._labels = {LABEL: key, **({KEPT: "true"} if kept else {})}

    def name(self, role: str) -> str:
        """Return the name of the container or network for *role*."""
        return f"{self._prefix}-{role}"

    def make_networks(self) -> None:
        """Make the database's network and the bastion's.

        Raises:
            TargetError: When the engine cannot.
        """
        for role, internal in (("database", True), ("operator", False)):
            container_network.create(self._engine, self.name(role), self._labels, internal=internal)

    def make_postgres(self, image: str, user: str) -> Any:
        """Start the server in the database's network, with a password of its own; it may not be ready yet.

        Raises:
            TargetError: When the engine cannot.
        """
        password = secrets.token_hex(8) + _BITING + secrets.token_hex(8)
        redaction.register(password)
        container = self._container(image, "postgres", "database")
        container.with_env("POSTGRES_USER", user).with_env("POSTGRES_PASSWORD_FILE", _PASSWORD_FILE)
        # A file, since the environment of a container is shown to everybody who may look at it.
        container.with_copy_into_container(password.encode(), _PASSWORD_FILE, 0o600)
        return self._start(container, image)

    def make_bastion(self, image: str, host: str, address: str) -> Any:
        """Start the bastion in both networks; *host* stands for the database's *address* in it.

        Raises:
            TargetError: When the engine cannot.
        """
        container = self._container(image, "bastion", "operator", {ADDRESS: address}, extra_hosts={host: address})
        started = self._start(container.with_command(_IDLE), image)
        with asking("put the bastion into the database's network"):
            self._engine.client.networks.get(self.name("database")).connect(started.id)
        return started

    def wait_for(self, postgres: Any) -> None:
        """Wait until the server takes connections over the network.

        Raises:
            TargetError: When it ends, or does not come up in time; it quotes the server's log.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not _takes_connections(postgres):
            with asking("look at the database's container"):
                postgres.reload()
                log = postgres.logs(tail=5).decode(errors="replace").strip()
            if postgres.status != "running" or time.monotonic() > deadline:
                raise TargetError(
                    f"PostgreSQL does not come up in its container ({postgres.status})", remedy=redaction.redact(log)
                )
            time.sleep(0.05)

    def password(self, postgres: Any) -> str:
        """Return the password that the server was made with.

        Raises:
            TargetError: When it cannot be read.
        """
        with asking("read the password of the database"):
            stream, _ = postgres.get_archive(_PASSWORD_FILE)
            content = io.BytesIO(b"".join(stream))
        with tarfile.open(fileobj=content) as tar:
            file = tar.extractfile(_PASSWORD_FILE.rpartition("/")[2])
            password = file.read().decode() if file else ""
        redaction.register(password)
        return password

    def find(self, role: str, image: str) -> Any | None:
        """Return the container that an earlier run kept for *role*, started if need be.

        None when there is none, or it is of another image than *image*, or was taken out of its network.

        Raises:
            TargetError: When the engine cannot start it.
        """
        with asking("look for kept containers"):
            wanted = self._engine.client.images.get(image).id
            for container in self._containers():
                if container.name == self.name(role) and container.labels.get(KEPT) and container.image.id == wanted:
                    container.start()
                    here = {self.name("database"), *([self.name("operator")] if role == "bastion" else [])}
                    return container if here <= container_network.addresses(container).keys() else None
        return None

    def remove_one(self, role: str) -> None:
        """Remove the container of *role*, if there is one.

        Raises:
            TargetError: When the engine cannot.
        """
        with asking("remove a container", remedy=f"By hand: {self.removal()[0]}"):
            for container in self._containers():
                if container.name == self.name(role):
                    _gone(container.remove, v=True, force=True)

    def remove(self) -> None:
        """Remove every container and network of this state; harmless when there is none.

        Raises:
            TargetError: When the engine cannot.
        """
        with asking("remove the containers", remedy=f"By hand: {'; '.join(self.removal())}"):
            for container in self._containers():
                _gone(container.remove, v=True, force=True)
            for network in self._engine.client.networks.list(filters={"label": f"{LABEL}={self._key}"}):
                _gone(network.remove)

    def removal(self) -> list[str]:
        """Return the commands by which people remove everything."""
        program = self._engine.program
        return [
            f"{program} rm --force --volumes {self.name('postgres')} {self.name('bastion')}",
            f"{program} network rm {self.name('database')} {self.name('operator')}",
        ]

    def looking(self, user: str) -> list[str]:
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
        with asking(f"start a container of {image}"):
            return container.start().get_wrapped_container()

    def _containers(self) -> Iterator[Any]:
        yield from self._engine.client.containers.list(
            all=True, ignore_removed=True, filters={"label": f"{LABEL}={self._key}"}
        )


def _takes_connections(postgres: Any) -> bool:
    """Return whether the server is up, by what the container itself says: from here it cannot be reached."""
    import docker.errors

    try:
        return bool(postgres.exec_run(["pg_isready", "-q", "-h", "127.0.0.1"]).exit_code == 0)
    except docker.errors.APIError:  # the container has ended
        return False


def _gone(remove: Any, **words: Any) -> None:
    import docker.errors

    with suppress(docker.errors.NotFound):
        remove(**words)
