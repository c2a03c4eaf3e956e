"""Where a run takes place and what it did, for other processes that prove scenarios from it: nothing is sent a second time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from etl_manager.aws.discovery import ClientFor
from etl_manager.config import Config
from etl_manager.database.difference import Difference
from etl_manager.errors import InfrastructureError, ProvisioningError
from etl_manager.provisioning.sql_runner import Part, PartResult, SqlRunner
from etl_manager.ssm.script import SqlFileResult


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """The target, and what discovery found there.

    Attributes:
        target: ``local``, ``container`` or ``aws``.
        emulated: True whenever what answered is not AWS itself.
        account: The AWS account of the credentials in use.
        stack: The stack that names the cluster; empty where the configuration does.
        cluster_arn: The cluster's ARN, where the stack has it; else empty.
        host: The cluster's endpoint.
        client: Returns the boto3 client of a service.
    """

    target: str
    emulated: bool
    account: str
    region: str
    stack: str
    cluster_arn: str
    host: str
    port: int
    client: ClientFor = field(repr=False, compare=False)

    def offline(self) -> RunContext:
        """Return the same for a process that asks AWS nothing."""
        return replace(self, client=_refuse)


def _refuse(service: str) -> NoReturn:
    raise InfrastructureError(
        f"A worker of pytest-xdist asks AWS nothing: {service}",
        hint="Run without -n, or ask in a scenario that is no tenant's.",
    )


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What came back from the bastion, and what failed; it can be pickled.

    Attributes:
        results: Part of the run → what it did.
        failures: As `etl_manager.errors.Failures.ended`.
        rows: Schema and table → rows, where they were counted.
        environment: Where the run took place, without a way to ask AWS.
        verify_only: Whether the run changed nothing in the database.
    """

    results: Mapping[str, PartResult]
    failures: Mapping[str, tuple[str, str]]
    rows: dict[tuple[str, str], int | Difference] | None
    environment: RunContext
    verify_only: bool


class Replay(SqlRunner):
    """Stands where a `SqlRunner` would run SQL: what is asked for has been run, was reported, and is in the record."""

    def __init__(self, config: Config) -> None:
        """Have neither a bastion nor a connection."""
        self.config, self.attach = config, lambda *_: None  # it is in the report already

    def send(self, title: str, parts: Sequence[Part], *, inspection: str = "", closing: bool = False) -> NoReturn:  # noqa: ARG002
        """Refuse.

        Raises:
            ProvisioningError: Always.
        """
        raise ProvisioningError(
            f"Not run: {title}. The same scenario asked for nothing of the kind for the first tenant",
            hint="Run without -n: what a scenario asks for must be the same for each tenant.",
        )

    def read(self, title: str, part: PartResult, database: str) -> list[SqlFileResult]:  # noqa: ARG002
        """Return the results of the files of *part*, which did not fail: what failed is skipped."""
        return list(part.files)

    def attach_sql(self, part: Part) -> None:
        """Attach nothing: it is in the report already."""
