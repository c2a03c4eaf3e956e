"""A provisioned environment on real PostgreSQL and emulated AWS, and the gate held against it in this process."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from etl_manager.bastion.session import SqlFileResult
from etl_manager.database.snapshot import Catalogue, DatabaseSnapshot
from etl_manager.database.verification import Verification
from etl_manager.errors import NotApplicable, ProvisioningError
from etl_manager.gate.inputs import GateInputs
from etl_manager.gate.prerequisites import PREREQUISITES
from etl_manager.gate.verdict import PrerequisiteResult, ProofLog
from etl_manager.provisioning.record import RunContext
from etl_manager.provisioning.run import CATALOGUE, INSPECTION_SQL, ProvisioningRun
from tests.support import aws
from tests.support.aws import Cloud
from tests.support.cluster import DATABASE, PRISTINE
from tests.support.project import ROOT
from tests.support.runs import open_run
from tests.unit.gate.verdicts import CLUSTER_ARN

INTEGRATION = {
    "IntegrationName": "another",
    "SourceArn": "arn:aws:rds:us-east-1:123456789012:cluster:other",
    "TargetArn": "arn:aws:redshift-serverless:us-east-1:123456789012:namespace/1f2e3d4c-0000-4000-8000-000000000000",
    "Status": "active",
}


@dataclass
class FakeAws:
    """AWS, as far as RDS: it answers what the test wants it to, held by botocore's stubber against AWS's own model."""

    endpoint: str
    cluster: dict[str, Any]
    parameters: dict[str, str]
    integrations: list[dict[str, Any]]
    name: str = "aws"
    emulated: bool = False

    def client(self, service: str) -> Any:
        """Return a client that answers once to each call."""
        client: Any = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        stubber = Stubber(client)
        described = [{"ParameterName": name, "ParameterValue": value} for name, value in self.parameters.items()]
        stubber.add_response("describe_db_clusters", {"DBClusters": [{"Endpoint": self.endpoint, **self.cluster}]})
        stubber.add_response("describe_db_cluster_parameters", {"Parameters": described})
        stubber.add_response("describe_integrations", {"Integrations": self.integrations})
        stubber.activate()
        return client


@dataclass
class Environment:
    """A project and its provisioned environment, with the gate held against it; nothing is changed in the database."""

    cloud: Cloud
    run: ProvisioningRun
    provisioned: Sequence[SqlFileResult] = ()
    """What the verification sees of it as it was provisioned."""

    def look(self) -> Sequence[SqlFileResult]:
        """Run the verification on the bastion as a run does; the bastion stays open for the next test."""
        files = ("sql/aurora/verification/verify-setup.sql", INSPECTION_SQL, CATALOGUE)
        return self.run.sql_runner.run("verification", files, self.run.config.database)

    def back(self) -> None:
        """Put the databases back where they were changed."""
        if self.cloud.databases() != {"postgres", "template0", "template1", DATABASE, PRISTINE}:
            self.cloud.execute("DROP DATABASE IF EXISTS legacy", database="postgres")
        if DATABASE not in self.cloud.databases() or self.cloud.snapshot() != self.cloud.snapshot(PRISTINE):
            self.cloud.restore()

    def prove(
        self, target: FakeAws | None = None, looked: Sequence[SqlFileResult] = (), **changes: Any
    ) -> dict[str, PrerequisiteResult]:
        """Return what becomes of each prerequisite, on *target*, with *changes* of the configuration.

        The verification is that of *looked*, or one that is made now.
        """
        config, place = self.run.config.changed(**changes), self.run.environment
        if target is not None:
            place = replace(place, target=target.name, emulated=target.emulated, client=target.client)

        @cache
        def facts() -> GateInputs:
            printed, inspected, seen = looked or self.look()
            snapshot = DatabaseSnapshot.read(inspected.stdout)
            verification = Verification.read(printed.stdout, snapshot, live=False)
            return GateInputs(config, place, verification, Catalogue.read(seen.stdout), datetime.now(timezone.utc))

        return results(place, facts)

    def aws(self, **changes: Any) -> FakeAws:
        """Return the same environment as AWS would have it, all in order but for *changes*."""
        aws = FakeAws(
            endpoint=self.run.environment.host,
            cluster={
                "DBClusterArn": CLUSTER_ARN,
                "Engine": "aurora-postgresql",
                "EngineVersion": "16.6",
                "DBClusterParameterGroup": "analytics-pg",
                "DBClusterMembers": [
                    {"DBInstanceIdentifier": "reader", "IsClusterWriter": False},
                    {
                        "DBInstanceIdentifier": "writer",
                        "IsClusterWriter": True,
                        "DBClusterParameterGroupStatus": "in-sync",
                    },
                ],
            },
            parameters={
                "rds.logical_replication": "1",
                "aurora.enhanced_logical_replication": "1",
                "aurora.logical_replication_backup": "0",
                "aurora.logical_replication_globaldb": "0",
                "log_min_duration_statement": "15000",
            },
            integrations=[INTEGRATION],
        )
        for part, change in changes.items():
            before = getattr(aws, part)
            setattr(aws, part, before | change if isinstance(before, dict) else change)
        return aws


def results(place: RunContext, facts: Callable[[], GateInputs]) -> dict[str, PrerequisiteResult]:
    """Hold the gate against *facts*, each prerequisite once."""
    gate = ProofLog()
    for prerequisite in PREREQUISITES:
        with contextlib.suppress(NotApplicable, ProvisioningError):  # the result says it
            gate.prove(prerequisite.id, place, facts)
    return {result.id: result for result in gate.results}


@pytest.fixture(scope="package")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    folder = tmp_path_factory.mktemp("gate")
    for name in ("sql", "scripts"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "config.json", folder)
    with aws.cloud(folder / ".local") as cloud:
        run = open_run(cloud.target, folder, verify_only=False)
        run.ensure("data")
        cloud.keep()
        built = Environment(cloud, run)
        built.provisioned = built.look()
        yield built
        run.close()


@pytest.fixture
def environment(_built: Environment) -> Environment:
    """A provisioned environment, with its databases put back where a test changed them."""
    _built.back()
    return _built


def unmet(found: dict[str, PrerequisiteResult]) -> set[str]:
    """Return the ids of the prerequisites that failed."""
    return {result.id for result in found.values() if result.status == "failed"}
