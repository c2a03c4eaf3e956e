"""From where a PostgreSQL server answers: the operator's machine must find no way but the one through the bastion."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass

_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""Asks a server whether it takes TLS (PostgreSQL manual, "Message Formats"): it answers S or N before anything else."""


@dataclass(frozen=True)
class Address:
    """A host, by name or by number, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.host}:{self.port}"


def reachable(addresses: Iterable[Address], timeout: float = 3.0) -> list[Address]:
    """Return at which of *addresses* a PostgreSQL server answers this machine within *timeout* seconds each.

    An open port alone is no answer: on the way out of some networks a proxy takes every connection.
    """
    return [address for address in addresses if _answers(address, timeout)]


def _answers(address: Address, timeout: float) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_connection((address.host, address.port), timeout) as connection,
    ):
        connection.sendall(_SSL_REQUEST)
        return connection.recv(1) in {b"S", b"N"}
    return False
