"""The local target: one user at a time, everything of Phase 1 in place, nothing left behind but its state."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import pytest

from etl_manager.config import load
from etl_manager.errors import ConfigError, TargetError
from etl_manager.progress import NullProgress
from etl_manager.provisioning.startup import open_bastion
from etl_manager.targets import TargetOptions, open_target
from etl_manager.targets.local import forget
from etl_manager.targets.state import private_path
from tests.support import forks
from tests.support.haste import usual_places

ROOT = Path(__file__).parents[3]
REGION = "eu-central-1"
KILLED_RUN = """
import os, signal, sys, time
from pathlib import Path
from etl_manager.targets import TargetOptions, open_target
target = open_target("local", TargetOptions(region="eu-central-1", state=Path(sys.argv[1])))
target.client("ssm").send_command(
    InstanceIds=[target.aws.instance_id], DocumentName="AWS-RunShellScript",
    Parameters={"commands": ["echo $$ > /tmp/left; sleep 300"]})
left = Path(sys.argv[1]) / "bastion/tmp/left"
while not left.exists() or not left.read_text().endswith("\\n"):
    time.sleep(0.01)
print(target.postgres._process.pid, left.read_text(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def in_use(tmp_path_factory):
    """The folder of the state that `target` uses."""
    return tmp_path_factory.mktemp("local") / "a b'c"


@pytest.fixture(scope="module")
def target(in_use):
    opened = open_target("local", TargetOptions(region=REGION, state=in_use, master_username="master"))
    yield opened
    opened.close()
    forget(in_use)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A state of an earlier run, for tests that leave no more in it than a run does."""
    state = tmp_path_factory.mktemp("made") / "state"
    open_target("local", TargetOptions(region=REGION, state=state)).close()
    yield state
    forget(state)


WITNESS = """
import sys
from pathlib import Path
opened = []
def hook(event, words):
    if event == "open" and ".aws" in str(words[0]):
        opened.append(str(words[0]))
    if event == "socket.connect" and str(words[1]).startswith("('169.254."):
        opened.append(str(words[1]))
sys.addaudithook(hook)
from etl_manager.targets import TargetOptions, open_target
target = open_target("local", TargetOptions(state=Path(sys.argv[1])))
for service in ("sts", "ssm", "secretsmanager", "cloudformation", "rds", "ec2", "s3"):
    target.client(service)
print(target.client("sts").get_caller_identity()["Account"])
target.client("rds").describe_db_clusters()
target.client("ec2").describe_instances()
target.close()
assert opened == [], opened
"""


VARIABLES = {
    "AWS_PROFILE": "nobody",
    "AWS_DEFAULT_PROFILE": "nobody",
    "AWS_DEFAULTS_MODE": "nonsense",
    "AWS_STS_REGIONAL_ENDPOINTS": "nonsense",
    "AWS_CONFIG_FILE": ".aws/malformed",
    "AWS_SHARED_CREDENTIALS_FILE": ".aws/malformed",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:99999",
    "AWS_MAX_ATTEMPTS": "many",
}
"""Each breaks whoever reads it, on its own."""


def test_nothing_of_the_operators_aws_is_read(tmp_path):
    """Neither variables nor profiles nor files, however broken, and no instance metadata: no such file is opened."""
    state = tmp_path / "state"
    for name in ("config", "credentials", "malformed"):
        path = tmp_path / ".aws" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("[default\nregion")
    root = str(Path(__file__).parents[3])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-c", WITNESS, state],
        env={**kept, "HOME": str(tmp_path), "PYTHONPATH": root, **VARIABLES},
        cwd=tmp_path, check=False, capture_output=True, text=True,
    )  # fmt: skip
    with usual_places():
        forget(state)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "123456789012\n"


@pytest.mark.parametrize("obstacle", ["a file", "a file in it"])
def test_state_that_cannot_be_kept_is_one_message(tmp_path, obstacle):
    """The message names the folder and says what to do."""
    place = tmp_path / "state"
    if obstacle == "a file":
        place.touch()
    else:
        place.mkdir()
        (place / "postgres").touch()
    with pytest.raises(TargetError, match="cannot") as caught:
        open_target("local", TargetOptions(state=place))
    assert str(place) in str(caught.value)
    assert caught.value.hint


@pytest.fixture
def state(tmp_path):
    yield tmp_path / "state"
    forget(tmp_path / "state")


def runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def outputs(target) -> dict[str, str]:
    stacks = target.client("cloudformation").describe_stacks()["Stacks"]
    assert {stack["StackStatus"] for stack in stacks} == {"CREATE_COMPLETE"}
    return {each["OutputKey"]: each["OutputValue"] for stack in stacks for each in stack["Outputs"]}


def run(target, script: str) -> dict:
    ssm, instance = target.client("ssm"), target.aws.instance_id
    command = ssm.send_command(
        InstanceIds=[instance], DocumentName="AWS-RunShellScript", Parameters={"commands": [script]}
    )["Command"]["CommandId"]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for seen in ssm.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]:
            if seen["Status"] not in {"Pending", "InProgress"}:
                return seen["CommandPlugins"][0]
        time.sleep(0.02)
    pytest.fail(f"{script} is still running")


def test_says_what_it_is(target):
    """It is emulated, and says where it answers."""
    assert (target.name, target.emulated, target.region) == ("local", True, REGION)
    assert target.aws.endpoint_url.startswith("http://127.0.0.1:")


def test_stacks_name_what_phase_1_leaves(target):
    """The stacks' outputs name cluster, secret and bastion."""
    have = outputs(target)
    assert have["DBClusterEndpoint"] == f"127.0.0.1:{target.postgres.port}"
    assert have["AuroraPostgresClientHostStackEC2InstanceId"] == target.aws.instance_id
    assert {"DBSecretName", "DBClusterArn"} <= have.keys()
    arn = target.client("rds").describe_db_clusters()["DBClusters"][0]["DBClusterArn"]
    assert have["DBClusterArn"] == arn


def test_secret_opens_the_database(target):
    """The secret is of the attached form, and its words open the cluster."""
    name = outputs(target)["DBSecretName"]
    secret = json.loads(target.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])
    assert secret.keys() == {"username", "password", "engine", "host", "port", "dbClusterIdentifier"}
    assert (secret["username"], secret["engine"]) == ("master", "postgres")
    words = {key: secret[key] for key in ("host", "port", "password")}
    with psycopg.connect(**words, user=secret["username"], dbname="postgres") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_bastion_has_its_name(target):
    """The instance is found by its Name tag."""
    named = [{"Name": "tag:Name", "Values": ["AuroraPostgresClientHost"]}]
    [reservation] = target.client("ec2").describe_instances(Filters=named)["Reservations"]
    assert [each["InstanceId"] for each in reservation["Instances"]] == [target.aws.instance_id]


def test_bastion_reaches_the_database(target):
    """Psql on the bastion reaches the cluster, also where the state's path holds a blank and a quote."""
    done = run(target, f"PGPASSWORD=wrong psql -h 127.0.0.1 -p {target.postgres.port} -U master -w postgres")
    assert "password authentication failed" in done["Output"]


def test_witness(target):
    """The second witness gets a connection string of its own: the superuser's, who sees all rows."""
    with psycopg.connect(target.witness_conninfo("postgres")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("rdsadmin",)


def test_operators_aws_settings_mean_nothing(target, monkeypatch):
    """No profile, endpoint or proxy of the operator's comes in between."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "operator")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert target.client("sts").get_caller_identity()["Account"]


def test_second_user_is_told_who_the_first_is(target, in_use):
    """The state has one user at a time; the error names the process and since when it has it."""
    with pytest.raises(TargetError, match=rf"in use by process {os.getpid()} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d"):
        open_target("local", TargetOptions(region=REGION, state=in_use))
    assert target.client("sts").get_caller_identity()["Account"]  # the first goes on


def test_close_leaves_only_the_state(state):
    """After close nothing runs or listens; the next one finds the data; reset forgets it.

    A state directory may hold other things: neither a first start nor a reset nor forgetting touches them.
    """
    (state / "thesis").mkdir(parents=True)
    (state / "thesis/chapter").write_text("one")
    options = TargetOptions(region=REGION, state=state)
    first = open_target("local", options)
    server, endpoint = first.postgres._process.pid, first.aws.endpoint_url
    with psycopg.connect(first.witness_conninfo("postgres")) as connection:
        connection.execute("CREATE TABLE kept ()")
    run(first, "touch /tmp/kept")
    first.close()
    first.close()
    assert not runs(server)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(endpoint)  # noqa: S310

    again = open_target("local", options)
    with psycopg.connect(again.witness_conninfo("postgres")) as connection:
        assert connection.execute("SELECT to_regclass('kept') IS NOT NULL").fetchone() == (True,)
    assert run(again, "ls /tmp")["Output"] == "kept\n"
    again.close()

    fresh = open_target("local", TargetOptions(region=REGION, state=state, reset=True))
    with psycopg.connect(fresh.witness_conninfo("postgres")) as connection:
        assert connection.execute("SELECT to_regclass('kept') IS NULL").fetchone() == (True,)
    assert run(fresh, "ls /tmp")["Output"] == ""
    fresh.close()
    forget(state)
    assert [path.name for path in state.iterdir()] == ["thesis"]
    assert (state / "thesis/chapter").read_text() == "one"


def test_killed_run_is_cleaned_up_after(made, tmp_path):
    """What a killed run left, server and commands, is gone once the next one has started."""
    (tmp_path / "killed.py").write_text(KILLED_RUN)
    killed = forks.run("killed", made, cwd=tmp_path, env=os.environ)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = [int(pid) for pid in killed.stdout.split()]
    assert [runs(pid) for pid in left] == [True, True]
    target = open_target("local", TargetOptions(region=REGION, state=made))
    target.close()
    assert [runs(pid) for pid in left] == [False, False]


@pytest.mark.parametrize("name", ["plain", "a b'c"])
def test_state_that_was_removed_by_hand(tmp_path, name):
    """When somebody removed the state directory, nothing of it comes back from where else it lives."""
    state = tmp_path / name
    options = TargetOptions(region=REGION, state=state)
    first = open_target("local", options)
    run(first, "touch /tmp/kept")
    first.close()
    shutil.rmtree(state)
    fresh = open_target("local", options)
    with psycopg.connect(fresh.witness_conninfo("postgres")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert run(fresh, "ls /tmp")["Output"] == ""
    fresh.close()
    forget(state)
    assert not state.exists()
    assert not private_path(state / "bastion", "bastion").exists()


def test_forget_does_not_take_it_from_under_a_user(target, in_use):
    """What is in use is not forgotten."""
    with pytest.raises(TargetError, match="in use"):
        forget(in_use)
    with psycopg.connect(target.witness_conninfo("postgres")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_instance_id_can_be_given(made):
    """The bastion answers under the id that was asked for."""
    target = open_target("local", TargetOptions(region=REGION, state=made, instance_id="i-0123456789abcdef0"))
    try:
        [node] = target.client("ssm").describe_instance_information()["InstanceInformationList"]
        assert node["InstanceId"] == "i-0123456789abcdef0"
        assert outputs(target)["AuroraPostgresClientHostStackEC2InstanceId"] == "i-0123456789abcdef0"
    finally:
        target.close()


def test_taken_port(made):
    """A port that is taken is one error, and nothing stays behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TargetError, match=f"cannot listen on port {port}: Address already in use"):
            open_target("local", TargetOptions(region=REGION, state=made, port=port))
    assert not list(made.glob("postgres/data/postmaster.pid"))


def test_too_few_open_files_start_nothing(tmp_path):
    """What would fail then says anything but that; nothing is made."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, allowed[1]))
    try:
        with pytest.raises(
            TargetError, match=r"needs 128 open files in a process, and 100 are allowed\n.*ulimit -n 1024"
        ):
            open_target("local", TargetOptions(region=REGION, state=tmp_path / "state"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
    assert not (tmp_path / "state").exists()


def test_state_that_cannot_be_written_says_what_is_missing(tmp_path, monkeypatch):
    """A file system without space is no matter of permissions."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "state"))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(TargetError, match=r"No space left on device\n(.*\n)*.*df -i"):
        open_target("local", TargetOptions(region=REGION, state=tmp_path / "state"))


def test_unknown_fault_starts_nothing(tmp_path):
    """A fault that is not known is told before anything is made."""
    with pytest.raises(ConfigError, match="no fault 'thunder'"):
        open_target("local", TargetOptions(region=REGION, state=tmp_path / "state", faults=("thunder",)))
    assert not (tmp_path / "state").exists()


def test_unknown_target():
    """A target that is not known is one error."""
    with pytest.raises(TargetError, match="moon"):
        open_target("moon", TargetOptions(region=REGION))


def test_keys_of_the_real_cluster_are_unread(target):
    """One configuration serves AWS and the rehearsal: what the target made is known, whatever the file says of AWS's."""
    own = load(ROOT / "config.json", ROOT)
    real = {"endpoint": "real.example", "secret_name": "real", "stack_name": "Real"}
    told = {"aurora": real, "bastion": {"stack_name": "Real"}}
    found, _ = open_bastion(own.changed(**told), target, skip_copy=False, progress=NullProgress(), warn=lambda _: None)
    assert (found.connection.host, found.connection.port) == (target.postgres.host, target.postgres.port)
    assert found.stack == "AuroraPostgresStack"
