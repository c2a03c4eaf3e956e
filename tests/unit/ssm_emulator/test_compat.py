"""The private parts of moto that the emulator uses: what would break with another version of moto."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys

import pytest

from ssm_emulator import SandboxHost, SsmEmulator
from tests.unit.ssm_emulator.conftest import INSTANCE

FIRST_CALLS = """
import json, os, sys, traceback
from pathlib import Path
from ssm_emulator import SandboxHost, SsmEmulator

def run_command(emulator):
    ssm = emulator.client("ssm")
    ssm.send_command(InstanceIds=[emulator.instance_id], DocumentName="AWS-RunShellScript",
                     Parameters={"commands": ["true"]})
    ssm.list_commands()
    before = "moto" in sys.modules
    emulator.client("sts").get_caller_identity()
    return before, "moto" in sys.modules

firsts = {
    "ssm": run_command,
    "ec2": lambda emulator: emulator.client("ec2").describe_regions() and None,
    "rds": lambda emulator: emulator.client("rds").describe_db_clusters() and None,
    "s3": lambda emulator: emulator.client("s3").list_buckets() and None,
}
assert "moto" not in sys.modules
for name, first in firsts.items():
    if os.fork() == 0:  # a process of its own for each, as it is after the imports
        try:
            with SsmEmulator({"i-0123456789abcdef0": SandboxHost(Path(sys.argv[1], name))}) as emulator:
                told = first(emulator)
        except BaseException:
            told = traceback.format_exc()
        print(json.dumps([name, told]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def first_calls(tmp_path_factory) -> dict[str, object]:
    """What became of the first call of a process that has not imported moto, with a profile that does not exist."""
    for name in ("ssm", "ec2", "rds", "s3"):
        (folder := tmp_path_factory.getbasetemp() / "first" / name).mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", FIRST_CALLS, folder.parent], env={**os.environ, "AWS_PROFILE": "none"},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""
    return dict(map(json.loads, done.stdout.splitlines()))


def test_moto_is_loaded_by_the_first_call_that_needs_it(first_calls):
    """Run Command alone does not wait for moto's import."""
    assert first_calls["ssm"] == [False, True]


@pytest.mark.parametrize("service", ["ec2", "rds", "s3"])
def test_operators_profile_is_not_read_for_a_service_that_is_loaded_late(first_calls, service):
    """A profile that does not exist breaks no call, whichever service the first one is of."""
    assert first_calls[service] is None


def test_dispatcher_of_all_services():
    """`DomainDispatcherApplication` takes what makes the application of a service, and is WSGI."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    assert list(inspect.signature(DomainDispatcherApplication).parameters) == ["create_app"]
    assert callable(create_backend_app)
    assert list(inspect.signature(DomainDispatcherApplication.__call__).parameters)[1:] == ["environ", "start_response"]


def test_account_is_chosen_by_a_header(tmp_path):
    """`X-Moto-Account-Id`: without it all emulators of a process would be one account."""
    with SsmEmulator({INSTANCE: SandboxHost(tmp_path)}) as emulator:
        assert emulator.client("sts").get_caller_identity()["Account"] == emulator.account


def test_backend_of_ec2():
    """`get_backend` by account and region; an instance has an id that can be set, and tags are kept by id."""
    from moto.backends import get_backend

    backend = get_backend("ec2")["111122223333"]["us-east-1"]
    [instance] = backend.run_instances(
        "ami-1", 1, None, [], instance_type="t3.medium", is_instance_type_default=True, tags={}
    ).instances
    assert instance.id.startswith("i-")
    assert instance in backend.all_instances()
    assert isinstance(backend.tags, dict)
    with pytest.raises(AttributeError):
        type(instance).id  # noqa: B018  # no property: it is set


def test_names_of_buckets_are_given_back(tmp_path):
    """`bucket_accounts` holds the bucket names of all accounts: what a stopped emulator held is free again."""
    for number in range(2):
        with SsmEmulator({INSTANCE: SandboxHost(tmp_path / str(number))}) as emulator:
            s3 = emulator.client("s3")
            s3.create_bucket(Bucket="one-name")
            assert s3.list_objects_v2(Bucket="one-name")["KeyCount"] == 0
            s3.put_object(Bucket="one-name", Key="key", Body=b"content")


BOTO3_OF_OTHERS = """
import threading
import boto3
from ssm_emulator import compat
plain, seen, done = boto3.Session, [], threading.Event()
def look():
    while not done.wait(0.001):
        seen.append(boto3.Session is plain and boto3.session.Session is plain)
looking = threading.Thread(target=look, daemon=True)
looking.start()
compat.preload()
compat.backend("rds", "111122223333", "us-east-1")
done.set()
looking.join()
import sys
import moto.ec2.models.availability_zones_and_regions as regions
assert "lark" not in sys.modules  # see make lock
print(len(seen) > 10, all(seen), len(regions.RegionsAndZonesBackend.regions) > 20)
"""


def test_boto3_is_as_ever_while_moto_is_imported():
    """Modules of moto are given a session of ours; what other threads have of boto3 is never another."""
    done = subprocess.run([sys.executable, "-c", BOTO3_OF_OTHERS], check=True, capture_output=True, text=True)
    assert done.stdout == "True True True\n"


def test_sessions_that_moto_makes():
    """`Session` in two modules, made in functions, and in one where a class is made: no other makes one while it is loaded."""
    from moto.core import base_backend, utils

    for function in (base_backend.AccountSpecificBackend.get_session, utils.service_name_from_moto_package_name):
        assert "Session" in inspect.unwrap(getattr(function, "__func__", function)).__code__.co_names
