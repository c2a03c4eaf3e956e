"""Where the database is, and with which credentials: discovery finds it, and the bastion gets it encrypted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from etl_manager import redaction
from etl_manager.errors import DiscoveryError


@dataclass(frozen=True)
class Credentials:
    """User and password. The password is in no repr, and masked everywhere from here on."""

    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        """Register the password as a secret; refuse what a pgpass file cannot hold."""
        if any(character in self.user + self.password for character in "\n\r\0"):
            raise DiscoveryError(
                "The user name or password holds a line break or NUL, which PostgreSQL's password file cannot carry",
                hint="Rotate the secret to a password without control characters.",
            )
        redaction.register(self.password)

    def current(self) -> Credentials:
        """Return these credentials: a password does not expire."""
        return self


TOKEN_RENEWAL_SECONDS = 600
"""The age at which an IAM token is renewed. It is valid for 15 minutes (AWS: Aurora user guide, "IAM database
authentication"); the rest is for the command to be delivered and to connect. An open connection outlives its token."""


class TokenCredentials:
    """Credentials whose password is an IAM token, renewed when it is older than `TOKEN_RENEWAL_SECONDS`.

    Args:
        user: The database user; it needs the role ``rds_iam``.
        make: Makes a token.
        clock: Returns wall-clock seconds: AWS counts a token's age also while this machine sleeps.
    """

    def __init__(self, user: str, make: Callable[[], str], clock: Callable[[], float] = time.time) -> None:
        self.user = user
        self._make = make
        self._clock = clock
        self._made: tuple[float, Credentials] | None = None

    def current(self) -> Credentials:
        """Return credentials that are valid for a command sent now."""
        now = self._clock()
        if self._made is None or not 0 <= now - self._made[0] < TOKEN_RENEWAL_SECONDS:
            self._made = (now, Credentials(self.user, self._make()))
        return self._made[1]


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to connect to the database."""

    host: str
    port: int
    credentials: Credentials | TokenCredentials
    sslmode: str = "prefer"
    ca_bundle: str | None = None
