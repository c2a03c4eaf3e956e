"""A provisioned environment on real PostgreSQL and emulated AWS, and the gate held against it in this process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from etl_manager import config as configuration
from etl_manager.config import Config
from etl_manager.errors import NotApplicable, ProvisioningError
from etl_manager.gate.facts import Facts
from etl_manager.gate.gate import Gate
from etl_manager.gate.prerequisites import PREREQUISITES
from etl_manager.gate.verdict import Proof
from etl_manager.opening import open_run
from etl_manager.progress import Silence
from etl_manager.targets import Target, TargetOptions
from etl_manager.targets.local import LocalTarget
from tests.acceptance.rig import ROOT, Cloud

CLUSTER_ARN = "arn:aws:rds:us-east-1:123456789012:cluster:analytics"
INTEGRATION = {
    "IntegrationName": "another",
    "SourceArn": "arn:aws:rds:us-east-1:123456789012:cluster:other",
    "TargetArn": "arn:aws:redshift-serverless:us-east-1:123456789012:namespace/1f2e3d4c-0000-4000-8000-000000000000",
    "Status": "active",
}


@dataclass
class FakeAws:
    """A target that says it is AWS: all is the local target's, but RDS answers what the test wants it to.

    botocore's stubber holds the answers against AWS's own model.
    """

    local: LocalTarget
    cluster: dict[str, Any]
    parameters: dict[str, str]
    integrations: list[dict[str, Any]]
    name: str = "aws"
    emulated: bool = False
    region: str = "us-east-1"
    endpoint_url: str | None = None

    def client(self, service: str, *, attempts: int | None = None) -> Any:
        """A client of the local target, but for RDS, which answers as AWS would."""
        if service != "rds":
            return self.local.client(service, attempts=attempts)
        client: Any = boto3.client("rds", region_name=self.region, aws_access_key_id="x", aws_secret_access_key="x")
        stubber = Stubber(client)
        described = [{"ParameterName": name, "ParameterValue": value} for name, value in self.parameters.items()]
        endpoint = self.local.postgres.host
        stubber.add_response("describe_db_clusters", {"DBClusters": [{"Endpoint": endpoint, **self.cluster}]})
        stubber.add_response("describe_db_cluster_parameters", {"Parameters": described})
        stubber.add_response("describe_integrations", {"Integrations": self.integrations})
        stubber.activate()
        return client

    def witness_conninfo(self, database: str) -> str | None:
        """The local target's."""
        return self.local.witness_conninfo(database)

    def close(self) -> None:
        """Nothing to close: the local target is another's."""


@dataclass
class Environment:
    """A project and its environment; `prove` runs the gate on it, and changes nothing in the database."""

    project: Path
    cloud: Cloud

    def config(self, **zero_etl: Any) -> Config:
        """Return the project's configuration, with this in ``zeroEtl``."""
        path = self.project / "config.json"
        document = json.loads((ROOT / "config.json").read_text())
        document["zeroEtl"] |= zero_etl
        path.write_text(json.dumps(document))
        return configuration.load(path, self.project)

    def prove(self, target: Target | None = None, *, provision: bool = False, **zero_etl: Any) -> dict[str, Proof]:
        """Return what became of each prerequisite."""
        config = self.config(**zero_etl)
        run = open_run(
            config,
            target or self.cloud.target,
            verify_only=not provision,
            skip_copy=False,
            progress=Silence(),
            attach=lambda *_: None,
            warn=lambda _: None,
        )
        gathered: list[Facts] = []

        def facts() -> Facts:
            if not gathered:
                at = datetime.now(timezone.utc)
                gathered.append(Facts(config, run.environment, run.verification(), run.catalogue(), at))
            return gathered[0]

        gate = Gate()
        try:
            for prerequisite in PREREQUISITES:
                try:
                    gate.prove(prerequisite.id, run.environment, facts)
                except (NotApplicable, ProvisioningError):
                    continue  # the proof says it
        finally:
            run.close()
        return {proof.id: proof for proof in gate.proofs}

    def aws(self, **changes: Any) -> FakeAws:
        """Return the same environment as AWS would have it, all in order but for *changes*."""
        aws = FakeAws(
            self.cloud.target,
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


@pytest.fixture(scope="package")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    folder = tmp_path_factory.mktemp("gate")
    for name in ("sql", "scripts"):
        shutil.copytree(ROOT / name, folder / name)
    target = LocalTarget(TargetOptions(region="us-east-1", state=folder / ".local"))
    cloud = Cloud(target)
    environment = Environment(folder, cloud)
    try:
        assert environment.prove(provision=True)["sample-data-complete"].status == "passed"
        cloud.keep()
        yield environment
    finally:
        target.close()
        target.postgres.forget()


@pytest.fixture
def environment(_built: Environment) -> Iterator[Environment]:
    """A provisioned environment, with its databases put back after the test."""
    before = _built.cloud.databases()
    yield _built
    for name in _built.cloud.databases() - before:
        _built.cloud.execute(f'DROP DATABASE "{name}" WITH (FORCE)', database="postgres")
    _built.cloud.restore()


def unmet(proofs: dict[str, Proof]) -> set[str]:
    """Return the ids of the prerequisites that failed."""
    return {proof.id for proof in proofs.values() if proof.status == "failed"}
