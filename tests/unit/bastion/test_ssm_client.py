"""Run Command as a client: what is a result, what is an error, what is borne, and what is never sent twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from etl_manager.errors import CommandError
from etl_manager.ssm.retry import Retry
from etl_manager.ssm.run_command import RunCommand
from etl_manager.ssm.script import MARK, Script

INSTANCE = "i-0123456789abcdef0"
COMMAND = "11111111-2222-3333-4444-555555555555"
SCRIPT = Script((), ["exit"], repeatable=True)
ASKED = {"CommandId": COMMAND, "InstanceId": INSTANCE}


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []

    def time(self) -> float:
        """Return the seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.pauses.append(seconds)
        self.now += seconds


class Aws(Stubber):
    """AWS's answers in their order; an answer that is not asked for fails the test."""

    def takes(self) -> Aws:
        """Take the command."""
        expected = {
            "InstanceIds": [INSTANCE],
            "DocumentName": "AWS-RunShellScript",
            "Comment": ANY,
            "TimeoutSeconds": ANY,
            "Parameters": ANY,
        }
        self.add_response("send_command", {"Command": {"CommandId": COMMAND}}, expected)
        return self

    def refuses(self, call: str, code: str, message: str = "", status: int = 400) -> Aws:
        """Answer *call* with an error."""
        self.add_client_error(call, code, message, http_status_code=status)
        return self

    def ends(self, code: int = 0, out: str = "", err: str = "") -> Aws:
        """Answer with the invocation of a script that exited with *code*."""
        digest = hashlib.sha256(out.encode()).hexdigest()
        marker = (
            f"token={'0' * 8} encoding=plain bytes={len(out)} sha256={digest} status={code} size={len(out)} remainder="
        )
        return self.shows("Failed" if code else "Success", code=code, out=f"{out}\n{MARK} {marker}\n", err=err)

    def shows(self, status: str, details: str | None = None, code: int = -1, out: str = "", err: str = "") -> Aws:
        """Answer with the invocation as it is then."""
        answer = {
            "Status": status,
            "StatusDetails": details or status,
            "ResponseCode": code,
            "StandardOutputContent": out,
            "StandardErrorContent": err,
        }
        self.add_response("get_command_invocation", answer, ASKED)
        return self


def runner(client: Any, clock: Clock) -> RunCommand:
    """Return the client under test, which waits by *clock*."""
    return RunCommand(client, INSTANCE, "/tmp/workspace", 20_000, Retry(clock=clock.time, sleep=clock.sleep))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client() -> Any:
    return boto3.client("ssm", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


@pytest.fixture
def aws(client) -> Iterator[Aws]:
    with Aws(client) as aws:
        yield aws
        aws.assert_no_pending_responses()


@pytest.fixture
def command(client, clock, monkeypatch) -> RunCommand:
    """The client under test; it waits by the test's clock, and its tokens are zeros."""
    monkeypatch.setattr("etl_manager.ssm.run_command.secrets.token_hex", lambda size: "0" * 2 * size)
    return runner(client, clock)


@pytest.mark.parametrize(("status", "code"), [("Success", 0), ("Failed", 1), ("Failed", 3), ("Failed", 64)])
def test_script_that_exited_is_a_result(aws, command, status, code):
    """A status other than zero is a result with its output: the caller judges it."""
    aws.takes().ends(code, out="printed", err="said")
    ran = command.run(SCRIPT, "purpose")
    assert (ran.command_id, ran.instance_id, ran.status) == (COMMAND, INSTANCE, status)
    assert (ran.exit_status, ran.stdout, ran.stderr) == (code, b"printed", "said")


def test_command_is_sent_with_its_limits_and_its_purpose(client, command):
    """SSM is told how long delivery and execution may take, and whom the command is from."""
    told: dict[str, Any] = {}
    client.meta.events.register("provide-client-params.ssm.SendCommand", lambda params, **_: told.update(params))
    with Aws(client) as aws:
        aws.takes().ends()
        command.run(SCRIPT, "a purpose")
    [text] = told["Parameters"]["commands"]
    assert text.startswith("#!/bin/bash\n")
    assert "main() {\nexit\n}" in text
    assert told["Parameters"]["executionTimeout"] == ["3600"]
    assert told["TimeoutSeconds"] == 120
    assert told["Comment"].startswith("etl-manager a purpose")
    assert len(told["Comment"]) <= 100


@pytest.mark.parametrize("status", ["Pending", "InProgress", "Delayed", "Cancelling"])
def test_command_under_way_is_waited_for(aws, command, status):
    """None of the unfinished statuses ends the wait, and each is shown."""
    seen: list[str] = []
    command.on_status = seen.append
    aws.takes().shows(status).shows(status).ends()
    assert command.run(SCRIPT, "purpose").status == "Success"
    assert [line.split(" · ")[:2] for line in seen] == [
        ["purpose", shown] for shown in ("sending", status, status, "Success")
    ]


def test_command_that_is_not_visible_yet_is_waited_for(aws, command):
    """SSM is eventually consistent: InvocationDoesNotExist right after sending is no error."""
    aws.takes()
    for _ in range(5):
        aws.refuses("get_command_invocation", "InvocationDoesNotExist")
    aws.ends(out="late")
    assert command.run(SCRIPT, "purpose").stdout == b"late"


def test_pauses_grow_from_a_tenth_of_a_second_and_stay_short(aws, command, clock):
    """A short command is seen at once, and a long one costs few calls: no pause is much over a tenth of the time so far."""
    aws.takes()
    for _ in range(40):
        aws.shows("InProgress")
    aws.ends()
    command.run(SCRIPT, "purpose")
    assert clock.pauses[0] == pytest.approx(0.1)
    assert clock.pauses == sorted(clock.pauses)
    assert 1 <= clock.pauses[-1] <= 5
    assert all(pause <= 0.1 + sum(clock.pauses[:index]) / 9.9 for index, pause in enumerate(clock.pauses))


NEVER_ENDED = [
    # AWS: monitor-commands.html, and what was observed (status, details, response code, what is known)
    ("TimedOut", "DeliveryTimedOut", -1, "it did not run"),
    ("TimedOut", "Delivery Timed Out", -1, "it did not run"),
    ("TimedOut", "ExecutionTimedOut", 137, "it may have run in part"),
    ("TimedOut", "Execution Timed Out", 137, "it may have run in part"),
    ("Failed", "Undeliverable", -1, "it may have run in part"),
    ("Failed", "Terminated", -1, "it may have run in part"),
    ("Failed", "InvalidPlatform", -1, "it may have run in part"),
    ("Failed", "AccessDenied", -1, "it may have run in part"),
    ("Failed", "Failed", -1, "it may have run in part"),
    ("Cancelled", "Cancelled", -1, "it may have run in part"),
    ("Cancelled", "Cancelled", 137, "it may have run in part"),
]


@pytest.mark.parametrize("shown", NEVER_ENDED, ids=lambda shown: " ".join(map(str, shown[:3])))
def test_command_that_did_not_run_to_its_end_is_an_error_that_says_what_is_known(aws, command, shown):
    """The error names command, instance and status, whether it may have run, and what to look at."""
    status, details, code, known = shown
    aws.takes().shows(status, details, code)
    with pytest.raises(CommandError) as lost:
        command.run(SCRIPT, "purpose")
    told = str(lost.value)
    for part in (known, COMMAND, INSTANCE, status, details.replace(" ", ""), "aws ssm describe-instance-information"):
        assert part in told


def test_throttled_calls_are_made_again(aws, command):
    """A throttled SendCommand had no effect and is sent again; a throttled look is taken again."""
    aws.refuses("send_command", "ThrottlingException", "Rate exceeded").takes()
    aws.refuses("get_command_invocation", "ThrottlingException", "Rate exceeded").ends()
    assert command.run(SCRIPT, "purpose").status == "Success"


def test_throttling_is_borne_for_about_a_minute(client, command, clock):
    """Then the run ends with an error that names the call, and not in an endless wait."""
    with Aws(client) as aws:
        for _ in range(200):
            aws.refuses("send_command", "ThrottlingException", "Rate exceeded")
        with pytest.raises(CommandError, match="AWS did not answer SendCommand"):
            command.run(SCRIPT, "purpose")
    assert 30 < clock.now - 1_000 < 120


REFUSED = {
    "InvalidInstanceId": "SSM agent online",
    "AccessDeniedException": "policy",
    "ExpiredTokenException": "Log in again",
    "UnrecognizedClientException": "profile",
}


@pytest.mark.parametrize("code", REFUSED)
def test_refusal_is_told_at_once_with_what_to_do(aws, command, code):
    """What no waiting helps against is not waited for."""
    aws.refuses("send_command", code, "AWS says so")
    with pytest.raises(CommandError) as refused:
        command.run(SCRIPT, "purpose")
    told = str(refused.value)
    assert f"AWS refused SendCommand: {code}" in told
    assert "AWS says so" in told
    assert REFUSED[code] in told


def test_ctrl_c_cancels_the_command(client, clock):
    """Whoever interrupts the run does not leave the command going on the bastion."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    cancelled: list[dict[str, Any]] = []
    client.meta.events.register("provide-client-params.ssm.CancelCommand", lambda params, **_: cancelled.append(params))
    clock.sleep = interrupt  # type: ignore[method-assign]
    command = runner(client, clock)
    with Aws(client) as aws:
        aws.takes()
        aws.add_response("cancel_command", {}, {"CommandId": COMMAND, "InstanceIds": [INSTANCE]})
        with pytest.raises(KeyboardInterrupt):
            command.run(SCRIPT, "purpose")
    assert cancelled == [{"CommandId": COMMAND, "InstanceIds": [INSTANCE]}]


def test_command_without_end_is_given_up_after_the_longest_time_it_may_take(client, command, clock):
    """An agent that is lost for good does not hold the run for ever."""
    with Aws(client) as aws:
        aws.takes()
        for _ in range(5_000):
            aws.shows("InProgress")
        with pytest.raises(CommandError, match="it may have run"):
            command.run(SCRIPT, "purpose")
    assert clock.now - 1_000 < 3_600 + 120 + 120
