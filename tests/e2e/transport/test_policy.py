"""docs/aws.md: every call of the code is in the operator's policy, and every action of the policy is a call."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import cfnlint
import pytest
from botocore import xform_name

from etl_manager.aws.discovery import Preflight, discover
from tests.support import aws
from tests.support.project import ROOT
from tests.support.runs import open_run, project

SERVICES = ("sts", "cloudformation", "ec2", "ssm", "secretsmanager", "rds", "s3")
LOCAL = {"generate_db_auth_token": "rds-db:connect"}
"""Methods that only sign: what the signature is for is another action."""
BESIDE = {"cloudformation:DescribeStacks": "cloudformation:ListStacks"}
"""What a call needs beside its own action (AWS: DescribeStacks, "StackName": without a name, both permissions)."""
TEMPLATE = ROOT / "docs/aws/bastion.yaml"


def policies() -> list[dict[str, Any]]:
    """Return the policies of the document, in their order."""
    text = (ROOT / "docs/aws.md").read_text(encoding="utf-8")
    return [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", text, re.S | re.M)]


def actions(*documents: dict[str, Any]) -> set[str]:
    """Return what *documents* allow."""
    allowed: set[str] = set()
    for document in documents:
        for statement in document["Statement"]:
            assert statement["Effect"] == "Allow"
            action = statement["Action"]
            allowed |= {action} if isinstance(action, str) else set(action)
    return allowed


def methods() -> dict[str, str]:
    """Return the action behind every method of a boto3 client of the services in use; ambiguous ones name both."""
    found: dict[str, str] = {}
    session = botocore.session.Session()
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            name = xform_name(operation)
            found[name] = f"{found[name]} {service}:{operation}" if name in found else f"{service}:{operation}"
    return found | LOCAL


def modules() -> Iterator[Path]:
    """Yield what runs at the operator's; what fills the emulated AWS is on AWS's side."""
    for path in sorted((ROOT / "etl_manager").rglob("*.py")):
        if path.name != "emulated_aws.py":
            yield path


def called() -> dict[str, str]:
    """Return the actions the code names, by method, paginator or what a URL is presigned for, with where."""
    known = methods()
    found: dict[str, str] = {}
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        uses_clients = "client" in path.read_text(encoding="utf-8")
        for node in ast.walk(tree):
            words = []
            if isinstance(node, ast.Attribute):
                words = [node.attr]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                first = node.args[0]
                if node.func.attr in {"get_paginator", "generate_presigned_url"} and isinstance(first, ast.Constant):
                    words = [str(first.value)]
            for word in words:
                if uses_clients and word in known:
                    found[known[word]] = f"{path.relative_to(ROOT)}:{node.lineno}"
    return found | {other: found[action] for action, other in BESIDE.items() if action in found}


def test_every_call_is_allowed_and_everything_allowed_is_called():
    """Found in the source: client methods, paginators, and the object a URL is presigned for."""
    operator = actions(*policies()[:3])
    assert {action: place for action, place in called().items() if action not in operator} == {}
    assert operator - called().keys() == set()


def test_calls_of_real_runs_are_those_of_the_source(first_run, warmed):
    """Recorded by botocore's own event, over a run, a lost answer, and the engine asked for."""
    whole, outcome = first_run
    assert outcome.proven
    bastion = warmed("reset=after:SendCommand@2")
    run = open_run(bastion)
    run.ensure("database")
    run.close()
    aws.as_aws(bastion)
    discover(project(), bastion.client, Preflight(), emulated=False)
    operator = actions(*policies()[:3])
    calls = whole.calls | bastion.calls
    assert "ssm:ListCommands" not in whole.calls
    assert calls <= operator
    assert calls >= {
        "sts:GetCallerIdentity",
        "cloudformation:DescribeStacks",
        "secretsmanager:GetSecretValue",
        "ssm:DescribeInstanceInformation",
        "ssm:SendCommand",
        "ssm:GetCommandInvocation",
        "ssm:ListCommands",
        "rds:DescribeDBClusters",
    }


@pytest.mark.parametrize("wider", ["s3:ListBucket", "ssm:GetParameter"])
def test_policy_that_is_wider_is_noticed(wider):
    """The comparison is one that can fail: an action more, or one less."""
    operator = actions(*policies()[:3])
    assert (operator | {wider}) - called().keys() == {wider}
    assert called().keys() - (operator - {"ssm:ListCommands"}) == {"ssm:ListCommands"}


def test_only_what_has_no_resource_is_allowed_on_everything():
    """Sending commands, reading the secret, the token and the objects are bound to one resource each."""
    wide = {
        action
        for document in policies()[:3]
        for statement in document["Statement"]
        if statement["Resource"] == "*"
        for action in statement["Action"]
    }
    assert wide.isdisjoint({"ssm:SendCommand", "secretsmanager:GetSecretValue", "rds-db:connect", "s3:PutObject"})


def resources() -> dict[str, Any]:
    """Return the resources of the template."""
    template, _ = cfnlint.decode.decode(str(TEMPLATE))
    found: dict[str, Any] = template["Resources"]
    return found


def test_template_is_valid():
    """CloudFormation's own schemas have nothing to say about it."""
    from cfnlint.api import lint_file

    assert [str(match) for match in lint_file(TEMPLATE)] == []


def test_bastion_of_the_template_may_do_what_the_document_says():
    """Its role is the document's policy, and no managed policy is attached."""
    role = resources()["Role"]["Properties"]
    [policy] = role["Policies"]
    assert actions(policy["PolicyDocument"]) == actions(policies()[3])
    assert "ManagedPolicyArns" not in role


def test_bastion_of_the_template_takes_no_connections():
    """No ingress, no key pair, no public address; the metadata service wants a token; the disk is encrypted."""
    found = resources()
    group, instance = found["SecurityGroup"]["Properties"], found["Instance"]["Properties"]
    assert "SecurityGroupIngress" not in group
    assert not any(
        each["Type"] == "AWS::EC2::SecurityGroupIngress"
        and each["Properties"]["GroupId"] != {"Ref": "DatabaseSecurityGroupId"}
        for each in found.values()
    )
    assert "KeyName" not in instance
    assert [each["AssociatePublicIpAddress"] for each in instance["NetworkInterfaces"]] == [False]
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert instance["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert "dnf install -y postgresql16 jq" in instance["UserData"]["Fn::Base64"]


def test_bastion_of_the_template_is_found(account):
    """The stack's output is one that discovery knows."""
    bastion = account()
    cloudformation, ec2 = bastion.client("cloudformation"), bastion.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="cluster", Description="cluster", VpcId=vpc)["GroupId"]
    given = {"VpcId": vpc, "SubnetId": subnet, "DatabaseSecurityGroupId": group}
    cloudformation.create_stack(
        StackName="analytics-bastion",
        TemplateBody=TEMPLATE.read_text(encoding="utf-8"),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
    )
    [stack] = cloudformation.describe_stacks(StackName="analytics-bastion")["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    [reservation] = ec2.describe_instances(InstanceIds=[outputs["BastionEC2InstanceId"]])["Reservations"]
    tags = {tag["Key"]: tag["Value"] for tag in reservation["Instances"][0]["Tags"]}
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert tags["Name"] == "analytics-bastion-bastion"
    with pytest.raises(Exception, match="2 instances could be the bastion"):
        discover(project(), bastion.client, Preflight(), emulated=True)
