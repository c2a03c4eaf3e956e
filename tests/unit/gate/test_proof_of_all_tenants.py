"""With ``--verify-only`` every scenario asks whether most tenants are there; that is looked at once a snapshot."""

from __future__ import annotations

from etl_manager.provisioning.run import ProvisioningRun


def test_all_tenants_are_looked_through_once(environment, monkeypatch):
    """Looking through a thousand tenants for each scenario of a thousand tenants takes a minute."""
    run, looked = environment.run, []
    look = ProvisioningRun._require_most_tenants
    monkeypatch.setattr(
        ProvisioningRun, "_require_most_tenants", lambda run, snapshot: (looked.append(snapshot), look(run, snapshot))
    )
    monkeypatch.setattr(run, "verify_only", True)
    snapshots = [run.ensure(phase) for phase in ("database", "schema", "data", "verification", "schema")]
    assert len(looked) == 1
    assert all(snapshot is looked[0] for snapshot in snapshots)
