"""Find the cluster, its credentials and the bastion: from the stacks' outputs, tags and the configuration.

What is found and what is missing goes into one table, the preflight, before anything is changed.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from etl_manager import redaction
from etl_manager.aws.errors import aws_errors
from etl_manager.config import Config
from etl_manager.config.model import host_and_port
from etl_manager.errors import DiscoveryError, ProvisioningError
from etl_manager.wording import enumeration


@dataclass(frozen=True)
class Credentials:
    """User and password. The password is in no repr, and masked everywhere from here on."""

    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        """Register the password as a secret; refuse what a pgpass file cannot hold."""
        if any(character in self.user + self.password for character in "\n\r\0"):
            raise DiscoveryError(
                "The user name or password holds a line break or NUL, which PostgreSQL's password file cannot carry",
                hint="Rotate the secret to a password without control characters.",
            )
        redaction.register(self.password)

    def current(self) -> Credentials:
        """Return these credentials: a password does not expire."""
        return self


TOKEN_RENEWAL_SECONDS = 600
"""The age at which an IAM token is renewed. It is valid for 15 minutes (AWS: Aurora user guide, "IAM database
authentication"); the rest is for the command to be delivered and to connect. An open connection outlives its token."""


class TokenCredentials:
    """Credentials whose password is an IAM token, renewed when it is older than `TOKEN_RENEWAL_SECONDS`.

    Args:
        user: The database user; it needs the role ``rds_iam``.
        make: Makes a token.
        clock: Returns wall-clock seconds: AWS counts a token's age also while this machine sleeps.
    """

    def __init__(self, user: str, make: Callable[[], str], clock: Callable[[], float] = time.time) -> None:
        self.user = user
        self._make = make
        self._clock = clock
        self._made: tuple[float, Credentials] | None = None

    def current(self) -> Credentials:
        """Return credentials that are valid for a command sent now."""
        now = self._clock()
        if self._made is None or not 0 <= now - self._made[0] < TOKEN_RENEWAL_SECONDS:
            self._made = (now, Credentials(self.user, self._make()))
        return self._made[1]


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to connect to the database."""

    host: str
    port: int
    credentials: Credentials | TokenCredentials
    sslmode: str = "prefer"
    ca_bundle: str | None = None


SUBJECTS = ("caller", "region", "stack", "endpoint", "secret", "bastion", "psql", "PostgreSQL")
"""The rows of the table, in order."""
NOT_CHECKED = "not looked at"


@dataclass
class Check:
    """One line of the table: what was *found*, or the *error*."""

    found: str = NOT_CHECKED
    error: ProvisioningError | None = None


class Preflight:
    """Collects what was found and what is missing, so that one error names all of it."""

    def __init__(self) -> None:
        self.rows = {subject: Check() for subject in SUBJECTS}

    @contextmanager
    def row(self, subject: str) -> Iterator[Check]:
        """Give the row of *subject* to fill in; a `ProvisioningError` is kept in it until `check`."""
        row = self.rows[subject]
        try:
            yield row
        except ProvisioningError as error:
            row.error = error
            row.found = "MISSING: " + error.message.splitlines()[0].removeprefix("[ERROR] ")

    def check(self) -> None:
        """Raise what is missing.

        Raises:
            ProvisioningError: The one error there was.
            DiscoveryError: All of them, with all remedies.
        """
        errors = [row.error for row in self.rows.values() if row.error]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            first, *others = errors
            where = {name: value for error in reversed(errors) for name, value in error.context.items()}
            raise DiscoveryError(
                "\n".join([first.message, *(f"also: {error.message}" for error in others)]),
                context=where,
                hint="\n".join(error.hint for error in errors),
            )

    def lines(self, title: str) -> list[str]:
        """Return the table."""
        return [f"preflight: {title}", *(f"  {subject:<10}  {row.found}" for subject, row in self.rows.items())]


USABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
ENDPOINT, SECRET, CLUSTER_ARN, INSTANCE = "DBClusterEndpoint", "DBSecretName", "DBClusterArn", "EC2InstanceId"
"""What the keys of the outputs contain (the usual CDK stacks put their own name before it)."""
CONFIG_KEYS = {
    ENDPOINT: "aurora.endpoint, with aurora.secretName",
    SECRET: "aurora.secretName",
    INSTANCE: "bastion.instanceId",
}
"""The key of config.json that replaces an output."""
UNUSABLE_REMEDY = "A stack in another state is not used: wait until what is under way has ended, or repair the stack.\n"

NO_ENDPOINT = "[ERROR] Could not retrieve Aurora endpoint from CloudFormation"

_OTHER_KEY = re.compile(r"(?:Doc|Document|Memory|Neptune|Dynamo|Influx)$", re.IGNORECASE)
"""What precedes ``DBCluster…`` in the outputs of other products: DocDB, MemoryDB, Neptune …"""
_OTHER_HOST = re.compile(r"\.(?:docdb|neptune|memorydb|cache|redshift)\.(?:[a-z0-9-]+\.)*amazonaws\.", re.IGNORECASE)
"""An endpoint of another product of AWS's, whatever its output is called; Aurora's are under ``rds``."""


@dataclass(frozen=True)
class Stack:
    """A stack, with its outputs by their keys."""

    name: str
    status: str
    outputs: Mapping[str, str]

    def candidates(self, part: str) -> dict[str, str]:
        """Return the output whose key is *part*, or else those whose key contains it and that may be Aurora's."""
        found = {
            key: value
            for key, value in self.outputs.items()
            if part in key
            and not (part.startswith("DB") and _OTHER_KEY.search(key.partition(part)[0]))
            and not (part == ENDPOINT and _OTHER_HOST.search(value))
        }
        return {part: found[part]} if part in found else found

    def output(self, part: str) -> str | None:
        """Return the one output that fits *part*; None without one.

        Raises:
            DiscoveryError: When several could be it and their values differ.
        """
        found = self.candidates(part)
        if len(set(found.values())) > 1:
            decides = f"Name it in config.json: {CONFIG_KEYS[part]}.\n" if part in CONFIG_KEYS else ""
            raise DiscoveryError(
                f"Several outputs of the stack could be its {part}: {', '.join(sorted(found))}",
                context={"stack": self.name},
                hint=f"{decides}Or call the output that is meant exactly {part}.",
            )
        return next(iter(found.values()), None)


NO_STACK = Stack("", "", {})
"""In place of the cluster's stack where the configuration itself names the cluster."""


def read_stacks(config: Config, client: Any) -> list[Stack]:
    """Return the stacks that cluster and bastion may be in: those *config* names where it names both, else all.

    Raises:
        DiscoveryError: When CloudFormation refuses, or cannot be reached.
    """
    names = {config.aurora.stack_name} if config.aurora.endpoint is None else set()
    names |= {config.bastion.stack_name} if config.bastion.instance_id is None else set()
    if None not in names:
        return [stack for name in sorted(filter(None, names)) for stack in _find_stack(client, name)]
    with aws_errors("CloudFormation", "DescribeStacks", f"all stacks of {config.region}"):
        pages = client.get_paginator("describe_stacks").paginate()
        return [_stack(found) for page in pages for found in page["Stacks"]]


def _find_stack(client: Any, name: str) -> list[Stack]:
    """Return the stack called *name*; none where there is no such stack."""
    try:
        with aws_errors("CloudFormation", "DescribeStacks", name):
            return [_stack(found) for found in client.describe_stacks(StackName=name)["Stacks"]]
    except DiscoveryError as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and cause.response["Error"]["Code"] == "ValidationError":
            return []  # AWS: DescribeStacks, of a name that does not exist
        raise


def _stack(found: Mapping[str, Any]) -> Stack:
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
    return Stack(found["StackName"], found["StackStatus"], outputs)


def aurora_stack(config: Config, stacks: list[Stack]) -> Stack:
    """Return the stack of the cluster; `NO_STACK` where the configuration names its endpoint.

    Stacks that name the same endpoint are one cluster, as a nested stack and the one around it.

    Raises:
        DiscoveryError: When none can be used, or several name clusters of their own.
    """
    if config.aurora.endpoint is not None:
        return NO_STACK
    usable = {
        stack.name: (stack, set(endpoints.values()))
        for stack in stacks
        if config.aurora.stack_name in (None, stack.name) and stack.status in USABLE
        if (endpoints := stack.candidates(ENDPOINT))
    }
    if len(usable) > 1 and len(set.union(*(endpoints for _, endpoints in usable.values()))) > 1:
        raise DiscoveryError(
            f"{len(usable)} stacks have an Aurora endpoint: {', '.join(sorted(usable))}",
            context={"region": config.region},
            hint="Name the one that is meant in config.json: aurora.stackName",
        )
    if usable:
        return min(
            (stack for stack, _ in usable.values()), key=lambda stack: (not stack.candidates(SECRET), stack.name)
        )
    others = describe_unusable(stacks, config.aurora.stack_name, ENDPOINT)
    wanted = f" called {config.aurora.stack_name} (aurora.stackName)" if config.aurora.stack_name else ""
    raise DiscoveryError(
        NO_ENDPOINT,
        context={
            "region": config.region,
            "stacks seen": len(stacks),
            "not usable": others,
            "not Aurora": ", ".join(
                f"{stack.name} ({key})"
                for stack in stacks
                if stack.status in USABLE
                for key in sorted(stack.outputs)
                if ENDPOINT in key and key not in stack.candidates(ENDPOINT)
            ),
        },
        hint=(UNUSABLE_REMEDY if others else "")
        + (
            f"No stack{wanted} in CREATE_COMPLETE or UPDATE_COMPLETE has an output whose key contains {ENDPOINT}.\n"
            "Phase 1 may not be complete, or the cluster not running: look with\n"
            f"aws cloudformation describe-stacks --region {config.region} --query 'Stacks[].[StackName,StackStatus]'\n"
            "A cluster without a stack: aurora.endpoint and aurora.secretName in config.json.\n"
            "Another region: --aws-region, or project.region in config.json."
        ),
    )


def describe_unusable(stacks: list[Stack], name: str | None, part: str) -> str:
    """Return which stacks are in a state that is not used, in words: the one called *name*, or all without one.

    Those with an output like *part* come first; one that is being created, or failed to be, has no outputs.
    """
    others = [stack for stack in stacks if stack.status not in USABLE and name in (None, stack.name)]
    others.sort(key=lambda stack: (not stack.candidates(part), stack.name))
    found = [f"{stack.name} is {stack.status}" for stack in others]
    return enumeration(found)


def endpoint(config: Config, stack: Stack) -> tuple[str, int | None]:
    """Return host and port of the cluster, configured or an output; no port where that is the host alone.

    Raises:
        DiscoveryError: When the output cannot be read.
    """
    if config.aurora.endpoint is not None:
        return host_and_port(config.aurora.endpoint)
    text = (stack.output(ENDPOINT) or "").strip()
    try:
        return host_and_port(text)
    except ValueError:
        raise DiscoveryError(
            f"The Aurora endpoint of the stack cannot be read: {text!r}",
            context={"stack": stack.name},
            hint="The output must be host:port, or host.",
        ) from None


MAX_PORT = 65535

ClientFor = Callable[[str], Any]
"""Returns the boto3 client of a service."""


def find_secret_name(stack: Stack, client: ClientFor) -> str:
    """Return the name or ARN of the secret of the cluster of *stack*: an output, or else the one RDS manages.

    Raises:
        DiscoveryError: When there is neither.
    """
    if found := stack.output(SECRET):
        return found
    if arn := stack.output(CLUSTER_ARN):
        with aws_errors("RDS", "DescribeDBClusters", arn):
            clusters = client("rds").describe_db_clusters(DBClusterIdentifier=arn)["DBClusters"]
        if managed := clusters and clusters[0].get("MasterUserSecret", {}).get("SecretArn"):
            return str(managed)
    raise DiscoveryError(
        "[ERROR] Could not retrieve Aurora secret name from CloudFormation",
        context={"stack": stack.name, "outputs": ", ".join(sorted(stack.outputs))},
        hint=(
            f"The stack needs an output whose key contains {SECRET}, or one with {CLUSTER_ARN} where RDS manages the "
            "master user's secret.\nOr name it in config.json: aurora.secretName"
        ),
    )


def read_secret(client: Any, secret: str, master_username: str) -> tuple[Credentials, str | None, int | None]:
    """Return the credentials in *secret* and its cluster's host and port; *master_username* is the user where it names none.

    An attached secret names host and port; one that RDS manages holds user and password only (AWS: Secrets Manager user
    guide, "JSON structure of secrets").

    Raises:
        DiscoveryError: When it may not be read, or is not the secret of a cluster.
    """
    with aws_errors("Secrets Manager", "GetSecretValue", secret):
        answer = client.get_secret_value(SecretId=secret)
    remedy = f"Secret {secret} must hold JSON with password, username where it is not {master_username}, and a port from 1 to {MAX_PORT} if any."
    try:
        content = json.loads(answer.get("SecretString") or "")
    except json.JSONDecodeError:
        # The decoder's message and its cause would quote the secret: both are dropped.
        raise DiscoveryError("The secret of the cluster is not JSON", context={"secret": secret}, hint=remedy) from None
    password = content.get("password") if isinstance(content, dict) else None
    if not isinstance(password, str) or not password:
        raise DiscoveryError("The secret of the cluster holds no password", context={"secret": secret}, hint=remedy)
    port = str(content.get("port") or "")
    if port.isdigit() and not 0 < int(port) <= MAX_PORT:
        raise DiscoveryError(
            f"The secret of the cluster names the port {port}", context={"secret": secret}, hint=remedy
        )
    credentials = Credentials(str(content.get("username") or master_username), password)
    return credentials, str(content.get("host") or "") or None, int(port) if port.isdigit() else None


def iam_credentials(client: Any, host: str, port: int, user: str, region: str) -> TokenCredentials:
    """Return credentials that sign their own IAM tokens; that takes no call to AWS."""

    def make() -> str:
        with aws_errors("RDS", "GenerateDBAuthToken", user):
            return str(client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user, Region=region))

    return TokenCredentials(user, make)


NAME_TAGS = ("*bastion*", "*Bastion*", "*ClientHost*")
"""Values of the Name tag that identify a bastion where no stack names it."""


def find_bastion(config: Config, stacks: list[Stack], client: ClientFor) -> str:
    """Return the bastion's instance id: configured, or from a stack's output, or from the Name tag of an instance.

    Raises:
        DiscoveryError: When there is none, or several may be it.
    """
    if config.bastion.instance_id:
        return config.bastion.instance_id
    named = config.bastion.stack_name
    candidates = {
        instance_id: f"stack {stack.name}, {key}"
        for stack in stacks
        if stack.status in USABLE and named in (None, stack.name)
        for key, instance_id in stack.candidates(INSTANCE).items()
    }
    if not candidates and named is None:
        candidates = dict(_tagged_instances(client("ec2")))
    if len(candidates) == 1:
        return next(iter(candidates))
    others = "" if candidates else describe_unusable(stacks, named, INSTANCE)
    listed = ", ".join(f"{instance_id} ({origin})" for instance_id, origin in sorted(candidates.items()))
    raise DiscoveryError(
        f"{len(candidates)} instances could be the bastion: {listed}" if candidates else "No bastion was found",
        context={"region": config.region, "bastion.stackName": named, "not usable": others},
        hint=(UNUSABLE_REMEDY if others else "")
        + (
            "Name it in config.json: bastion.instanceId, or bastion.stackName for the stack that has it.\n"
            f"Otherwise a stack needs an output whose key contains {INSTANCE}, "
            f"or one running instance a Name like {' or '.join(NAME_TAGS)}."
        ),
    )


def _tagged_instances(client: Any) -> Iterator[tuple[str, str]]:
    filters = [
        {"Name": "tag:Name", "Values": list(NAME_TAGS)},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    with aws_errors("EC2", "DescribeInstances", "bastion"):
        for page in client.get_paginator("describe_instances").paginate(Filters=filters):
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    yield instance["InstanceId"], "its Name tag"


def check_agent(client: Any, instance_id: str) -> str:
    """Return the version of the bastion's agent, before anything is sent to it.

    Raises:
        DiscoveryError: When it is not online.
    """
    with aws_errors("SSM", "DescribeInstanceInformation", instance_id):
        answer = client.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance_id]}])
    nodes = answer["InstanceInformationList"]
    status = nodes[0]["PingStatus"] if nodes else "not a managed node, stopped, or in another region"
    if status != "Online":
        raise DiscoveryError(
            f"The SSM agent of the bastion is not online: {status}",
            context={"instance": instance_id},
            hint=(
                f"Is the instance running? aws ec2 describe-instance-status --instance-ids {instance_id}\n"
                "Its role needs AmazonSSMManagedInstanceCore, and it a way to the SSM endpoints: docs/aws.md has both."
            ),
        )
    return str(nodes[0].get("AgentVersion", ""))


UNAVAILABLE = frozenset({"stopped", "stopping", "starting", "creating", "deleting", "failed"})
"""Statuses in which a cluster takes no connection (AWS: Aurora user guide, "Viewing DB cluster status")."""


@dataclass(frozen=True, kw_only=True)
class DiscoveredCluster:
    """What discovery found.

    Attributes:
        caller: The ARN of the credentials in use.
        stack: The stack that names the cluster; empty where the configuration does.
        cluster_arn: Empty where the stack does not have it.
        secret: The name of the cluster's secret; empty where IAM tokens are used.
        instance_id: The bastion.
    """

    caller: str
    stack: str
    cluster_arn: str
    secret: str
    instance_id: str
    agent_version: str
    connection: Connection

    @property
    def password_is_ordinary(self) -> bool:
        """Whether the password cannot be masked without harm; a token always can."""
        credentials = self.connection.credentials
        return isinstance(credentials, Credentials) and redaction.is_ordinary(credentials.password)

    @property
    def account(self) -> str:
        """The AWS account of the credentials in use."""
        return self.caller.split(":")[4]


def discover(config: Config, client: ClientFor, preflight: Preflight, *, emulated: bool) -> DiscoveredCluster:
    """Find cluster, credentials and bastion, and fill in the table of *preflight*.

    Independent parts are all checked, so that one error names everything that is missing.

    Args:
        config: Names of cluster and bastion where they are configured, and the region.
        client: Returns the boto3 client of a service.
        preflight: Its table is filled in.
        emulated: Whether something else than AWS answers: then RDS is not called for the engine.

    Raises:
        DiscoveryError: When something cannot be found or read.
    """
    preflight.rows["region"].found = config.region
    with preflight.row("caller") as row, aws_errors("STS", "GetCallerIdentity", "these credentials"):
        row.found = caller = str(client("sts").get_caller_identity()["Arn"])
    preflight.check()  # without credentials nothing can be found
    all_stacks: list[Stack] = []
    with preflight.row("stack") as row:
        row.found = "not needed: config.json names cluster and bastion"
        if config.aurora.endpoint is None or config.bastion.instance_id is None:
            all_stacks = read_stacks(config, client("cloudformation"))
            row.found = "not needed: aurora.endpoint names the cluster"
    preflight.check()
    stack: Stack | None = None
    with preflight.row("stack") as row:
        stack = aurora_stack(config, all_stacks)
        if stack is not NO_STACK:
            row.found = f"{stack.name} ({stack.status})"
    cluster = _cluster(config, stack, client, preflight, emulated=emulated) if stack else None
    with preflight.row("bastion") as row:
        instance_id = find_bastion(config, all_stacks, client)
        row.found = instance_id
        agent_version = check_agent(client("ssm"), instance_id)
        row.found = f"{instance_id} Online, agent {agent_version}"
    preflight.check()
    if stack is None or cluster is None:
        raise AssertionError
    secret_name, connection = cluster
    return DiscoveredCluster(
        caller=caller,
        stack=stack.name,
        cluster_arn=stack.output(CLUSTER_ARN) or "",
        secret=secret_name,
        instance_id=instance_id,
        agent_version=agent_version,
        connection=connection,
    )


def _cluster(
    config: Config, stack: Stack, client: ClientFor, preflight: Preflight, *, emulated: bool
) -> tuple[str, Connection] | None:
    """Return the name of the cluster's secret and how to connect; None where *preflight* has an error.

    What *config* does not name comes from *stack*.
    """
    with preflight.row("PostgreSQL") as row:
        row.found = "known after the first connection" if emulated else _engine(client, stack)
    credentials: Credentials | TokenCredentials | None = None
    host, port, secret_name = "", None, ""
    with preflight.row("endpoint") as row:
        host, port = endpoint(config, stack)
        row.found = host
    with preflight.row("secret") as row:
        if config.aurora.credentials == "iam":
            user = config.aurora.master_username
            credentials = iam_credentials(
                client("rds"), host, port or config.aurora.connection.port, user, config.region
            )
            row.found = f"none: an IAM token of {user}"
        else:
            secret_name = config.aurora.secret_name or find_secret_name(stack, client)
            row.found = secret_name
            credentials, meant, own_port = read_secret(
                client("secretsmanager"), secret_name, config.aurora.master_username
            )
            port = port or own_port
            other = f"; the secret itself is for {meant}" if meant not in (None, host) else ""
            row.found = f"{secret_name} (user {credentials.user}{other})"
    if credentials is None or not host:
        return None
    port = port or config.aurora.connection.port
    preflight.rows["endpoint"].found = f"{host}:{port}"
    return secret_name, Connection(
        host=host, port=port, credentials=credentials, sslmode=config.aurora.sslmode, ca_bundle=config.aurora.ca_bundle
    )


def _engine(client: ClientFor, stack: Stack) -> str:
    """Return engine, version and status of the cluster, as RDS has them; a refused call is no error here."""
    arn = stack.output(CLUSTER_ARN)
    if not arn:
        return f"known after the first connection (no stack has its {CLUSTER_ARN})"
    try:
        with aws_errors("RDS", "DescribeDBClusters", arn):
            [cluster, *_] = client("rds").describe_db_clusters(DBClusterIdentifier=arn)["DBClusters"]
    except DiscoveryError as error:
        return f"known after the first connection ({error.message})"
    status, name = str(cluster["Status"]), str(cluster["DBClusterIdentifier"])
    if status in UNAVAILABLE:
        raise DiscoveryError(
            f"The cluster {name} takes no connections: it is {status}",
            hint=f"Start it, or wait for it: aws rds start-db-cluster --db-cluster-identifier {name}",
        )
    return f"{cluster['EngineVersion']} ({cluster['Engine']}, {status})"
