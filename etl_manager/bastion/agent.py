"""The bastion's agent while a command runs: one that is lost never reports the command's end.

SSM keeps such a command InProgress until it expires, an hour and more (AWS: user guide, "Understanding command
statuses"), and says ConnectionLost of the agent once it has missed its pings for minutes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from etl_manager.bastion.calls import Calls, Sent
from etl_manager.bastion.verdict import ended

ONLINE = "Online"
LOOKS = 10
"""How often the agent is asked for before it is given up."""


class Agent:
    """Watches over the command *sent*."""

    def __init__(self, client: Any, calls: Calls, sent: Sent) -> None:
        self._client = client
        self._calls = calls
        self._sent = sent
        self._asked = self._online = 0.0
        self._status = ONLINE

    def remark(self, waited: float) -> str:
        """Ask now and then, *waited* seconds after the command was sent, and return what to add to its status.

        Raises:
            CommandError: When the agent was not online for too long; the command is cancelled, as well as that goes.
        """
        patience = self._calls.waiting.agent
        if waited - self._asked >= patience / LOOKS:
            self._asked, self._status = waited, self._ping()
            if self._status == ONLINE:
                self._online = waited
            elif waited - self._online >= patience:
                self._give_up()
        return "" if self._status == ONLINE else f" · agent {self._status}"

    def _ping(self) -> str:
        wanted = [{"Key": "InstanceIds", "Values": [self._sent.instance_id]}]
        try:
            nodes = self._client.describe_instance_information(Filters=wanted)["InstanceInformationList"]
        except (BotoCoreError, ClientError):
            return self._status  # no answer is no proof of anything
        return str(nodes[0]["PingStatus"]) if nodes else "not a managed node"

    def _give_up(self) -> None:
        with suppress(BotoCoreError, ClientError):
            self._client.cancel_command(CommandId=self._sent.command_id, InstanceIds=[self._sent.instance_id])
        self._calls.reachable = False
        raise ended(
            self._sent,
            self._sent.status,
            f"the agent of the bastion is lost ({self._status}) and will not tell how it ended; it was cancelled for "
            "when the agent is back",
            may_have_run=True,
        )
