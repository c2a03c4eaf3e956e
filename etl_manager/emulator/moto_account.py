"""The only place that knows moto: the control plane, and what the emulated account holds."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from etl_manager.emulator.own_session import own_session

CLUSTER_STACK = "AuroraPostgresStack"  # AWS: aws-samples/zero-etl-architecture-patterns, as the two below
HOST_STACK = "AuroraPostgresClientHostStack"
INSTANCE_OUTPUT = "AuroraPostgresClientHostStackEC2InstanceId"
INSTANCE_NAME = "AuroraPostgresClientHost"
SECRET = "AuroraPostgresSecret"  # noqa: S105  # its name
CLUSTER = "aurora-postgres-cluster"


_loading = threading.Lock()
"""What moto imports is changed while it is imported: one thread at a time."""


def load() -> None:
    """Import what answering takes, half a second's work; callable in a thread while something else starts."""
    with _loading, _own_session():
        import moto.settings

        # Loading the list of public images takes seconds, and nothing here asks for one.
        moto.settings.ec2_load_default_amis = lambda: False
        with _without_catalogues():
            import moto.ec2.models
        import moto.cloudformation.models
        import moto.core.utils
        import moto.rds.models
        import moto.secretsmanager.models


@contextmanager
def _own_session() -> Iterator[None]:
    """Have what moto imports ask one session for regions: the operator's profile is not read, and a quarter second saved.

    moto asks for regions and services only; it would make a session of boto3's default chain each time.
    """
    import boto3

    new_session = boto3.Session
    session = boto3.session.Session(botocore_session=own_session())
    boto3.Session = lambda: session  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        boto3.Session = new_session  # type: ignore[misc]


@contextmanager
def _without_catalogues() -> Iterator[None]:
    """Import moto's EC2 without its catalogue of instance types, which nothing here asks for: 0.2 s of every run."""
    import moto.utilities.utils as utilities

    load_resource = utilities.load_resource
    utilities.load_resource = lambda resource: {} if "instance_types" in resource else []
    try:
        yield
    finally:
        utilities.load_resource = load_resource


def application() -> Any:
    """Return moto as a WSGI application for all services."""
    load()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)


def furnish(*, account: str, region: str, instance_id: str, host: str, port: int, username: str, password: str) -> None:
    """Put into the account what Phase 1 leaves: cluster, secret, bastion, and the two stacks that name them.

    The stacks hold outputs only: moto's CloudFormation cannot make a cluster or a secret, so they are made beside it.
    """
    secret = _secret(account, region, host=host, port=port, username=username, password=password)
    cluster = _cluster(account, region, port, username, password)
    _instance(account, region, instance_id)
    outputs = {"DBClusterEndpoint": f"{host}:{port}", "DBSecretName": secret, "DBClusterArn": cluster}
    _stack(account, region, CLUSTER_STACK, outputs)
    _stack(account, region, HOST_STACK, {INSTANCE_OUTPUT: instance_id})


def _backend(service: str, account: str, region: str) -> Any:
    from moto.backends import get_backend

    return get_backend(service)[account][region]  # type: ignore[call-overload]


def _secret(account: str, region: str, *, host: str, port: int, username: str, password: str) -> str:
    """Make the attached form of secret (AWS: reference_secret_json_structure)."""
    content = {
        "username": username,
        "password": password,
        "engine": "postgres",
        "host": host,
        "port": port,
        "dbClusterIdentifier": CLUSTER,
    }
    _backend("secretsmanager", account, region).create_secret(
        name=SECRET,
        secret_string=json.dumps(content),
        secret_binary=None,
        description=None,
        tags=[],
        kms_key_id=None,
        client_request_token=None,
        replica_regions=[],
        force_overwrite=False,
    )
    return SECRET


def _cluster(account: str, region: str, port: int, username: str, password: str) -> str:
    cluster = _backend("rds", account, region).create_db_cluster(
        {
            "db_cluster_identifier": CLUSTER,
            "engine": "aurora-postgresql",
            "engine_version": "16.6",
            "port": port,
            "master_username": username,
            "master_user_password": password,
        }
    )
    return str(cluster.db_cluster_arn)


def _instance(account: str, region: str, instance_id: str) -> None:
    backend = _backend("ec2", account, region)
    reservation = backend.run_instances(
        "ami-0e5ca1ab1e0ba5710",
        1,
        None,
        [],
        instance_type="t3.medium",
        is_instance_type_default=True,  # skips a search through all instance types
        tags={"instance": {"Name": INSTANCE_NAME}},
    )
    instance = reservation.instances[0]
    # moto rolls ids by itself; the bastion's is known beforehand.
    backend.tags[instance_id] = backend.tags.pop(instance.id, {"Name": INSTANCE_NAME})
    instance.id = instance_id
    reservation.instances[0] = instance


def _stack(account: str, region: str, name: str, outputs: dict[str, str]) -> None:
    template = {"Resources": {}, "Outputs": {key: {"Value": value} for key, value in outputs.items()}}
    _backend("cloudformation", account, region).create_stack(name, json.dumps(template), {})
