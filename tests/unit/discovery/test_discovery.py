"""Discovery: what CloudFormation, Secrets Manager, EC2 and SSM say is found, and what they lack is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest

from etl_manager import config
from etl_manager.aws.clients import client_config
from etl_manager.aws.discovery import DiscoveredCluster, Preflight, discover
from etl_manager.config import Config
from etl_manager.config.model import ConnectionSection
from etl_manager.errors import DiscoveryError, ProvisioningError
from etl_manager.progress import NullProgress
from etl_manager.provisioning.startup import open_bastion
from etl_manager.redaction import redact
from etl_manager.targets import Target
from etl_manager.targets.emulated_aws import DEFAULT_INSTANCE
from ssm_emulator import SandboxHost, SsmEmulator

ROOT = Path(__file__).parents[3]
REGION = "us-east-1"
PASSWORD = "a-password:of\\the-tests"
NO_ENDPOINT = "[ERROR] Could not retrieve Aurora endpoint from CloudFormation"


@dataclass
class Account:
    """An account that holds nothing but a bastion whose agent is online."""

    aws: SsmEmulator
    config: Config

    def client(self, service: str, **_: object) -> Any:
        """Return a client of *service*."""
        return boto3.client(
            service,
            endpoint_url=self.aws.endpoint_url,
            region_name=REGION,
            aws_access_key_id=self.aws.access_key_id,
            aws_secret_access_key=self.aws.secret_access_key,
            config=client_config(1, proxies={}),
        )

    def stack(self, name: str, status: str = "CREATE_COMPLETE", **outputs: str) -> None:
        """Make a stack with *outputs*, in *status*."""
        template = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {key: {"Value": value} for key, value in outputs.items()},
        }
        self.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
        if status != "CREATE_COMPLETE":
            from moto.backends import get_backend

            stacks = get_backend("cloudformation")[self.aws.account][REGION].stacks
            next(stack for stack in stacks.values() if stack.name == name).status = status

    def secret(self, content: object, name: str = "aurora") -> None:
        """Make the secret *name*."""
        text = content if isinstance(content, str) else json.dumps(content)
        self.client("secretsmanager").create_secret(Name=name, SecretString=text)

    def usual(self, endpoint: str = "db.example:5433") -> None:
        """Make what the usual CDK stacks make."""
        self.secret({"username": "master", "password": PASSWORD})
        self.stack("Cluster", DBClusterEndpoint=endpoint, DBSecretName="aurora")
        self.stack("Host", ClientHostEC2InstanceId=self.aws.instance_id)

    def discover(self, **changes: Any) -> DiscoveredCluster:
        """Discover, by the project's configuration with *changes*."""
        return discover(self.config.changed(**changes), self.client, Preflight(), emulated=True)

    def trouble(self, **changes: Any) -> str:
        """Discover, and return what is told where that fails."""
        with pytest.raises(ProvisioningError) as trouble:
            self.discover(**changes)
        return str(trouble.value)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    aws = SsmEmulator({DEFAULT_INSTANCE: SandboxHost(tmp_path / "bastion")}, region=REGION)
    aws.start()
    yield Account(aws, config.load(ROOT / "config.json", ROOT))
    aws.stop()


def test_usual_stacks_are_found(account):
    """Endpoint, port, user, password and bastion come from the outputs and the secret."""
    account.usual()
    found = account.discover()
    assert (found.stack, found.secret, found.instance_id) == ("Cluster", "aurora", account.aws.instance_id)
    assert (found.connection.host, found.connection.port) == ("db.example", 5433)
    credentials = found.connection.credentials.current()
    assert (credentials.user, credentials.password) == ("master", PASSWORD)


def test_keys_of_outputs_may_have_the_stacks_name_before_them(account):
    """CDK puts its own words around the names: a key that contains them will do."""
    account.secret({"password": PASSWORD})
    account.stack(
        "Odd",
        OddStackDBClusterEndpoint9F="db.example:5432",
        OddStackDBSecretName7A="aurora",
        OddStackEC2InstanceId=account.aws.instance_id,
    )
    assert account.discover().connection.host == "db.example"


@pytest.mark.parametrize(
    ("endpoint", "expected"), [("db.example", ("db.example", 6543)), ("db.example:5433", ("db.example", 5433))]
)
def test_endpoint_without_port_takes_the_configured_one(account, endpoint, expected):
    """The port is optional in the output."""
    account.usual(endpoint)
    connection = account.discover(aurora={"connection": ConnectionSection(port=6543)}).connection
    assert (connection.host, connection.port) == expected


@pytest.mark.parametrize("endpoint", ["db.example:port", ":5432"])
def test_endpoint_that_cannot_be_read_is_told(account, endpoint):
    """What is neither host nor host:port is an error that shows it."""
    account.usual(endpoint)
    told = account.trouble()
    assert "endpoint of the stack cannot be read" in told
    assert endpoint in told


def test_no_stack_is_told_as_its_users_know_it(account):
    """The known message, with region, what was looked for, and what to do next."""
    told = account.trouble()
    assert NO_ENDPOINT in told.splitlines()
    for part in (f"region {REGION}", "DBClusterEndpoint", "CREATE_COMPLETE or UPDATE_COMPLETE", "describe-stacks"):
        assert part in told


@pytest.mark.parametrize(
    "status", ["CREATE_IN_PROGRESS", "ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS"]
)
def test_stack_in_another_status_is_not_used(account, status):
    """Phase 1 is not complete then: the message names the stack and its status, also where it has no outputs yet."""
    account.stack("Half", status, DBClusterEndpoint="db.example:5432", DBSecretName="aurora")
    account.stack("Bare", status)
    told = account.trouble()
    assert NO_ENDPOINT in told
    assert f"Half is {status}, Bare is {status}" in told
    assert "A stack in another state is not used" in told
    named = account.trouble(aurora={"stack_name": "Bare"}, bastion={"stack_name": "Half"})
    assert f"not usable Bare is {status}" in named
    account.usual()
    assert f"bastion.stackName Half, not usable Half is {status}" in account.trouble(bastion={"stack_name": "Half"})


def test_updated_stack_is_used(account):
    """UPDATE_COMPLETE is as good as CREATE_COMPLETE."""
    account.usual()
    account.client("cloudformation").delete_stack(StackName="Cluster")
    account.stack("Again", "UPDATE_COMPLETE", DBClusterEndpoint="again.example:5432", DBSecretName="aurora")
    assert account.discover().connection.host == "again.example"


def test_two_clusters_are_an_ambiguity_that_the_configuration_decides(account):
    """Both are listed, with the key that names the one that is meant."""
    account.usual()
    account.stack("Other", DBClusterEndpoint="other.example:5432", DBSecretName="aurora")
    told = account.trouble()
    for part in ("Cluster", "Other", "aurora.stackName"):
        assert part in told
    assert account.discover(aurora={"stack_name": "Other"}).connection.host == "other.example"
    assert "called Third (aurora.stackName)" in account.trouble(aurora={"stack_name": "Third"})


DOCUMENTS = "docdb-products.cluster-abc.us-east-1.docdb.amazonaws.com"


@pytest.mark.parametrize(
    "outputs",
    [
        {"DocDBClusterIdentifier": "docdb-products", "DocDBClusterEndpoint": DOCUMENTS, "DocDBSecretName": "other"},
        {"ProductsMemoryDBClusterEndpoint": "clustercfg.m.abc.memorydb.us-east-1.amazonaws.com:6379"},
        {"NeptuneDBClusterEndpoint": "graph.internal:8182"},
        {"DBClusterEndpoint": "graph.cluster-abc.us-east-1.neptune.amazonaws.com"},
        {"DBClusterEndpoint": DOCUMENTS.replace("us-east-1", "cn-north-1") + ".cn"},
    ],
)
def test_clusters_of_other_products_are_not_aurora(account, outputs):
    """By the key of the output, or by what it leads to: alone it is told as such, beside Aurora it is no ambiguity."""
    account.stack("Products-stateful", **outputs)
    [key] = [key for key in outputs if "DBClusterEndpoint" in key]
    told = account.trouble()
    assert NO_ENDPOINT in told
    assert f"not Aurora Products-stateful ({key})" in told
    account.usual("analytics.cluster-abc.us-east-1.rds.amazonaws.com")
    assert account.discover().stack == "Cluster"


def test_other_products_in_the_stack_of_the_cluster_are_no_ambiguity(account):
    """One stack with a DocumentDB beside Aurora: endpoint and secret are Aurora's."""
    account.usual()
    account.stack(
        "Both",
        DocDBClusterEndpoint=DOCUMENTS,
        DocDBSecretName="documents",
        MyDBClusterEndpoint="both.example",
        MyDBSecretName="aurora",
    )
    found = account.discover(aurora={"stack_name": "Both"})
    assert (found.connection.host, found.secret) == ("both.example", "aurora")


def test_stack_on_a_later_page_is_found(account):
    """CloudFormation answers in pages; the cluster's stack may be on the last."""
    for number in range(110):
        account.stack(f"Stack{number}", Nothing=str(number))
    account.usual()
    pages = list(account.client("cloudformation").get_paginator("describe_stacks").paginate())
    assert len(pages) > 1
    assert "Cluster" not in {stack["StackName"] for stack in pages[0]["Stacks"]}
    assert account.discover().stack == "Cluster"


def test_stack_without_secret_name_is_told(account):
    """The message names the stack, the outputs it has, and the one that is missing."""
    account.stack("Cluster", DBClusterEndpoint="db.example:5432", Other="x")
    told = account.trouble()
    assert "Could not retrieve Aurora secret name from CloudFormation" in told
    assert "DBSecretName" in told
    assert "Other" in told


def test_secret_without_username_means_the_master_user(account):
    """The user is the configured master user, else postgres."""
    account.secret({"password": PASSWORD})
    account.stack(
        "Cluster", DBClusterEndpoint="db.example:5432", DBSecretName="aurora", EC2InstanceId=account.aws.instance_id
    )
    assert account.discover().connection.credentials.user == "postgres"
    assert account.discover(aurora={"master_username": "chief"}).connection.credentials.user == "chief"


SECRETS: dict[str, tuple[object, str]] = {
    "not JSON": ("hunter2 in the clear", "is not JSON"),
    "JSON, but no object": (["hunter2"], "holds no password"),
    "no password": ({"username": "hunter2"}, "holds no password"),
    "empty password": ({"username": "x", "password": ""}, "holds no password"),
    "password that is no text": ({"password": 42}, "holds no password"),
}


@pytest.mark.parametrize("state", SECRETS)
def test_unusable_secret_is_told_without_showing_it(account, state):
    """The message names the secret and what it must hold, and not what it holds."""
    content, told = SECRETS[state]
    account.secret(content)
    account.stack(
        "Cluster", DBClusterEndpoint="db.example:5432", DBSecretName="aurora", EC2InstanceId=account.aws.instance_id
    )
    with pytest.raises(DiscoveryError) as trouble:
        account.discover()
    text = str(trouble.value)
    assert told in text
    assert "aurora" in text
    assert "must hold JSON with password" in text
    chain, seen = trouble.value, ""
    while chain is not None:
        seen += repr(chain) + str(chain)
        chain = chain.__cause__  # type: ignore[assignment]
    assert "hunter2" not in seen


def test_missing_secret_is_told_by_its_name(account):
    """What Secrets Manager answers is told, with whom was asked for what."""
    account.stack(
        "Cluster", DBClusterEndpoint="db.example:5432", DBSecretName="gone", EC2InstanceId=account.aws.instance_id
    )
    told = account.trouble()
    for part in ("Secrets Manager refused: ResourceNotFoundException", "GetSecretValue", "gone"):
        assert part in told


def test_password_is_masked_as_soon_as_it_is_found(account):
    """From discovery on, no text that passes the redaction shows it, nor does a repr of what was found."""
    account.usual()
    found = account.discover()
    assert PASSWORD not in repr(found)
    assert PASSWORD not in redact(f"connecting with {PASSWORD}")


@pytest.mark.parametrize(("password", "told"), [("postgres", 1), ("database1", 1), ("s3", 1), (PASSWORD, 0)])
def test_a_password_that_cannot_be_masked_without_harm_is_told_once(account, password, told):
    """A short or ordinary word is masked only where it is called a password; whoever owns it should know."""
    account.secret({"username": "master", "password": password})
    account.stack("Cluster", DBClusterEndpoint="db.example:5433", DBSecretName="aurora")
    account.stack("Host", ClientHostEC2InstanceId=account.aws.instance_id)
    target = SimpleNamespace(name="local", emulated=True, region=REGION, client=account.client)
    lines: list[str] = []
    open_bastion(account.config, cast(Target, target), skip_copy=False, progress=NullProgress(), warn=lines.append)
    assert len(lines) == told
    assert all("cannot be masked without harm" in line and "Rotate it" in line for line in lines)


def test_a_port_out_of_range_in_the_secret_is_told(account):
    """It would be psql's error otherwise, after everything had been sent."""
    account.secret({"password": PASSWORD, "port": 70000})
    account.stack("Cluster", DBClusterEndpoint="db.example", DBSecretName="aurora")
    account.stack("Host", ClientHostEC2InstanceId=account.aws.instance_id)
    assert "The secret of the cluster names the port 70000" in account.trouble()


def test_two_bastions_are_an_ambiguity_that_the_configuration_decides(account):
    """Both are listed with their stacks, with the keys that name the one that is meant."""
    account.usual()
    account.stack("Second", EC2InstanceId="i-0000000000000000b")
    told = account.trouble()
    for part in (
        account.aws.instance_id,
        "i-0000000000000000b",
        "stack Second",
        "bastion.instanceId",
        "bastion.stackName",
    ):
        assert part in told
    account.stack("Web", WebAEC2InstanceId="i-0aaaaaaaaaaaaaaa1", WebBEC2InstanceId="i-0aaaaaaaaaaaaaaa2")
    told = account.trouble()
    for part in ("4 instances could be the bastion", "stack Web, WebBEC2InstanceId", "bastion.instanceId"):
        assert part in told
    assert "2 instances" in account.trouble(bastion={"stack_name": "Web"})
    assert account.discover(bastion={"stack_name": "Host"}).instance_id == account.aws.instance_id
    assert account.discover(bastion={"instance_id": account.aws.instance_id}).instance_id == account.aws.instance_id


def test_bastion_is_known_by_its_name_tag_where_no_stack_names_it(account):
    """A running instance with the usual Name is the bastion; one that is stopped is not."""
    account.secret({"password": PASSWORD})
    account.stack("Cluster", DBClusterEndpoint="db.example:5432", DBSecretName="aurora")
    assert "No bastion was found" in account.trouble()
    ec2 = account.client("ec2")
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "my-bastion-1"}]}]
    ids = [
        ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, TagSpecifications=tags)["Instances"][0][
            "InstanceId"
        ]
        for _ in range(2)
    ]
    assert "2 instances could be the bastion" in account.trouble()
    ec2.stop_instances(InstanceIds=ids[:1])
    told = account.trouble()
    assert "The SSM agent of the bastion is not online: not a managed node" in told  # AWS: it is not listed
    assert ids[1] in told
    assert ids[0] not in told


def test_configured_bastion_wins(account):
    """bastion.instanceId is used without asking for another, and its agent must be online."""
    account.usual()
    told = account.trouble(bastion={"instance_id": "i-0000000000000000c"})
    assert "i-0000000000000000c" in told
    assert "not online" in told


@dataclass
class Calls:
    """Clients of *account* whose calls are noted down."""

    account: Account
    seen: list[tuple[str, Any]]

    def client(self, service: str) -> Any:
        """Return a client."""
        client = self.account.client(service)
        client.meta.events.register("before-parameter-build", self._note)
        return client

    def _note(self, params: Any, model: Any, **_: Any) -> None:
        self.seen.append((f"{model.service_model.service_name}:{model.name}", params.get("StackName")))

    def of_stacks(self, **changes: Any) -> list[str | None]:
        """Discover, and return the names CloudFormation was asked for; None is for all stacks."""
        self.seen.clear()
        discover(self.account.config.changed(**changes), self.client, Preflight(), emulated=True)
        return [name for call, name in self.seen if call.startswith("cloudformation:")]


def test_stacks_are_asked_for_by_name_where_they_are_named(account):
    """cloudformation:ListStacks is needed only where cluster or bastion has to be looked for."""
    account.usual()
    calls = Calls(account, [])
    assert calls.of_stacks() == [None]
    assert calls.of_stacks(aurora={"stack_name": "Cluster"}) == [None]
    assert calls.of_stacks(aurora={"stack_name": "Cluster"}, bastion={"stack_name": "Host"}) == ["Cluster", "Host"]
    assert calls.of_stacks(aurora={"stack_name": "Cluster"}, bastion={"instance_id": account.aws.instance_id}) == [
        "Cluster"
    ]
    told = account.trouble(aurora={"stack_name": "Gone"}, bastion={"stack_name": "Host"})
    assert NO_ENDPOINT in told
    assert "called Gone (aurora.stackName)" in told


def test_without_cloudformation_three_keys_are_enough(account):
    """Endpoint, secret and bastion come from the configuration, and CloudFormation is not asked for anything."""
    account.secret({"username": "master", "password": PASSWORD}, "terraformed")
    calls = Calls(account, [])
    keys = {"aurora": {"endpoint": "tf.example:5433", "secret_name": "terraformed"}}
    assert calls.of_stacks(**keys, bastion={"instance_id": account.aws.instance_id}) == []
    found = account.discover(**keys, bastion={"instance_id": account.aws.instance_id})
    assert (found.stack, found.cluster_arn, found.secret) == ("", "", "terraformed")
    assert (found.connection.host, found.connection.port) == ("tf.example", 5433)
    account.stack("Host", EC2InstanceId=account.aws.instance_id)
    assert calls.of_stacks(**keys, bastion={"stack_name": "Host"}) == ["Host"]
    assert calls.of_stacks(**keys) == [None]


def test_configured_secret_decides_between_two_of_the_stack(account):
    """The ambiguity names the key, and the key is used."""
    account.usual()
    account.stack("Two", DBClusterEndpoint="two.example", ADBSecretName="a", BDBSecretName="aurora")
    assert "aurora.secretName" in account.trouble(aurora={"stack_name": "Two"})
    assert account.discover(aurora={"stack_name": "Two", "secret_name": "aurora"}).secret == "aurora"


def test_agent_that_is_not_connected_is_told_before_anything_is_sent(account):
    """ConnectionLost is told with the instance and what its role needs."""
    account.usual()
    account.aws.agents[account.aws.instance_id].online = False
    told = account.trouble()
    for part in (
        "The SSM agent of the bastion is not online: ConnectionLost",
        account.aws.instance_id,
        "AmazonSSMManagedInstanceCore",
    ):
        assert part in told


def test_all_that_is_missing_is_told_at_once(account):
    """A secret and a bastion that are both missing are two items of one message."""
    account.stack("Cluster", DBClusterEndpoint="db.example:5432", DBSecretName="gone")
    told = account.trouble()
    assert "ResourceNotFoundException" in told
    assert "No bastion was found" in told
