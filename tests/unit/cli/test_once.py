"""A command of the user's runs at most once, also where SSM was given it twice."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from etl_manager import config
from etl_manager.errors import CommandError
from etl_manager.progress import NullProgress
from etl_manager.provisioning.startup import open_bastion
from etl_manager.ssm.retry import Timeouts
from etl_manager.targets import TargetOptions
from etl_manager.targets.aws import AwsTarget

COUNTED = "touch /tmp/started; sleep 1; echo ran >>/tmp/count; echo whole output"


@pytest.fixture
def counted(service):
    """The service; what the command of these tests left is removed before and after."""
    names = ("started", "count")
    for name in names:
        (service.tmp / name).unlink(missing_ok=True)
    yield service
    for name in names:
        (service.tmp / name).unlink(missing_ok=True)


def finished(ssm: Any, command_id: str, instance_id: str) -> dict[str, Any]:
    """Wait for the end of a command."""
    while True:
        time.sleep(0.1)
        answer = ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id)
        if answer["Status"] not in {"Pending", "InProgress"}:
            return answer


def test_a_second_delivery_is_refused_while_it_runs_and_afterwards(counted):
    """Whoever sends the very same command again, from SSM's history: the run's key is gone, and with it the right."""
    ssm = counted.client("ssm")
    process = counted.start("-p", "aurora-postgresql", "--bastion-command", COUNTED)
    while not (counted.tmp / "started").exists():
        assert process.poll() is None
        time.sleep(0.02)
    [first, *_] = counted.commands()
    again = {
        "InstanceIds": first["InstanceIds"],
        "DocumentName": first["DocumentName"],
        "Parameters": first["Parameters"],
    }
    during = ssm.send_command(**again)["Command"]["CommandId"]
    answer = finished(ssm, during, first["InstanceIds"][0])
    assert "status=77" in answer["StandardOutputContent"]
    stdout, _ = process.communicate(timeout=30)
    assert b"whole output\n" in stdout
    assert process.returncode == 0
    answer = finished(ssm, ssm.send_command(**again)["Command"]["CommandId"], first["InstanceIds"][0])
    assert "status=77" in answer["StandardOutputContent"]
    assert (counted.tmp / "count").read_text() == "ran\n"
    assert {path.name for path in counted.tmp.iterdir()} == {"workspace", "started", "count"}


@dataclass
class Forgetful:
    """SSM, as it is when an answer is lost and the command is not listed yet: the second sending is the way it goes.

    Args:
        client: What really answers.
        blind: Whether the list stays empty for good.
        begun: A file that the first one makes: it is under way when the second is sent.
    """

    client: Any
    blind: bool
    begun: Path
    sent: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def send_command(self, **words: Any) -> Any:
        """Send, and lose the answer to the second command."""
        while len(self.sent) == 2 and not self.begun.exists():
            time.sleep(0.02)
        answer = self.client.send_command(**words)
        self.sent.append(answer["Command"]["CommandId"])
        if len(self.sent) == 2:
            raise ConnectionClosedError(endpoint_url="ssm")
        return answer

    def list_commands(self, **words: Any) -> Any:
        """List nothing until it was sent again."""
        return {"Commands": []} if self.blind or len(self.sent) < 3 else self.client.list_commands(**words)


@pytest.fixture
def forgetful(counted, monkeypatch):
    """Return a function that opens a bastion behind such an SSM."""
    for name, value in counted.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    loaded = config.load(counted.project / "config.json", counted.project)
    if not (counted.tmp / "workspace").exists():  # a transfer would be the second command
        counted.run("--bastion-command", "true")

    def open_(*, blind: bool) -> Any:
        target = AwsTarget(TargetOptions(region="us-east-1"))
        found, bastion = open_bastion(loaded, target, skip_copy=False, progress=NullProgress(), warn=print)
        bastion.run_command.retry.timeouts = Timeouts(lookup_delays=(0.1, 0.2))
        bastion.run_command.client = Forgetful(bastion.run_command.client, blind, counted.tmp / "started")
        return found.connection, bastion

    return open_


def test_the_output_of_the_one_that_ran_is_shown(forgetful, counted):
    """Sent twice, run once: its output, exit status and command id are those of the one that ran."""
    connection, bastion = forgetful(blind=False)
    result, step = bastion.run_user_command(COUNTED, connection)
    sent = bastion.run_command.client.sent
    assert len(sent) == 3
    assert result.command_id in sent[1:]
    assert (step.exit_code, step.stdout) == (0, "whole output\n")
    assert (counted.tmp / "count").read_text() == "ran\n"
    bastion.close()
    assert {path.name for path in counted.tmp.iterdir()} == {"workspace", "started", "count"}


def test_where_it_cannot_be_found_that_is_told(forgetful, counted):
    """Run once all the same; the error says so, and where its output will be."""
    connection, bastion = forgetful(blind=True)
    with pytest.raises(CommandError, match="it runs once") as caught:
        bastion.run_user_command(COUNTED, connection)
    assert "aws ssm list-commands" in str(caught.value)
    finished(counted.client("ssm"), bastion.run_command.client.sent[1], bastion.run_command.instance_id)
    assert (counted.tmp / "count").read_text() == "ran\n"
    bastion.close()
