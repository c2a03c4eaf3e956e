"""The emulated AWS in front of a bastion that a target made, holding what Phase 1 leaves."""

from __future__ import annotations

import atexit
import json
import threading
from pathlib import Path
from typing import Any, Protocol

from etl_manager.aws.clients import client_config, watch
from etl_manager.errors import ConfigError, TargetError, remedy
from etl_manager.targets import DEFAULT_REGION, TargetOptions
from etl_manager.targets.state import lock_state
from ssm_emulator import FaultError, Host, SsmEmulator
from ssm_emulator.faults import FaultInjector

CLUSTER_STACK = "AuroraPostgresStack"  # AWS: aws-samples/zero-etl-architecture-patterns, as the two below
HOST_STACK = "AuroraPostgresClientHostStack"
INSTANCE_OUTPUT = "AuroraPostgresClientHostStackEC2InstanceId"
INSTANCE_NAME = "AuroraPostgresClientHost"
SECRET = "AuroraPostgresSecret"  # noqa: S105  # its name
CLUSTER = "aurora-postgres-cluster"
DEFAULT_INSTANCE = "i-0e5ca1ab1e0ba5710"


class Cluster(Protocol):
    """What the emulated account says of the cluster."""

    host: str
    port: int
    user: str
    password: str


def load() -> threading.Thread:
    """Import moto in the background, about a second's work; join the thread before `start`."""
    from ssm_emulator.compat import preload

    thread = threading.Thread(target=preload, daemon=True)
    thread.start()
    return thread


class EmulatedTarget:
    """What the targets in front of an emulated AWS have in common: their state's lock, their begin and their end.

    Args:
        options: Its options.
        state: Its state's folder; one user at a time.

    Raises:
        ConfigError: When a fault is not known, or its value cannot be used; nothing was started.
        TargetError: When the state is in use, or something does not start; what was started is stopped.
    """

    name = ""
    emulated = True

    def __init__(self, options: TargetOptions, state: Path) -> None:
        try:
            FaultInjector(options.faults)
        except FaultError as error:
            raise ConfigError(error.problem, hint=error.hint) from error
        self.region = options.region or DEFAULT_REGION
        self.aws: SsmEmulator | None = None
        self._options = options
        self._lock = lock_state(state)
        atexit.register(self.close)
        try:
            self._start(state)
        except BaseException:
            self.close()
            raise

    def client(self, service: str, *, attempts: int | None = None) -> Any:
        """Return a boto3 client of *service* that talks to this target only, whatever the environment says."""
        if self.aws is None:
            raise TargetError(f"the {self.name} target is closed")
        return client(self.aws, service, attempts)

    def close(self) -> None:
        """Stop the emulated AWS with what its commands left running, then what is behind it; idempotent."""
        if self.aws is not None:
            self.aws.stop()
            self.aws = None
        try:
            self._stop()
        finally:
            self._lock.close()
            atexit.unregister(self.close)

    def _start(self, state: Path) -> None:
        """Start the bastion and the cluster, and the emulated AWS in front of them."""
        raise NotImplementedError

    def _stop(self) -> None:
        """Stop bastion and cluster, whatever of them was started."""
        raise NotImplementedError


def start(bastion: Host, cluster: Cluster, options: TargetOptions) -> SsmEmulator:
    """Return an emulated AWS that listens, with stacks and secret of *cluster* and the instance *bastion*.

    Raises:
        TargetError: When the port is taken.
    """
    instance_id = options.instance_id or DEFAULT_INSTANCE
    aws = SsmEmulator(
        {instance_id: bastion},
        tags={instance_id: {"Name": INSTANCE_NAME}},
        region=options.region or DEFAULT_REGION,
        port=options.port,
        latency=options.latency,
    )
    try:
        aws.start()
    except OSError as error:
        raise TargetError(
            f"the emulated AWS cannot listen on port {options.port}: {error.strerror}",
            hint=remedy(error, "Take another, or 0 for a free one"),
        ) from error
    try:
        seed(aws, cluster)
        aws.set_faults(options.faults)
    except BaseException:
        aws.stop()
        raise
    return aws


def client(aws: SsmEmulator, service: str, attempts: int | None) -> Any:
    """Return a boto3 client of *service* that talks to *aws* only, whatever the environment says."""
    made = aws.client(service, config=client_config(attempts, service))
    watch(made.meta.events)
    return made


def seed(aws: SsmEmulator, cluster: Cluster) -> None:
    """Put into the account what Phase 1 leaves beside the bastion: cluster, secret, and the two stacks.

    The stacks hold outputs only: moto's CloudFormation cannot make a cluster or a secret, so they are made beside it.
    """
    from ssm_emulator.compat import backend

    secret = {
        "username": cluster.user,
        "password": cluster.password,
        "engine": "postgres",
        "host": cluster.host,
        "port": cluster.port,
        "dbClusterIdentifier": CLUSTER,
    }  # the attached form (AWS: reference_secret_json_structure)
    aws.client("secretsmanager").create_secret(Name=SECRET, SecretString=json.dumps(secret))
    made = backend("rds", aws.account, aws.region).create_db_cluster(
        {
            "db_cluster_identifier": CLUSTER,
            "engine": "aurora-postgresql",
            "engine_version": "16.6",
            "port": cluster.port,
            "master_username": cluster.user,
            "master_user_password": cluster.password,
        }
    )
    outputs = {
        "DBClusterEndpoint": f"{cluster.host}:{cluster.port}",
        "DBSecretName": SECRET,
        "DBClusterArn": made.db_cluster_arn,
    }
    add_stack(aws, CLUSTER_STACK, outputs)
    add_stack(aws, HOST_STACK, {INSTANCE_OUTPUT: aws.instance_id})


def add_stack(aws: SsmEmulator, name: str, outputs: dict[str, str]) -> None:
    """Make the stack *name*, which has *outputs* and no resources."""
    template = {"Resources": {}, "Outputs": {key: {"Value": value} for key, value in outputs.items()}}
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
