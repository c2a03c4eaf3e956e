"""The database's own network, as in the user's VPC: whoever wants to reach the database has to go through the bastion."""

from __future__ import annotations

from etl_manager.targets.container import ContainerTarget
from etl_manager.targets.container_network import addresses
from tests.container.reach import Address, reachable


def every_address(target: ContainerTarget) -> list[Address]:
    """The cluster's name, and the database's address in every network it is in, as they are now."""
    return [Address(host, target.port) for host in (target.host, *addresses(target.postgres).values())]


def test_only_the_bastion_reaches_the_database(target, bastion):
    """The operator's machine gets no answer at any address of the database; the bastion gets one by its name."""
    tried = every_address(target)
    assert len(tried) >= 2
    assert reachable(tried) == []
    assert "accepting connections" in bastion.behind(f"pg_isready -h {target.host} -p {target.port}")


def test_database_in_the_operators_network_is_noticed(target, engine):
    """With the database in the operator's network too, it answers there: the test above can fail."""
    operators = [name for name in addresses(target.bastion) if name.endswith("-operator")]
    [operator] = [engine.client.networks.get(name) for name in operators]
    operator.connect(target.postgres)
    try:
        assert reachable(every_address(target))
    finally:
        operator.disconnect(target.postgres)
