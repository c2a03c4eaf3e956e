"""The record of a run: another process reads from it what this one read, and runs nothing."""

from __future__ import annotations

import pickle

import pytest

from etl_manager.errors import InfrastructureError, PhaseSkipped, ProvisioningError, SqlError
from etl_manager.provisioning.record import RunContext
from etl_manager.provisioning.run import ProvisioningRun
from tests.unit.model.test_losses import HERE, LESS, ONE_ROW, run_of

ENVIRONMENT = RunContext(
    target="aws",
    emulated=False,
    account="1",
    region="eu-west-1",
    stack="s",
    cluster_arn="arn",
    host="h",
    port=5432,
    client=lambda _: None,
)


def replayed(run: ProvisioningRun) -> ProvisioningRun:
    """Return what another process makes of *run*."""
    run.environment = ENVIRONMENT
    record = pickle.loads(pickle.dumps(run.record()))  # noqa: S301 - made here
    return ProvisioningRun.replay(record, run.config)


def test_each_phase_is_read_as_it_was(tmp_path):
    """A scenario of an early phase sees the snapshot after it, not what a later one made of it; nobody is told twice."""
    run = run_of(tmp_path, LESS, LESS, LESS, HERE, data=ONE_ROW, wanted=("data",))
    run.ensure("data")
    other = replayed(run)
    assert (other.ensure("schema"), other.ensure("data")) == (LESS, HERE)
    assert other.reports == run.reports


def test_what_failed_is_not_run(tmp_path):
    """The failure was told where it happened; what ran before it stands."""
    run = run_of(tmp_path, HERE, HERE, HERE, failing="/schema/", wanted=("data",))
    with pytest.raises(SqlError):
        run.ensure("data")
    other = replayed(run)
    assert other.ensure("database") == HERE
    for phase in ("schema", "data"):
        with pytest.raises(PhaseSkipped, match="not run because phase schema failed: PostgreSQL refused a statement"):
            other.ensure(phase)


def test_witness_that_disagreed_is_not_asked_again(tmp_path):
    """What rests on the verification is not run in any process."""
    run = run_of(tmp_path, HERE, HERE)
    run.environment = ENVIRONMENT
    run._failures.ended["the reading of the second witness"] = "it disagrees", "failed"
    run._verification = object()  # type: ignore[assignment]
    other = replayed(run)
    other._verification = object()  # type: ignore[assignment]
    with pytest.raises(PhaseSkipped, match="not run because the reading of the second witness failed: it disagrees"):
        other.verification()


def test_what_was_not_recorded_is_refused(tmp_path):
    """Neither a phase nor a look is sent, and AWS is asked nothing."""
    other = replayed(run_of(tmp_path))
    with pytest.raises(ProvisioningError, match=r"Not run: phase database\. The same scenario asked"):
        other.ensure("database")
    with pytest.raises(ProvisioningError, match="Not run: the catalogue"):
        other.look_at_catalogue()
    with pytest.raises(InfrastructureError, match="A worker of pytest-xdist asks AWS nothing: rds"):
        other.environment.client("rds")
