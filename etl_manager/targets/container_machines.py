"""The containers and networks of one state: made by testcontainers, found again by their label, removed together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from etl_manager.targets import container_network
from etl_manager.targets.container_engine import Engine, asking
from etl_manager.targets.container_postgres import PASSWORD_FILE, new_password

LABEL = "etl-manager.state"
KEPT = "etl-manager.kept"
USER = "etl-manager.user"
ADDRESS = "etl-manager.database-address"
PORT = 5432
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
        container = self._container(image, "postgres", "database", {USER: user})
        container.with_env("POSTGRES_USER", user).with_env("POSTGRES_PASSWORD_FILE", PASSWORD_FILE)
        # A file, since the environment of a container is shown to everybody who may look at it.
        container.with_copy_into_container(new_password().encode(), PASSWORD_FILE, 0o600)
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

    def find(self, role: str, image: str, labels: Mapping[str, str]) -> Any | None:
        """Return the container that an earlier run kept for *role*, started if need be.

        None when there is none, or it is of another image or has other labels, or was taken out of its network.

        Raises:
            TargetError: When the engine cannot start it.
        """
        with asking("look for kept containers"):
            wanted = self._engine.client.images.get(image).id
            for container in self._containers():
                kept = (
                    container.name == self.name(role) and {KEPT: "true", **labels}.items() <= container.labels.items()
                )
                if kept and container.image.id == wanted:
                    container.start()
                    needed = {self.name("database"), *([self.name("operator")] if role == "bastion" else [])}
                    return container if needed <= container_network.addresses(container).keys() else None
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


def _gone(remove: Any, **words: Any) -> None:
    import docker.errors

    with suppress(docker.errors.NotFound):
        remove(**words)
