"""What only AWS can answer: RDS's answers are held against its own model, the database beneath is a real one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from etl_manager.errors import DiscoveryError
from etl_manager.gate.inputs import Cluster, Integration, read_cluster
from etl_manager.gate.prerequisites import engine, integrations, parameters, quotas
from tests.unit.gate.conftest import CLUSTER_ARN, INTEGRATION, Environment, unmet

OF_CLUSTER = INTEGRATION | {"SourceArn": CLUSTER_ARN}


def test_gate_is_green_on_a_cluster_as_it_should_be(environment):
    """Where AWS itself answers, every prerequisite is met, and each says what was found."""
    results = environment.prove(environment.aws(), environment.provisioned)
    assert {result.status for result in results.values()} == {"passed"}
    assert results["engine-version"].detail == "aurora-postgresql 16.6"
    assert results["cluster-parameters"].detail == "set in analytics-pg, and in force on writer"
    assert results["quotas"].detail == "0 of 5 integrations of the cluster, 1 of 100 of the account"


@pytest.mark.parametrize(
    ("id_", "changes", "told"),
    [
        ("engine-version", {"cluster": {"EngineVersion": "16.3"}}, "version 16.3 is not among those known"),
        (
            "cluster-parameters",
            {"parameters": {"aurora.enhanced_logical_replication": "0"}},
            "aurora.enhanced_logical_replication: expected 1, found 0; set it with ApplyMethod=pending-reboot",
        ),
        (
            "quotas",
            {"integrations": [OF_CLUSTER | {"IntegrationName": f"i{number}"} for number in range(5)]},
            "it has 5 integrations of 5",
        ),
        (
            "existing-integrations",
            {"integrations": [INTEGRATION | {"IntegrationName": "multitenant-analytics-integration"}]},
            "integration multitenant-analytics-integration: it exists already (active)",
        ),
    ],
)
def test_broken_thing_is_told_and_nothing_else_is(
    environment: Environment, id_: str, changes: dict[str, Any], told: str
) -> None:
    """Broken alone, exactly that prerequisite is unmet, and it says where and how to mend it."""
    results = environment.prove(environment.aws(**changes), environment.provisioned)
    assert unmet(results) == {id_}
    assert told in results[id_].detail


def test_cluster_that_rds_does_not_know_is_no_proof(environment):
    """An endpoint that RDS knows nothing of leaves what only AWS can answer unmet, and says what to compare."""
    aws = environment.aws(cluster={"Endpoint": "elsewhere", "DBClusterArn": CLUSTER_ARN + "x"})
    results = environment.prove(aws, environment.provisioned)
    assert unmet(results) == {"engine-version", "cluster-parameters", "quotas", "existing-integrations"}
    assert "aws rds describe-db-clusters" in results["quotas"].detail


def test_refusal_says_which_call_was_refused(environment):
    """A call the operator may not make is told by its name."""
    client = boto3.client("rds", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    place = replace(environment.run.environment, emulated=False, client=lambda _: client)
    with Stubber(client) as aws:
        aws.add_client_error("describe_db_clusters", "AccessDenied", "no")
        with pytest.raises(DiscoveryError, match=r"(?s)AccessDenied.*DescribeDBClusters"):
            read_cluster(place)


def made(**changes: Any) -> Cluster:
    """Return a cluster in order, but for *changes*."""
    good: dict[str, Any] = {
        "arn": CLUSTER_ARN,
        "engine": "aurora-postgresql",
        "version": "17.4",
        "limitless": False,
        "parameter_group": "pg",
        "parameters": {
            "rds.logical_replication": "1",
            "aurora.enhanced_logical_replication": "1",
            "aurora.logical_replication_backup": "0",
            "aurora.logical_replication_globaldb": "0",
        },
        "writer": "writer",
        "writer_status": "in-sync",
        "integrations": (),
    }
    return Cluster(**good | changes)


def integration(**changes: str) -> Integration:
    """Return an integration of the cluster, but for *changes*."""
    return Integration(**{"name": "other", "source": CLUSTER_ARN, "target": "t", "status": "active"} | changes)


@pytest.mark.parametrize("version", ["16.4", "16.10", "17.4", "18.3", "18.4"])
def test_supported_versions(version):
    """The first supported minor version of each major one, and later ones."""
    assert list(engine(made(version=version))) == []


@pytest.mark.parametrize("version", ["16.3", "17.3", "18.2", "15.9", "19.1", "", "x"])
def test_other_versions(version):
    """What came before, and what nobody has read about yet."""
    assert len(list(engine(made(version=version)))) == 1


def test_other_engines():
    """MySQL's Aurora, and Aurora Limitless."""
    assert "aurora-mysql" in str(*engine(made(engine="aurora-mysql")))
    assert "Limitless" in str(*engine(made(limitless=True)))


@pytest.mark.parametrize("name", made().parameters)
def test_each_parameter_counts(name):
    """Set otherwise, or not set at all, each of the four is told."""
    wrong = made().parameters | {name: "7"}
    unset = {key: value for key, value in made().parameters.items() if key != name}
    assert f"{name}: expected" in str(*parameters(made(parameters=wrong), {}))
    assert f"{name}: expected" in str(*parameters(made(parameters=unset), {}))


def test_parameters_must_be_in_force():
    """A group that is set but waits for a reboot is told with the reboot, by RDS or by the server itself."""
    assert "reboot-db-instance" in str(*parameters(made(writer_status="pending-reboot"), {}))
    assert "off is in force" in str(*parameters(made(), {"rds.logical_replication": "off"}))
    assert list(parameters(made(), {"rds.logical_replication": "on"})) == []


def test_no_writer():
    """A cluster without an instance cannot replicate."""
    assert "no writer" in str(*parameters(made(writer=""), {}))


def test_quotas_leave_room_for_one():
    """One below each quota is room; at the quota there is none."""
    of_account = tuple(integration(source="x", target=f"t{number}") for number in range(100))
    assert list(quotas(made(integrations=of_account[:99]))) == []
    assert "100 integrations of 100" in str(*quotas(made(integrations=of_account)))
    of_target = tuple(integration(source=f"s{number}") for number in range(50))
    assert list(quotas(made(integrations=of_target[:49]))) == []
    assert "50 integrations of 50" in str(*quotas(made(integrations=of_target)))


@pytest.mark.parametrize("status", ["creating", "modifying", "deleting", "failed", "needs_attention"])
def test_integration_of_the_cluster_that_is_not_well(status):
    """Such a one is in the way when it is of this cluster, and not when it is of another."""
    assert status in str(*integrations(made(integrations=(integration(status=status),)), "new"))
    assert list(integrations(made(integrations=(integration(status=status, source="x"),)), "new")) == []


@pytest.mark.parametrize("status", ["active", "syncing"])
def test_integration_of_the_cluster_that_is_well(status):
    """A cluster may have several integrations."""
    assert list(integrations(made(integrations=(integration(status=status),)), "new")) == []
