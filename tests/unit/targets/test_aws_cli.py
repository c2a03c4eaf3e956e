"""The real `aws` command line drives the local target, with nothing but the exported variables."""

from __future__ import annotations

import json

import pytest

SEND = "aws ssm send-command --instance-ids $(cat id) --document-name AWS-RunShellScript --query Command.CommandId"


@pytest.fixture(scope="module")
def aws(serve, tmp_path_factory):
    """Run a script with the variables, in a folder of its own where `id` holds the bastion's id."""
    service = serve()
    folder = tmp_path_factory.mktemp("cli")

    def run(script: str) -> str:
        done = service.shell(f"cd {folder}\n{script}")
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(
        "aws cloudformation describe-stacks --stack-name AuroraPostgresClientHostStack --output text"
        " --query 'Stacks[0].Outputs[?ends_with(OutputKey, `EC2InstanceId`)].OutputValue' > id"
    )
    return run


@pytest.fixture(scope="module")
def stack(aws):
    """The stack of the cluster."""
    [found] = json.loads(aws("aws cloudformation describe-stacks --stack-name AuroraPostgresStack"))["Stacks"]
    return found


@pytest.fixture(scope="module")
def sent(aws):
    """The id of a command."""
    return aws(f"{SEND} --parameters 'commands=[\"echo hello; psql --version\"]' --output text").strip()


def test_describe_instance_information(aws):
    """The bastion that the stack names is online."""
    shown = json.loads(aws('aws ssm describe-instance-information --filters "Key=InstanceIds,Values=$(cat id)"'))
    assert [node["PingStatus"] for node in shown["InstanceInformationList"]] == ["Online"]


def test_describe_stacks(stack):
    """The stack is complete and names the cluster."""
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert {"DBClusterEndpoint", "DBSecretName"} <= {each["OutputKey"] for each in stack["Outputs"]}


def test_get_secret_value(aws, stack):
    """The secret that the stack names is the database's, and opens it."""
    [name] = [each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == "DBSecretName"]
    get = f"aws secretsmanager get-secret-value --secret-id '{name}' --query SecretString --output text"
    secret = json.loads(aws(get))
    assert secret["username"] == "postgres"
    assert str(secret["port"]) in aws('printf %s "$DATABASE_URL"')


def test_send_wait_and_get(aws, sent):
    """send-command, wait command-executed and get-command-invocation work as against AWS."""
    shown = json.loads(
        aws(
            f"aws ssm wait command-executed --command-id {sent} --instance-id $(cat id)\n"
            f"aws ssm get-command-invocation --command-id {sent} --instance-id $(cat id)"
        )
    )
    assert (shown["Status"], shown["ResponseCode"]) == ("Success", 0)
    assert shown["StandardOutputContent"].startswith("hello\npsql (PostgreSQL) 16.")


def test_wait_fails_with_the_command(aws):
    """Wait command-executed fails for a command that failed, as against AWS."""
    said = aws(
        f"id=$({SEND} --parameters 'commands=[\"exit 3\"]' --output text)\n"
        "sleep 0.2\n"
        "aws ssm wait command-executed --command-id $id --instance-id $(cat id) 2>&1 || echo exit $?"
    )
    assert "Waiter CommandExecuted failed" in said
    assert said.endswith("exit 255\n")


def test_list_commands(aws, sent):
    """list-commands shows the command with its parameters in clear."""
    [command] = json.loads(aws(f"aws ssm list-commands --command-id {sent}"))["Commands"]
    assert command["Parameters"]["commands"] == ["echo hello; psql --version"]


def test_cancel_command_kills_the_whole_group(aws):
    """cancel-command ends the command and everything it started."""
    shown = json.loads(
        aws(
            f"id=$({SEND} --parameters 'commands=[\"sleep 31412 & sleep 31413 & wait\"]' --output text)\n"
            "until grep -azxqs '3141[3]' /proc/[0-9]*/cmdline; do sleep 0.05; done\n"
            "aws ssm cancel-command --command-id $id\n"
            "while grep -azxqs '3141[23]' /proc/[0-9]*/cmdline; do sleep 0.05; done\n"
            "aws ssm get-command-invocation --command-id $id --instance-id $(cat id)"
        )
    )
    assert shown["Status"] == "Cancelled"
