"""The bastion's agent while a command runs: one that is lost never reports the command's end.

SSM keeps such a command InProgress until it expires, an hour and more (AWS: user guide, "Understanding command
statuses"), and says ConnectionLost of the agent once it has missed its pings for minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

FIRST_LOOK, NEXT_LOOK = 5.0, 5.0
"""Seconds from the command's start to the first look at its agent, and between two looks."""
LOST_SECONDS = 10.0
"""How long an agent must have been seen lost before it is given up: a reboot, or a moment's silence, passes."""


@dataclass
class AgentWatch:
    """Looks at the agent of one instance now and then; *clock* gives seconds.

    Attributes:
        status: What SSM said of the agent last; empty before the first look.
    """

    client: Any
    instance_id: str
    clock: Callable[[], float]
    status: str = ""
    _due: float = 0.0
    _lost_since: float | None = None

    def __post_init__(self) -> None:
        """Count from now."""
        self._due = self.clock() + FIRST_LOOK

    def lost(self) -> bool:
        """Return whether the agent is lost for good, as far as that can be known; looks when it is time to."""
        now = self.clock()
        if now < self._due:
            return False
        self._due = now + NEXT_LOOK
        if (status := self._ask()) is not None:
            self.status = status
            self._lost_since = None if status == "Online" else self._lost_since or now
        return self._lost_since is not None and now - self._lost_since >= LOST_SECONDS

    def _ask(self) -> str | None:
        """Return the agent's PingStatus; None when there is no answer, which says nothing of the agent."""
        try:
            answer = self.client.describe_instance_information(
                Filters=[{"Key": "InstanceIds", "Values": [self.instance_id]}]
            )
        except (BotoCoreError, ClientError):
            return None
        nodes = answer["InstanceInformationList"]
        return str(nodes[0]["PingStatus"]) if nodes else "stopped or terminated"
