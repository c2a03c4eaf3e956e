"""Each fault shows what AWS shows on such a day."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from ssm_emulator.faults import FaultError, FaultInjector, fault_descriptions


def code_of(failed) -> str:
    return failed.value.response["Error"]["Code"]


def verdict(seen) -> tuple[str, str, int]:
    return seen["Status"], seen["StatusDetails"], seen["ResponseCode"]


def test_throttle(emulate):
    """Every second call is throttled, of SSM and of the query protocol, each with its own code."""
    bastion = emulate("throttle=2")
    bastion.ssm.list_commands()
    with pytest.raises(ClientError) as failed:
        bastion.ssm.list_commands()
    assert code_of(failed) == "ThrottlingException"
    sts = bastion.client("sts")
    sts.get_caller_identity()
    with pytest.raises(ClientError) as failed:
        sts.get_caller_identity()
    assert code_of(failed) == "Throttling"


def test_throttle_of_one_action(emulate):
    """Only the calls of that action are throttled."""
    bastion = emulate("throttle=1:ListCommands")
    bastion.ssm.describe_instance_information()
    with pytest.raises(ClientError) as failed:
        bastion.ssm.list_commands()
    assert code_of(failed) == "ThrottlingException"
    bastion.ssm.describe_instance_information()


def test_credentials_that_expire_with_an_action(emulate):
    """From the second call of the action on, every call of any action is refused."""
    bastion = emulate("expired-credentials=2:ListCommands")
    bastion.ssm.list_commands()
    bastion.ssm.describe_instance_information()
    for call in (bastion.ssm.list_commands, bastion.ssm.describe_instance_information):
        with pytest.raises(ClientError) as failed:
            call()
        assert code_of(failed) == "ExpiredTokenException"


def test_faults_of_s3_are_told_as_s3_does(emulate):
    """Its actions have the names of their methods, and its errors are XML of its own."""
    s3 = emulate("throttle=2:PutObject").client("s3")
    s3.create_bucket(Bucket="depot", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with pytest.raises(ClientError) as failed:
        s3.put_object(Bucket="depot", Key="key", Body=b"content")
    assert code_of(failed) == "Throttling"
    s3.put_object(Bucket="depot", Key="key", Body=b"content")
    assert s3.get_object(Bucket="depot", Key="key")["Body"].read() == b"content"


def test_throttle_by_chance_can_be_repeated():
    """The same seed throttles the same calls, another seed others."""

    def course(seed: str) -> list[bool]:
        injector = FaultInjector([f"throttle=0.5/{seed}"])
        met = []
        for _ in range(64):
            try:
                injector.before("SendCommand")
            except Exception:  # noqa: BLE001  # whichever it is
                met.append(True)
            else:
                met.append(False)
        return met

    assert course("7") == course("7")
    assert course("7") != course("8")
    assert 10 < sum(course("7")) < 54


def test_invisible(emulate):
    """The command is not there for the time named, and then it is, finished meanwhile."""
    bastion = emulate("invisible=0.6")
    command = bastion.send("touch /tmp/ran")
    assert bastion.eventually((bastion.root / "tmp/ran").exists)
    with pytest.raises(ClientError) as failed:
        bastion.look(command)
    assert code_of(failed) == "InvocationDoesNotExist"
    assert bastion.wait(command)["Status"] == "Success"


def test_delayed(emulate):
    """The invocation is Delayed first; the command, which knows no such status, is InProgress."""
    bastion = emulate("delayed=0.5")
    command = bastion.send("true")
    assert bastion.wait(command, lambda _: True)["Status"] == "Delayed"
    assert bastion.ssm.list_commands(CommandId=command)["Commands"][0]["Status"] == "InProgress"
    assert bastion.wait(command)["Status"] == "Success"


def test_refused(emulate):
    """Only the second command is Pending for a while; then it is delivered and runs."""
    bastion = emulate("refused=1@2")
    assert bastion.run("true")["Status"] == "Success"
    command = bastion.send("touch /tmp/ran")
    assert bastion.wait(command, lambda _: True)["Status"] == "Pending"
    assert not (bastion.root / "tmp/ran").exists()
    assert bastion.wait(command)["Status"] == "Success"


def test_refused_until_the_time_for_delivery_is_over(emulate):
    """It did not run."""
    bastion = emulate("refused=300", "delivery-timeout=0.2")
    assert verdict(bastion.run("touch /tmp/ran")) == ("TimedOut", "DeliveryTimedOut", -1)
    assert not (bastion.root / "tmp/ran").exists()


@pytest.mark.parametrize("cancelled", [False, True])
def test_queued(emulate, cancelled):
    """It is InProgress and has not begun; it runs, also where it is cancelled meanwhile."""
    bastion = emulate("queued=1@1")
    command = bastion.send("sleep 0.5; touch /tmp/ran")
    bastion.wait(command, lambda seen: seen["Status"] == "InProgress")
    if cancelled:
        bastion.ssm.cancel_command(CommandId=command)
        assert bastion.look(command)["Status"] == "Cancelling"
    assert not (bastion.root / "tmp/ran").exists()
    assert verdict(bastion.wait(command)) == ("Success", "Success", 0)
    assert (bastion.root / "tmp/ran").exists()


def test_delivery_timeout(emulate):
    """Only the second command is not delivered; it did not run."""
    bastion = emulate("delivery-timeout=0.2@2")
    assert bastion.run("true")["Status"] == "Success"
    assert verdict(bastion.run("touch /tmp/ran")) == ("TimedOut", "DeliveryTimedOut", -1)
    assert not (bastion.root / "tmp/ran").exists()


def test_execution_timeout(emulate):
    """The command is killed whatever time was asked for."""
    bastion = emulate("execution-timeout=0.3")
    assert verdict(bastion.run("echo out; sleep 300", executionTimeout="3600")) == (
        "TimedOut",
        "ExecutionTimedOut",
        137,
    )


def test_undeliverable(emulate):
    """Only the second command is undeliverable, and it did not run."""
    bastion = emulate("undeliverable=2")
    assert bastion.run("true")["Status"] == "Success"
    assert verdict(bastion.run("touch /tmp/ran")) == ("Failed", "Undeliverable", -1)
    assert bastion.run("ls /tmp")["StandardOutputContent"] == ""


def test_undeliverable_but_ran(emulate):
    """The same answer, with empty outputs, but the script runs to its end."""
    bastion = emulate("undeliverable-ran=1")
    seen = bastion.run("echo out; sleep 0.5; touch /tmp/ran")
    assert verdict(seen) == ("Failed", "Undeliverable", -1)
    assert bastion.eventually((bastion.root / "tmp/ran").exists)
    assert bastion.look(seen["CommandId"]) | {"ResponseMetadata": 0} == seen | {"ResponseMetadata": 0}


def test_agent_lost(emulate):
    """The script is killed, the command stays InProgress, the node is ConnectionLost, later commands undeliverable."""
    bastion = emulate("agent-lost=0.3@1")
    command = bastion.send("echo $$ > /tmp/pid; sleep 300")
    assert bastion.eventually(lambda: bastion.ping_status() == "ConnectionLost")
    assert bastion.eventually(lambda: not bastion.alive((bastion.root / "tmp/pid").read_text()))
    assert verdict(bastion.look(command)) == ("InProgress", "InProgress", -1)
    assert verdict(bastion.run("true")) == ("Failed", "Undeliverable", -1)


def test_reboot(emulate):
    """Everything that ran is dead, files are there, the command fails once the node is back."""
    bastion = emulate("reboot=0.3@2")
    left = bastion.run("touch /tmp/file; sleep 300 >/dev/null 2>&1 & echo $!")["StandardOutputContent"]
    command = bastion.send("sleep 300")
    assert bastion.eventually(lambda: bastion.ping_status() == "ConnectionLost")
    assert bastion.look(command)["Status"] == "InProgress"
    ended = bastion.wait(command)
    assert verdict(ended) == ("Failed", "Failed", 1)
    assert ended["StandardOutputContent"] + ended["StandardErrorContent"] == ""
    assert bastion.ping_status() == "Online"
    assert not bastion.alive(left)
    assert bastion.run("ls /tmp")["StandardOutputContent"] == "file\n"


def test_worker_dead(emulate):
    """The script is killed and the command fails without a word of what it said; the next one runs."""
    bastion = emulate("worker-dead=0.3@1")
    command = bastion.send("echo said; echo $$ > /tmp/pid; sleep 300")
    ended = bastion.wait(command)
    assert verdict(ended) == ("Failed", "Failed", 1)
    assert ended["StandardOutputContent"] + ended["StandardErrorContent"] == ""
    assert not bastion.alive((bastion.root / "tmp/pid").read_text())
    assert bastion.run("echo on")["StandardOutputContent"] == "on\n"


@pytest.mark.parametrize("character", ["<", "&", "\\0", "\\1"])
def test_a_reply_that_is_too_long_in_json_is_never_sent(emulate, character):
    """17,200 characters of six bytes each: the script is done, and the command InProgress for ever; a third of it is told."""
    bastion = emulate()
    line = "head -c {} /dev/zero | tr '\\0' '" + character + "'; touch /tmp/done"
    assert len(bastion.run(line.format(6_000))["StandardOutputContent"]) == 6_000
    (bastion.root / "tmp/done").unlink()
    command = bastion.send(line.format(17_200))
    assert bastion.eventually((bastion.root / "tmp/done").exists)
    time.sleep(0.5)
    assert verdict(bastion.look(command)) == ("InProgress", "InProgress", -1)


def test_offline(emulate):
    """The node is ConnectionLost, and SendCommand refuses it."""
    bastion = emulate("offline")
    assert bastion.ping_status() == "ConnectionLost"
    with pytest.raises(ClientError, match="not in a valid state for account") as failed:
        bastion.send("true")
    assert code_of(failed) == "InvalidInstanceId"


def test_expired_credentials(emulate):
    """From the third call on nothing is answered any more."""
    bastion = emulate("expired-credentials=3")
    bastion.ssm.list_commands()
    bastion.ssm.list_commands()
    for _ in range(2):
        with pytest.raises(ClientError) as failed:
            bastion.ssm.list_commands()
        assert code_of(failed) == "ExpiredTokenException"
    with pytest.raises(ClientError) as failed:
        bastion.client("sts").get_caller_identity()
    assert code_of(failed) == "ExpiredToken"


def test_reset_before(emulate):
    """The connection is cut before the command was taken."""
    bastion = emulate("reset=before:SendCommand@1")
    with pytest.raises(ConnectionClosedError):
        bastion.send("true")
    assert bastion.ssm.list_commands()["Commands"] == []
    assert bastion.run("true")["Status"] == "Success"


def test_reset_after(emulate):
    """The connection is cut after the command was taken: it runs, and nobody was told its id."""
    bastion = emulate("reset=after:SendCommand@1")
    with pytest.raises(ConnectionClosedError):
        bastion.send("touch /tmp/ran")
    assert bastion.eventually((bastion.root / "tmp/ran").exists)
    assert len(bastion.ssm.list_commands()["Commands"]) == 1


def test_reset_of_the_query_protocol(emulate):
    """Calls answered by moto are cut as well."""
    bastion = emulate("reset=after:GetCallerIdentity")
    with pytest.raises(ConnectionClosedError):
        bastion.client("sts").get_caller_identity()


def test_faults_add_up(emulate):
    """Several faults hit the same command."""
    bastion = emulate("delayed=0.2", "execution-timeout=0.2")
    assert verdict(bastion.run("sleep 300")) == ("TimedOut", "ExecutionTimedOut", 137)


def test_unknown_fault():
    """An unknown fault is one error that lists the known ones."""
    with pytest.raises(FaultError, match="no fault 'thunder'") as failed:
        FaultInjector(["thunder=1"])
    assert all(name in str(failed.value) for name in fault_descriptions())


@pytest.mark.parametrize(
    "text",
    ["invisible=soon", "invisible=-1", "undeliverable=x", "undeliverable@x", "undeliverable=0", "throttle=0",
     "throttle=often", "reset=never", "reset=before@0", "reset=before@-1", "expired-credentials=x", "offline=1",
     "invisible=nan"],
)  # fmt: skip
def test_unusable_value(text):
    """A value that means nothing is an error that says what the fault does."""
    name = text.partition("=")[0].partition("@")[0]
    with pytest.raises(FaultError) as failed:
        FaultInjector([text])
    assert fault_descriptions()[name] in str(failed.value)
