"""The preflight: one table of what a run stands on, before anything is changed; what is missing stops it."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import pytest

from etl_manager.aws.discovery import Preflight, discover
from etl_manager.errors import DiscoveryError, ProvisioningError, WorkspaceError
from etl_manager.targets import TargetOptions, emulated_aws
from etl_manager.targets.aws import AwsTarget
from ssm_emulator import AwsError, CallFault
from tests.support import aws
from tests.support.aws import Account
from tests.support.runs import full_run, project


class Refused(CallFault):
    """An action that the operator's policy does not allow."""

    def __init__(self, action: str) -> None:
        self._action = action

    def before(self, action: str) -> None:
        """Refuse it."""
        if action == self._action:
            raise AwsError("AccessDeniedException", f"not authorized to perform {action}")


def table(lines: tuple[str, ...] | list[str]) -> dict[str, str]:
    """Return the rows of the table that was shown."""
    start = next(number for number, line in enumerate(lines) if line.startswith("preflight:"))
    return {line[2:12].strip(): line[14:] for line in lines[start + 1 : start + 9]}


def found(account: Account, **changes: Any) -> tuple[Any, dict[str, str]]:
    """Discover, and return what was found and the table."""
    preflight = Preflight()
    config = project().changed(project={"region": account.region}, **changes)
    result: Any
    try:
        result = discover(config, account.client, preflight, emulated=account.emulated)
    except ProvisioningError as error:
        result = error
    return result, table(preflight.lines(""))


def stack(account: Account, name: str, **outputs: str) -> None:
    """Make another stack."""
    emulated_aws.add_stack(account.aws, name, outputs)


def test_table_shows_all_a_run_stands_on_and_costs_no_command(first_run, warmed):
    """Caller, region, stack, endpoint, secret, bastion, psql and PostgreSQL; at most 6 SendCommands with it, then 2."""
    bastion, first = first_run
    second = full_run(warmed(), again=False)
    postgres = bastion.postgres
    shown = table(first.said)
    assert shown.pop("psql").startswith("psql (PostgreSQL) 16.")
    assert shown == {
        "caller": f"arn:aws:sts::{bastion.aws.account}:user/moto",
        "region": "us-east-1",
        "stack": "AuroraPostgresStack (CREATE_COMPLETE)",
        "endpoint": f"127.0.0.1:{postgres.port}",
        "secret": "AuroraPostgresSecret (user postgres)",
        "bastion": f"{bastion.aws.instance_id} Online, agent 3.3.859.0",
        "PostgreSQL": "known after the first connection",
    }
    assert (first.proven, second.proven) == (True, True)
    assert (first.sent <= 6, second.sent) == (True, 2)


def test_bastion_without_psql_stops_the_run_with_the_line_that_installs_it(account, database):
    """Nothing is built, nothing stays on the bastion, and the table says what is missing."""
    bastion = account()
    psql = bastion.host.root / "usr/bin/psql"
    psql.unlink()
    psql.write_text("#!/bin/sh\nexit 127\n")
    psql.chmod(0o755)
    outcome = full_run(bastion)
    assert isinstance(outcome.error, WorkspaceError)
    assert "sudo dnf install -y postgresql16" in outcome.message
    assert table(outcome.said)["psql"] == "MISSING: The bastion lacks psql"
    assert table(outcome.said)["secret"] == "AuroraPostgresSecret (user postgres)"
    assert database.users() is None
    assert [command["Comment"].partition(" [")[0] for command in bastion.commands()] == [
        "etl-manager open",
        "etl-manager clean up",
    ]
    assert bastion.left() == []


def test_tmp_of_the_bastion_may_be_mounted_noexec(account, database, noexec):
    """On a hardened image nothing in the workspace can be executed, and everything is built and proven all the same."""
    bastion = account()
    noexec(bastion.tmp)
    assert full_run(bastion, again=False).proven
    assert not os.access(bastion.tmp / "workspace/scripts/2-sql-execute.sh", os.X_OK)


def test_secret_that_may_not_be_read_is_told_beside_the_rest(account):
    """An unreadable secret and an offline agent are two rows of the table and one error, each with what to do."""
    bastion = account()
    bastion.aws.set_faults(["offline", Refused("GetSecretValue")])
    error, shown = found(bastion)
    assert shown["secret"].startswith("MISSING: Secrets Manager refused: AccessDeniedException")
    assert shown["bastion"] == "MISSING: The SSM agent of the bastion is not online: ConnectionLost"
    assert shown["stack"] == "AuroraPostgresStack (CREATE_COMPLETE)"
    assert "docs/aws.md has the policy" in str(error)
    assert "Is the instance running?" in str(error)
    assert bastion.commands() == []


def test_known_message_comes_first_where_several_things_are_missing(account):
    """In another region there is neither stack nor bastion."""
    bastion = account()
    bastion.client("ec2").describe_instances()  # the instance is in the region it was started in
    other = dataclasses.replace(bastion, region="eu-west-3")
    other.aws.region = "eu-west-3"
    error, shown = found(other)
    assert str(error).startswith("[ERROR] Could not retrieve Aurora endpoint from CloudFormation\n")
    assert "also: No bastion was found" in str(error)
    assert "Another region: --aws-region, or project.region" in str(error)
    assert shown["region"] == "eu-west-3"
    assert shown["secret"] == "not looked at"


def test_engine_is_told_by_rds_where_aws_itself_answers(account):
    """Version, engine and status; what the policy does not allow to ask is no trouble."""
    bastion = aws.as_aws(account())
    assert found(bastion)[1]["PostgreSQL"] == "16.6 (aurora-postgresql, available)"
    bastion.aws.set_faults([Refused("DescribeDBClusters")])
    result, shown = found(bastion)
    assert shown["PostgreSQL"].startswith("known after the first connection (RDS refused")
    assert not isinstance(result, ProvisioningError)


def test_cluster_that_is_stopped_stops_the_run(account):
    """With the line that starts it."""
    bastion = aws.as_aws(account())
    bastion.client("rds").stop_db_cluster(DBClusterIdentifier=emulated_aws.CLUSTER)
    error, shown = found(bastion)
    assert "takes no connections: it is stopped" in shown["PostgreSQL"]
    assert f"aws rds start-db-cluster --db-cluster-identifier {emulated_aws.CLUSTER}" in str(error)


@pytest.mark.parametrize("fault", ["expired-credentials=1", "expired-credentials=3"])
def test_expired_credentials_are_told_with_how_to_log_in(account, fault):
    """At the first call, or at a later one."""
    error, _ = found(account(fault))
    assert "ExpiredToken" in str(error)
    assert "aws sso login" in str(error)


def test_absent_credentials_are_told_with_how_to_log_in(account, monkeypatch, tmp_path):
    """Where boto3's chain has nothing, that is said, and nothing is sent."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", account().endpoint_url)
    target = AwsTarget(TargetOptions(region="us-east-1"))
    with pytest.raises(DiscoveryError, match="Unable to locate credentials") as caught:
        discover(project(), target.client, Preflight(), emulated=True)
    assert "aws sso login" in caught.value.hint


def test_stacks_that_name_one_cluster_are_no_ambiguity(account):
    """A nested stack and the one around it have the same endpoint; the one that knows the secret is taken."""
    bastion = account()
    stack(bastion, "AAround", DBClusterEndpoint=f"127.0.0.1:{bastion.postgres.port}")
    result, shown = found(bastion)
    assert shown["stack"] == "AuroraPostgresStack (CREATE_COMPLETE)"
    assert result.stack == "AuroraPostgresStack"


def test_several_outputs_that_could_be_meant_are_told(account):
    """Which one is the endpoint is not guessed; an exact key decides."""
    bastion = account()
    stack(bastion, "Twofold", OneDBClusterEndpoint="one.example:1", OtherDBClusterEndpoint="other.example:2")
    error, _ = found(bastion, aurora={"stack_name": "Twofold"})
    assert "could be its DBClusterEndpoint: OneDBClusterEndpoint, OtherDBClusterEndpoint" in str(error)
    stack(bastion, "Exact", DBClusterEndpoint="one.example:1", OtherDBClusterEndpoint="other.example:2")
    _, shown = found(bastion, aurora={"stack_name": "Exact"})
    assert shown["endpoint"] == "one.example"


def secret(account: Account, name: str, **content: Any) -> str:
    """Make a secret and return its ARN."""
    client = account.client("secretsmanager")
    return str(client.create_secret(Name=name, SecretString=json.dumps(content))["ARN"])


def test_attached_secret_tells_the_port_where_the_endpoint_does_not(account):
    """Secrets that are attached to a cluster hold host and port; a host that is another one is remarked on."""
    bastion = account()
    secret(bastion, "attached", username="u", password="p-of-the-tests", host="elsewhere.example", port=6543)
    stack(bastion, "Hostly", DBClusterEndpoint="cluster.example", DBSecretName="attached")
    result, shown = found(bastion, aurora={"stack_name": "Hostly"})
    assert (result.connection.host, result.connection.port) == ("cluster.example", 6543)
    assert shown["endpoint"] == "cluster.example:6543"
    assert shown["secret"] == "attached (user u; the secret itself is for elsewhere.example)"


def test_secret_that_rds_manages_is_used(account):
    """It holds user and password only, and its name is rds!cluster-…, told by an output, or by RDS alone."""
    bastion = account()
    arn = secret(bastion, "rds!cluster-0badcafe", username="owner", password="p-of-the-tests")
    endpoint, cluster = (
        "cluster.example:5433",
        f"arn:aws:rds:us-east-1:{bastion.aws.account}:cluster:{emulated_aws.CLUSTER}",
    )
    stack(bastion, "Named", DBClusterEndpoint=endpoint, DBSecretName="rds!cluster-0badcafe")
    result, _ = found(bastion, aurora={"stack_name": "Named"})
    assert result.connection.credentials.current().user == "owner"
    stack(bastion, "Unnamed", DBClusterEndpoint=endpoint, DBClusterArn=cluster)
    below = bastion.client

    def client(service: str, *, attempts: int | None = None) -> Any:
        made = below(service, attempts=attempts)
        managed = {"SecretArn": arn, "SecretStatus": "active"}
        made.meta.events.register(
            "after-call.rds.DescribeDBClusters",
            lambda parsed, **_: parsed["DBClusters"][0].update(MasterUserSecret=managed),
        )
        return made

    bastion.client = client  # type: ignore[method-assign]
    result, shown = found(bastion, aurora={"stack_name": "Unnamed"})
    assert shown["secret"] == f"{arn} (user owner)"
    assert result.connection.credentials.current().user == "owner"
