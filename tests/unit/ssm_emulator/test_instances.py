"""Several instances in one emulator: one command for all, an invocation for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from ssm_emulator import SandboxHost, SsmEmulator
from tests.unit.ssm_emulator.conftest import Bastion

ONE, TWO = "i-0000000000000000a", "i-0000000000000000b"


class Fleet(Bastion):
    """An emulator with two instances."""

    def send_to(self, *instance_ids: str, script: str, **more: str) -> str:
        """Send *script* to *instance_ids* and return the command's id."""
        sent = self.ssm.send_command(
            InstanceIds=list(instance_ids),
            DocumentName="AWS-RunShellScript",
            Parameters={"commands": [script]},
            **more,
        )
        return str(sent["Command"]["CommandId"])

    def listed(self, command_id: str) -> dict:
        """Return the command once no invocation of it is under way."""

        def command() -> dict:
            [found] = self.ssm.list_commands(CommandId=command_id)["Commands"]
            return found

        assert self.eventually(lambda: command()["CompletedCount"] == command()["TargetCount"])
        return command()

    def outputs(self, command_id: str) -> dict[str, str]:
        """Return each instance's stdout."""
        found = {}
        for instance_id in (ONE, TWO):
            self.instance_id = instance_id
            found[instance_id] = self.wait(command_id)["StandardOutputContent"]
        return found


@pytest.fixture(scope="module")
def fleets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Fleet]]:
    """Start emulators with two instances."""
    started: list[SsmEmulator] = []

    def start(*faults: str) -> Fleet:
        root = tmp_path_factory.mktemp("fleet")
        hosts = {each: SandboxHost(root / each) for each in (ONE, TWO)}
        started.append(SsmEmulator(hosts, faults=faults, tags={ONE: {"Name": "bastion"}}).start())
        return Fleet(started[-1], root)

    yield start
    for emulator in started:
        emulator.stop()


@pytest.fixture(scope="module")
def fleet(fleets: Callable[..., Fleet]) -> Fleet:
    """One without faults, shared."""
    return fleets()


def test_each_instance_runs_the_command_by_itself(fleet):
    """One command id, an invocation for each instance, in files of its own."""
    command = fleet.send_to(ONE, TWO, script="echo $AWS_SSM_INSTANCE_ID | tee /tmp/me")
    assert fleet.outputs(command) == {ONE: f"{ONE}\n", TWO: f"{TWO}\n"}
    assert (fleet.root / ONE / "tmp/me").read_text() == f"{ONE}\n"
    listed = fleet.ssm.list_command_invocations(CommandId=command)["CommandInvocations"]
    assert {each["InstanceId"] for each in listed} == {ONE, TWO}
    found = fleet.listed(command)
    assert (found["Status"], found["TargetCount"], found["CompletedCount"]) == ("Success", 2, 2)


def test_one_of_several_instances(fleet):
    """The other instance does not know the command, nor is it in its list."""
    command = fleet.send_to(TWO, script="true")
    fleet.listed(command)
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        fleet.ssm.get_command_invocation(CommandId=command, InstanceId=ONE)
    assert fleet.ssm.list_commands(InstanceId=ONE, CommandId=command)["Commands"] == []


def test_an_unknown_instance_refuses_the_whole_command(fleet):
    """Nothing runs anywhere when one of the instances cannot take it."""
    before = len(fleet.aws.sent_commands())
    with pytest.raises(ClientError, match=r"InvalidInstanceId.*\[\[i-0badc0de0badc0de0\]\]"):
        fleet.send_to(ONE, "i-0badc0de0badc0de0", script="true")
    assert len(fleet.aws.sent_commands()) == before


@pytest.mark.parametrize(
    ("script", "errors", "most", "state"),
    [
        ("exit 1", 2, "0", ("Failed", "Failed")),
        (f"[ $AWS_SSM_INSTANCE_ID = {ONE} ]", 1, "0", ("Failed", "Failed")),
        (f"[ $AWS_SSM_INSTANCE_ID = {ONE} ]", 1, "1", ("Failed", "Incomplete")),
        (f"[ $AWS_SSM_INSTANCE_ID = {ONE} ]", 1, "10%", ("Failed", "Failed")),
    ],
)
def test_status_over_all_instances(fleet, script, errors, most, state):
    """What some instances failed is failed; within MaxErrors it is incomplete."""
    found = fleet.listed(fleet.send_to(ONE, TWO, script=script, MaxErrors=most))
    assert (found["Status"], found["StatusDetails"]) == state
    assert found["ErrorCount"] == errors


def test_cancel_on_one_instance(fleet):
    """The other one goes on, and the command is cancelled as a whole."""
    command = fleet.send_to(ONE, TWO, script="until [ -e /tmp/go ]; do sleep 0.05; done; echo went")
    for instance_id in (ONE, TWO):
        fleet.instance_id = instance_id
        fleet.wait(command, lambda seen: seen["Status"] == "InProgress")
    fleet.ssm.cancel_command(CommandId=command, InstanceIds=[ONE])
    (fleet.root / TWO / "tmp/go").touch()
    assert fleet.outputs(command) == {ONE: "", TWO: "went\n"}
    assert fleet.listed(command)["Status"] == "Cancelled"


def test_agents_are_lost_one_by_one(fleets):
    """An agent that is taken offline leaves the others online, and can come back."""
    fleet = fleets()
    fleet.aws.agents[ONE].online = False

    def ping() -> dict[str, str]:
        nodes = fleet.ssm.describe_instance_information()["InstanceInformationList"]
        return {node["InstanceId"]: node["PingStatus"] for node in nodes}

    assert ping() == {ONE: "ConnectionLost", TWO: "Online"}
    command = fleet.send_to(ONE, TWO, script="echo ran")
    assert fleet.outputs(command) == {ONE: "", TWO: "ran\n"}
    fleet.aws.agents[ONE].online = True
    assert fleet.outputs(fleet.send_to(ONE, TWO, script="echo ran")) == {ONE: "ran\n", TWO: "ran\n"}


def test_faults_count_commands_and_not_instances(fleets):
    """`@2` is the second SendCommand, however many instances the first had."""
    fleet = fleets("undeliverable@2")
    assert fleet.listed(fleet.send_to(ONE, TWO, script="true"))["Status"] == "Success"
    found = fleet.listed(fleet.send_to(ONE, TWO, script="true"))
    assert (found["Status"], found["StatusDetails"]) == ("Failed", "Undeliverable")


def test_faults_may_change_while_it_runs(fleets):
    """New faults take the place of the old ones, and count from their own start; offline agents come back."""
    fleet = fleets("offline")
    with pytest.raises(ClientError, match="InvalidInstanceId"):
        fleet.send_to(ONE, script="true")
    fleet.aws.set_faults(["undeliverable@1"])
    assert fleet.listed(fleet.send_to(ONE, script="true"))["StatusDetails"] == "Undeliverable"
    fleet.aws.set_faults([])
    assert fleet.listed(fleet.send_to(ONE, script="true"))["Status"] == "Success"


def test_ec2_knows_the_instances(fleet):
    """DescribeInstances has them by their own ids, running, with their tags; more can be put on them."""
    ec2 = fleet.client("ec2")
    ec2.create_tags(Resources=[TWO], Tags=[{"Key": "Name", "Value": "worker"}])

    def ids(*filters: dict) -> set[str]:
        found = ec2.describe_instances(Filters=list(filters))["Reservations"]
        return {each["InstanceId"] for reservation in found for each in reservation["Instances"]}

    assert ids({"Name": "instance-state-name", "Values": ["running"]}) == {ONE, TWO}
    assert ids({"Name": "tag:Name", "Values": ["worker"]}) == {TWO}
    assert ids({"Name": "tag:Name", "Values": ["bastion"]}) == {ONE}


def test_scripts_that_start_at_the_same_moment(tmp_path):
    """None is taken for busy because another was started while its file was written."""
    hosts = {f"i-{number:017x}": SandboxHost(tmp_path / str(number)) for number in range(8)}
    with SsmEmulator(hosts) as emulator:
        fleet = Fleet(emulator, tmp_path)
        for _ in range(10):
            found = fleet.listed(fleet.send_to(*hosts, script="true"))
            assert (found["Status"], found["ErrorCount"]) == ("Success", 0)


def test_two_emulators_in_one_process(tmp_path: Path):
    """Two emulators of one process may stand on two folders, and hear of nothing of each other's."""
    with (
        SsmEmulator({ONE: SandboxHost(tmp_path / "a")}) as one,
        SsmEmulator({ONE: SandboxHost(tmp_path / "b")}) as two,
    ):
        assert one.account != two.account
        first, second = Bastion(one, tmp_path / "a"), Bastion(two, tmp_path / "b")
        command = first.run("touch /tmp/here")["CommandId"]
        assert (tmp_path / "a/tmp/here").exists()
        assert not (tmp_path / "b/tmp/here").exists()
        with pytest.raises(ClientError, match="InvocationDoesNotExist"):
            second.look(command)
