"""SSM's actions answer, and refuse, as AWS does."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError

DOCUMENT = "AWS-RunShellScript"


def code_of(failed) -> str:
    return failed.value.response["Error"]["Code"]


def test_answer_to_send_command(bastion):
    """A fresh command is Pending, with its parameters in clear and the time it expires."""
    command = bastion.ssm.send_command(
        InstanceIds=[bastion.instance_id],
        DocumentName=DOCUMENT,
        Comment="why",
        TimeoutSeconds=600,
        Parameters={"commands": ["true"], "executionTimeout": ["300"]},
    )["Command"]
    assert (command["Status"], command["StatusDetails"], command["CompletedCount"]) == ("Pending", "Pending", 0)
    assert command["Parameters"] == {"commands": ["true"], "executionTimeout": ["300"]}
    assert (command["Comment"], command["TimeoutSeconds"], len(command["CommandId"])) == ("why", 600, 36)
    assert (command["ExpiresAfter"] - command["RequestedDateTime"]).total_seconds() == 900


def test_not_visible_right_after_send(emulate):
    """Right after SendCommand the invocation does not exist, and the list of invocations is empty."""
    fresh = emulate("invisible=60")
    command = fresh.send("true")
    with pytest.raises(ClientError) as failed:
        fresh.look(command)
    assert code_of(failed) == "InvocationDoesNotExist"
    assert fresh.ssm.list_command_invocations(CommandId=command)["CommandInvocations"] == []


def test_eventual_consistency_is_the_ordinary_course(bastion):
    """Without any fault too, a command is not visible at once; a busy machine may ask too late to notice."""
    codes = set()
    for _ in range(20):
        command = bastion.send("true")
        try:
            bastion.look(command)
        except ClientError as error:
            codes.add(error.response["Error"]["Code"])
        bastion.wait(command)
    assert codes == {"InvocationDoesNotExist"}


def test_invocation_of_a_running_command(bastion):
    """Until it is finished a command has no output, code -1, and a start but no end."""
    command = bastion.send("echo early; sleep 300")
    seen = bastion.wait(command, lambda seen: seen["Status"] == "InProgress")
    assert (seen["ResponseCode"], seen["StandardOutputContent"], seen["ExecutionEndDateTime"]) == (-1, "", "")
    assert seen["ExecutionStartDateTime"].endswith("Z")
    bastion.ssm.cancel_command(CommandId=command)
    bastion.wait(command)


def test_invocation_of_a_finished_command(bastion):
    """A finished one tells when and for how long it ran."""
    seen = bastion.run("true")
    assert seen["ExecutionElapsedTime"].startswith("PT0.")
    assert seen["PluginName"] == "aws:runShellScript"


def test_cancel_kills_the_whole_group(bastion):
    """A cancelled command's processes are dead: Cancelled, 137."""
    command = bastion.send("sleep 300 & echo $! > /tmp/cancelled; wait")
    child = bastion.root / "tmp/cancelled"
    assert bastion.eventually(lambda: child.exists() and child.read_text().endswith("\n"))
    bastion.ssm.cancel_command(CommandId=command)
    seen = bastion.wait(command)
    assert (seen["Status"], seen["StatusDetails"], seen["ResponseCode"]) == ("Cancelled", "Cancelled", 137)
    assert not bastion.alive(child.read_text())


def test_cancel_before_the_start(emulate):
    """A command that was cancelled before its delivery never runs."""
    slow = emulate(latency=0.5)
    command = slow.send("touch /tmp/ran")
    slow.ssm.cancel_command(CommandId=command)
    seen = slow.wait(command)
    assert (seen["Status"], seen["ResponseCode"], seen["ExecutionStartDateTime"]) == ("Cancelled", -1, "")
    time.sleep(0.6)
    assert not (slow.root / "tmp/ran").exists()


def test_cancel_of_a_finished_command_changes_nothing(bastion):
    """Cancelling is best effort: what is over stays as it was."""
    command = bastion.run("true")["CommandId"]
    bastion.ssm.cancel_command(CommandId=command)
    assert bastion.look(command)["Status"] == "Success"


def test_lists(bastion):
    """Both lists show a command, its parameters in clear, and the plugin's output where it was asked for."""
    command = bastion.run("echo out; echo err >&2")["CommandId"]
    [listed] = bastion.ssm.list_commands(CommandId=command)["Commands"]
    assert (listed["Status"], listed["CompletedCount"]) == ("Success", 1)
    assert listed["Parameters"]["commands"] == ["echo out; echo err >&2"]
    [plain] = bastion.ssm.list_command_invocations(CommandId=command)["CommandInvocations"]
    assert plain["CommandPlugins"] == []
    [detailed] = bastion.ssm.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
    [plugin] = detailed["CommandPlugins"]
    assert (plugin["Output"], plugin["ResponseCode"]) == ("out\n\n----------ERROR-------\nerr\n", 0)


def test_lists_come_in_pages(emulate):
    """With MaxResults a list comes in pages, newest first, and each command once."""
    fresh = emulate()
    sent = [fresh.send("true") for _ in range(5)]
    pages = list(fresh.ssm.get_paginator("list_commands").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Commands"]) for page in pages] == [2, 2, 1]
    assert [each["CommandId"] for page in pages for each in page["Commands"]] == sent[::-1]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"InstanceIds": ["i-0badc0de0badc0de0"]}, "InvalidInstanceId"),
        ({"InstanceIds": []}, "InvalidInstanceId"),
        ({"DocumentName": "AWS-RunPowerShellScript"}, "InvalidDocument"),
        ({"Parameters": {}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["true"], "command": ["true"]}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["true"], "executionTimeout": ["0"]}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["true"], "executionTimeout": ["soon"]}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["#" * 65_536]}}, "MaxDocumentSizeExceeded"),
        ({"Targets": [{"Key": "tag:Name", "Values": ["bastion"]}]}, "InvalidTarget"),
    ],
)
def test_refused_commands(bastion, request_, code):
    """What AWS refuses is refused, with AWS's name for it."""
    whole = {"InstanceIds": [bastion.instance_id], "DocumentName": DOCUMENT, "Parameters": {"commands": ["true"]}}
    with pytest.raises(ClientError) as failed:
        bastion.ssm.send_command(**whole | request_)
    assert code_of(failed) == code


def test_the_same_instance_twice(bastion):
    """An instance named twice is an error of its own."""
    with pytest.raises(ClientError) as failed:
        bastion.ssm.send_command(
            InstanceIds=[bastion.instance_id] * 2, DocumentName=DOCUMENT, Parameters={"commands": ["true"]}
        )
    assert code_of(failed) == "DuplicateInstanceId"


def test_targets_by_instance_id(bastion):
    """The instance may be named as a target as well."""
    command = bastion.ssm.send_command(
        Targets=[{"Key": "InstanceIds", "Values": [bastion.instance_id]}],
        DocumentName=DOCUMENT,
        Parameters={"commands": ["true"]},
    )["Command"]["CommandId"]
    assert bastion.wait(command)["Status"] == "Success"


def test_unknown_command(bastion):
    """An unknown command does not exist, and cannot be cancelled."""
    unknown = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(ClientError) as failed:
        bastion.look(unknown)
    assert code_of(failed) == "InvocationDoesNotExist"
    with pytest.raises(ClientError) as failed:
        bastion.ssm.cancel_command(CommandId=unknown)
    assert code_of(failed) == "InvalidCommandId"


def test_unknown_plugin(bastion):
    """Only the document's plugin has an invocation."""
    command = bastion.run("true")["CommandId"]
    with pytest.raises(ClientError) as failed:
        bastion.ssm.get_command_invocation(CommandId=command, InstanceId=bastion.instance_id, PluginName="aws:x")
    assert code_of(failed) == "InvalidPluginName"


def test_instance_information(bastion):
    """The bastion is online, and listed only when the filter names it."""
    listed = bastion.ssm.describe_instance_information(
        Filters=[{"Key": "InstanceIds", "Values": [bastion.instance_id]}]
    )["InstanceInformationList"]
    assert [(each["InstanceId"], each["PingStatus"]) for each in listed] == [(bastion.instance_id, "Online")]
    other = [{"Key": "InstanceIds", "Values": ["i-0badc0de0badc0de0"]}]
    assert bastion.ssm.describe_instance_information(Filters=other)["InstanceInformationList"] == []


def test_legacy_filter_refuses_an_unknown_instance(bastion):
    """The older filter answers an unknown id with an error."""
    legacy = [{"key": "InstanceIds", "valueSet": ["i-0badc0de0badc0de0"]}]
    with pytest.raises(ClientError) as failed:
        bastion.ssm.describe_instance_information(InstanceInformationFilterList=legacy)
    assert code_of(failed) == "InvalidInstanceId"


@pytest.mark.parametrize(("service", "call"), [("ssm", "list_commands"), ("sts", "get_caller_identity")])
def test_foreign_credentials_are_refused(bastion, service, call):
    """Who does not know the access key of this run cannot call anything: commands run as the operator."""
    client = boto3.client(
        service,
        endpoint_url=bastion.aws.endpoint_url,
        region_name="eu-west-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    with pytest.raises(ClientError) as failed:
        getattr(client, call)()
    assert code_of(failed) in {"UnrecognizedClientException", "InvalidClientTokenId"}


def test_unsigned_requests_are_refused(bastion):
    """Moto's own pages are not reachable without credentials either."""
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(f"{bastion.aws.endpoint_url}/moto-api/data.json")  # noqa: S310
    assert failed.value.code == 403


@pytest.mark.parametrize(
    ("config", "mark"), [({}, "AWSAccessKeyId"), ({"signature_version": "s3v4"}, "X-Amz-Credential")]
)
def test_presigned_addresses(bastion, config, mark):
    """A presigned address of S3, of either kind, is enough to fetch an object; without its query it is not."""
    s3 = bastion.client("s3", **config)
    bucket = mark.lower()
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=bucket, Key="archive", Body=b"content")
    address = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "archive"})
    assert mark in address
    assert urllib.request.urlopen(address).read() == b"content"  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(address.partition("?")[0])  # noqa: S310
    assert failed.value.code == 403


def test_accounts_do_not_share_state(emulate):
    """Two emulated AWSs of one process are two accounts."""
    one, two = emulate(), emulate()
    one.client("secretsmanager").create_secret(Name="only here", SecretString="x")
    assert [each["Name"] for each in one.client("secretsmanager").list_secrets()["SecretList"]] == ["only here"]
    assert two.client("secretsmanager").list_secrets()["SecretList"] == []
