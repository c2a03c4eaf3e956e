"""One command: it runs at most once, its result is told from its loss, and its whole output comes back."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from etl_manager.errors import CommandError
from etl_manager.provisioning.startup import start_run
from etl_manager.ssm.retry import Retry, Timeouts
from etl_manager.ssm.run_command import RunCommand
from etl_manager.ssm.script import Script
from tests.support import aws
from tests.support.aws import Account
from tests.support.runs import BRIEF, project

COUNTED = "echo ran >>/tmp/count"


@dataclass
class Client:
    """SSM as it is in front of *account*, with what a test does to its answers.

    Args:
        account: What really answers.
        lost: How many answers to SendCommand are lost, and by what.
        blind: How often ListCommands shows nothing yet.
    """

    account: Account
    lost: list[Exception] = field(default_factory=list)
    blind: int = 0
    sends: int = 0
    looks: int = 0

    def __post_init__(self) -> None:
        """Make the client below."""
        self.below = self.account.client("ssm", attempts=1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)

    def send_command(self, **words: Any) -> Any:
        """Send, and lose the answer where that is wanted."""
        answer = self.below.send_command(**words)
        self.sends += 1
        if self.lost:
            raise self.lost.pop(0)
        return answer

    def list_commands(self, **words: Any) -> Any:
        """List, later."""
        self.looks += 1
        return {"Commands": []} if self.looks <= self.blind else self.below.list_commands(**words)


RESET = ConnectionClosedError(endpoint_url="ssm")
TIMEOUT = ReadTimeoutError(endpoint_url="ssm")
BROKEN = ClientError(
    {"Error": {"Code": "InternalServerError"}, "ResponseMetadata": {"HTTPStatusCode": 500}},  # type: ignore[typeddict-item]
    "SendCommand",
)


@pytest.fixture(scope="module")
def calm(postgres, tmp_path_factory) -> Iterator[Account]:
    """An account without faults, which these tests share."""
    with aws.accounts(tmp_path_factory.mktemp("calm"), postgres) as open_:
        yield open_()


@pytest.fixture
def channel(calm):
    """Return a function that opens a run over a client."""
    (calm.tmp / "count").unlink(missing_ok=True)

    def open_(client: Any = None, timeouts: Timeouts = BRIEF, **more: Any) -> RunCommand:
        retry = Retry(timeouts=timeouts)
        made = RunCommand(Client(calm), calm.aws.instance_id, "/tmp/workspace", 20_000, retry, **more)
        made.run(Script((), [":"], repeatable=True), "open")
        made.client = client or made.client
        return made

    return open_


def runs(account: Account) -> str:
    """Return what the counted command left."""
    path = account.tmp / "count"
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("lost", [RESET, TIMEOUT, BROKEN], ids=["reset", "timeout", "500"])
def test_command_whose_answer_was_lost_is_found_and_not_sent_again(channel, calm, lost):
    """ListCommands lags behind: it is looked at several times before a command is sent again."""
    client = Client(calm, lost=[lost], blind=len(BRIEF.lookup_delays) - 1)
    ran = channel(client).run(Script((), [f"{COUNTED}; echo said"]), "counted")
    assert (ran.exit_status, ran.stdout, client.sends) == (0, b"said\n", 1)
    assert runs(calm) == "ran\n"


def test_command_sent_twice_runs_once_and_its_output_is_that_of_the_one_that_ran(channel, calm):
    """Where SSM did not show the first in time, the second finds the token claimed; the first one's result is taken."""
    client = Client(calm, lost=[RESET], blind=len(BRIEF.lookup_delays))
    ran = channel(client).run(Script((), [f"{COUNTED}; echo said; (exit 5)"]), "counted")
    assert (ran.exit_status, ran.stdout, client.sends) == (5, b"said\n", 2)
    assert runs(calm) == "ran\n"


def test_command_that_comes_when_the_run_is_over_does_nothing(channel, calm):
    """A command that SSM delivers late, after the clean-up, is refused: no folder, no effect."""
    late = channel()
    late.run(Script((), [], closing=True, repeatable=True), "clean up")
    with pytest.raises(CommandError, match=r"folder .* is gone, and nothing was run"):
        late.run(Script((), [COUNTED]), "counted")
    assert runs(calm) == ""


def test_other_command_that_cannot_be_found_is_told(channel, calm):
    """It ran once; where its output will be is in the message."""
    client = Client(calm, lost=[RESET], blind=1000)
    with pytest.raises(CommandError, match="it runs once, the other time") as caught:
        channel(client).run(Script((), [COUNTED]), "counted")
    assert "aws ssm list-commands" in caught.value.hint
    assert runs(calm) == "ran\n"


def test_throttled_call_is_made_again_without_a_look(channel, calm):
    """A throttled SendCommand had no effect: nobody need look for it."""
    throttled = ClientError({"Error": {"Code": "ThrottlingException"}}, "SendCommand")
    client = Client(calm)
    refusals = [throttled, throttled]

    def send_command(**words: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return client.below.send_command(**words)

    client.send_command = send_command  # type: ignore[method-assign]
    assert channel(client).run(Script((), ["echo said"]), "throttled").stdout == b"said\n"
    assert client.looks == 0


def test_exit_status_is_a_result_and_a_lost_marker_is_none(channel):
    """A script that fails has a result; one whose end marker is missing was cut off."""
    made = channel()
    assert made.run(Script((), ["return 9"]), "nine").exit_status == 9
    with pytest.raises(CommandError, match="without its end marker \\(exit status 4\\): woe"):
        made.run(Script((), ["echo woe >&2; exit 4"]), "cut off")


def test_output_of_another_command_is_refused(channel, calm):
    """An earlier output, whole and with its own end marker, is not taken for that of this command."""
    client = Client(calm)
    made = channel(client)
    made.run(Script((), ["echo five rows"]), "earlier")
    earlier = client.get_command_invocation(
        CommandId=calm.commands()[-1]["CommandId"], InstanceId=calm.aws.instance_id
    )["StandardOutputContent"]

    def replayed(**words: Any) -> Any:
        answer = client.below.get_command_invocation(**words)
        return answer | {"StandardOutputContent": earlier if answer["StandardOutputContent"] else ""}

    client.get_command_invocation = replayed  # type: ignore[attr-defined]
    with pytest.raises(CommandError, match="the output of another command") as caught:
        made.run(Script((), ["echo no rows"]), "later")
    assert calm.commands()[-1]["CommandId"] in str(caught.value)


@pytest.mark.parametrize("moment", ["sent", "under way"])
def test_interrupt_cancels_the_command(channel, calm, moment):
    """Ctrl-C, also while SendCommand has not answered yet: nothing goes on running on the bastion."""
    begun = calm.tmp / "begun"
    begun.unlink(missing_ok=True)
    client = Client(calm)
    made = channel(client)

    def interrupted(**words: Any) -> Any:
        if moment == "sent":
            client.below.send_command(**words)
        while not begun.exists():
            time.sleep(0.02)
        client.get_command_invocation = client.below.get_command_invocation  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    if moment == "sent":
        client.send_command = interrupted  # type: ignore[method-assign]
    else:
        client.get_command_invocation = interrupted  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        made.run(Script((), ["touch /tmp/begun; sleep 60; touch /tmp/ended"]), "long")
    assert calm.commands()[-1]["Status"] == "Cancelled"
    assert calm.idle()


def test_agent_that_is_away_is_told_and_one_that_comes_back_is_waited_for(channel, calm):
    """The status says that the agent is lost; when it is back in time the command has its result."""
    seen: list[str] = []
    agent = calm.aws.agents[calm.aws.instance_id]

    def on_status(line: str) -> None:
        seen.append(line.rpartition(" · ")[0])
        lost = "away · InProgress · agent ConnectionLost" in seen
        agent.online = lost or seen[-1] != "away · InProgress"
        if lost and seen[-1] == "away · InProgress":
            calm.host.path("/tmp/back").touch()

    made = channel(timeouts=Timeouts(poll_pauses=BRIEF.poll_pauses, agent_timeout=3.0), on_status=on_status)
    ran = made.run(Script((), ["until [[ -e /tmp/back ]]; do sleep 0.05; done; echo back"]), "away")
    assert ran.stdout == b"back\n"
    assert "away · InProgress" in seen[seen.index("away · InProgress · agent ConnectionLost") :]


def test_comment_is_kept_within_what_ssm_takes(channel, calm):
    """A long title is cut, the token at its end is not."""
    channel().run(Script((), [":"]), "x" * 200)
    comment = calm.commands()[-1]["Comment"]
    assert len(comment) == 100
    assert comment.endswith("]")


def test_step_reaches_boto3_in_few_frames(account):
    """From a step down: the run, the session, RunCommand, and then AWS's library; nothing that only passes on."""
    config = project()
    run = start_run(config, account(), verify_only=False, warn=print, timeouts=BRIEF)
    ways: dict[str, list[str]] = {}

    def note(params: dict[str, Any], **_: Any) -> None:
        frames = [frame.f_globals["__name__"] for frame, _ in traceback.walk_stack(None)][::-1]
        ways[params["Comment"].partition(" [")[0]] = [name for name in frames if name.startswith("etl_manager.")]

    run.sql_runner.bastion.run_command.client.meta.events.register("provide-client-params.ssm.SendCommand", note)
    for phase in config.phases:
        run.ensure(phase.name)
    run.rerun_all_phases()
    run.close()
    for purpose in (*(f"phase {phase.name}" for phase in config.phases), "all phases again"):
        way = ways[f"etl-manager {purpose}"]
        assert len(way) <= 6, way
        assert list(dict.fromkeys(way)) == [
            "etl_manager.provisioning.run",
            "etl_manager.provisioning.sql_runner",
            "etl_manager.bastion.session",
            "etl_manager.ssm.run_command",
        ]
