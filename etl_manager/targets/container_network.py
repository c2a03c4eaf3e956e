"""Two networks, as in the user's VPC: the database's own, which nothing outside reaches, and the bastion's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etl_manager.targets.container_engine import Engine, asking

# Docker's bridge has an address of the host in every network, also in an internal one, and the host could go in by
# it (Docker docs, "Bridge network driver", options). Podman gives an internal bridge none, and refuses the option.
_NO_HOST_ADDRESS = {"com.docker.network.bridge.inhibit_ipv4": "true"}


def create(engine: Engine, name: str, labels: Mapping[str, str], *, internal: bool) -> Any:
    """Make the network *name* by testcontainers; *internal*: nothing but its containers reaches into it or out of it.

    Raises:
        TargetError: When the engine cannot make it.
    """
    from testcontainers.core.network import Network

    words: dict[str, Any] = {"labels": dict(labels), "internal": internal}
    if internal and not engine.podman:
        words["options"] = _NO_HOST_ADDRESS
    network = Network(docker_client_kw=engine.client_words, docker_network_kw=words)
    network.name = name
    with asking(f"make the network {name}"):
        return network.create()


def addresses(container: Any) -> dict[str, str]:
    """Return the container's address in each network it is in, asked anew."""
    with asking("tell the addresses of a container"):
        container.reload()
    networks: Mapping[str, Mapping[str, Any]] = container.attrs["NetworkSettings"]["Networks"]
    return {name: str(part["IPAddress"]) for name, part in networks.items() if part.get("IPAddress")}
