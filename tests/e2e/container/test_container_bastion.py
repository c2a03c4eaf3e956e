"""What a sandbox cannot be: another user's workspace, a bare machine, one without network, one that is killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from etl_manager.errors import InfrastructureError, WorkspaceError
from etl_manager.targets.container import addresses
from tests.e2e.container.reach import Address, reachable
from tests.e2e.container.rig import Bastion
from tests.support.project import ROOT, Project


@pytest.fixture(autouse=True)
def bare(bastion: Bastion) -> None:
    """A bastion where no run was ever, as far as files go."""
    bastion.behind("rm -rf /tmp/* /tmp/.[!.]*")


def test_root_builds_and_proves_and_leaves_only_the_workspace(bastion):
    """A run as root makes a workspace of root's that others may read, and leaves nothing else behind."""
    with bastion.opened() as run:
        assert run.verification().counts == {(tenant, "users"): 5 for tenant in ("tenant_a", "tenant_b", "tenant_c")}
        assert not run.verification().differences
    assert bastion.behind("cd /tmp; stat -c '%U %a %n' *") == "root 755 workspace\n"


def test_template_of_twenty_tables_is_built_evolved_and_repaired(bastion, tmp_path):
    """Foreign keys, an enum, a view, triggers, policies and grants; what a tenant lost comes back with a change that is new."""
    project = Project(tmp_path / "suite")
    template = project.path / "sql/aurora/tenant"
    shutil.rmtree(template)
    shutil.copytree(ROOT / "tests/unit/sql/shop", template)
    project.write("config.json", {"tenants": ["tenant_a", "tenant_b", "tenant_c"], "aurora": {"databaseName": "shop"}})
    with bastion.opened(project.path) as run:
        assert len(run.ensure("data").template.tables) == 20
        assert run.verification().differences == ()
    lost = "ALTER TABLE tenant_b.tickets DROP CONSTRAINT tickets_user_id_fkey"
    status, said = bastion.target.postgres.exec_run(["psql", "-U", "postgres", "-d", "shop", "-c", lost])
    assert status == 0, said
    project.write("sql/aurora/tenant/changes/0002-nick.sql", "ALTER TABLE users ADD nick text NOT NULL DEFAULT '';\n")
    with bastion.opened(project.path) as run:
        run.ensure("data")
        assert [str(change).partition(":")[0] for change in run.reports["schema"].changes] == [
            "created tenant_a", "created tenant_b", "created tenant_c", "repaired tenant_b",
        ]  # fmt: skip
        assert run.verification().differences == ()


@pytest.mark.parametrize("missing", ["jq", "python3"])
def test_one_json_reader_is_enough(bastion, missing):
    """The engine reads its configuration with python3 where there is no jq, and the other way round."""
    with bastion.without(missing), bastion.opened() as run:
        run.ensure("database")


def test_no_json_reader_is_told_before_anything_is_done(bastion):
    """Without jq and python3 the run ends with the line that installs one, and without a workspace."""
    with (
        bastion.without("jq", "python3"),
        bastion.opened() as run,
        pytest.raises(WorkspaceError, match="The bastion lacks jq or python3") as told,
    ):
        run.ensure("database")
    assert "dnf install -y jq" in told.value.hint
    assert bastion.behind("ls /tmp") == ""


def test_no_psql_is_told_with_the_line_that_installs_it(bastion):
    """Without psql the run ends with what to install."""
    with (
        bastion.without("psql"),
        bastion.opened() as run,
        pytest.raises(WorkspaceError, match="The bastion lacks psql") as told,
    ):
        run.ensure("database")
    assert "dnf install -y postgresql16" in told.value.hint


def test_workspace_of_another_user_is_left_alone(bastion):
    """/tmp/workspace of somebody else is not touched, though root could; the error says whose it is."""
    bastion.behind("install -d -o nobody /tmp/workspace && install -o nobody /dev/null /tmp/workspace/theirs")
    with bastion.opened() as run, pytest.raises(WorkspaceError, match="belongs to nobody, not to root"):
        run.ensure("database")
    assert bastion.behind("stat -c '%U %n' /tmp/workspace /tmp/workspace/*") == (
        "nobody /tmp/workspace\nnobody /tmp/workspace/theirs\n"
    )


def test_workspace_that_is_a_link_of_another_user_is_left_alone(bastion):
    """A link in place of the workspace is not followed, though it leads to a folder of root's."""
    bastion.behind("mkdir /tmp/elsewhere && ln -s /tmp/elsewhere /tmp/workspace && chown -h nobody /tmp/workspace")
    with bastion.opened() as run, pytest.raises(WorkspaceError, match="is a symbolic link"):
        run.ensure("database")
    assert bastion.behind("ls -A /tmp/elsewhere") == ""


@contextmanager
def unplugged(bastion: Bastion, *roles: str) -> Iterator[None]:
    """Take the bastion out of networks for a while."""
    target = bastion.target
    networks = [target._engine.client.networks.get(target._machines.name(role)) for role in roles]
    for network in networks:
        network.disconnect(target.bastion)
    try:
        yield
    finally:
        for network in reversed(networks):
            network.connect(target.bastion)


def test_no_network_is_told_and_the_next_run_is_proven(bastion):
    """Without the database's network the error names endpoint and remedy; with it again, a run ends proven."""
    with (
        unplugged(bastion, "database", "operator"),
        bastion.opened() as run,
        pytest.raises(InfrastructureError, match="The bastion has no connection to the database") as told,
    ):
        run.ensure("database")
    assert told.value.context["endpoint"] == f"{bastion.target.host}:5432"
    assert "security group" in told.value.hint
    with bastion.opened() as run:
        assert not run.verification().differences


def test_the_operators_network_alone_is_no_way_in(bastion):
    """From the operator's network, where the bastion is too, nothing leads to the database."""
    with unplugged(bastion, "database"):
        status = bastion.run(f"psql -w 'host={bastion.target.host} user=postgres connect_timeout=4' -c 'select 1'")
    assert status["ResponseCode"] == 2
    assert "password" not in status["StandardErrorContent"]


def every_address(bastion: Bastion) -> list[Address]:
    """The cluster's name, and the database's address in every network it is in, as they are now."""
    target = bastion.target
    return [Address(host, target.port) for host in (target.host, *addresses(target.postgres).values())]


def test_operator_reaches_no_address_of_the_database_until_the_networks_are_joined(bastion):
    """Neither name nor number answers this machine; put into the operator's network, the database answers there."""
    target = bastion.target
    closed = every_address(bastion)
    assert Address(target.host, 5432) in closed
    assert len(closed) == 2
    assert reachable(closed) == []
    operator = target._engine.client.networks.get(target._machines.name("operator"))
    operator.connect(target.postgres)
    try:
        joined = every_address(bastion)
        assert reachable(joined) == [address for address in joined if address not in closed]
    finally:
        operator.disconnect(target.postgres)


def test_bastion_that_is_killed_takes_its_agent_with_it(start):
    """A killed container is a lost agent: its command stays InProgress, and the next cannot be delivered."""
    bastion = Bastion(start())
    command = bastion.send("sleep 600")
    bastion.wait(command, lambda seen: seen["Status"] == "InProgress")
    bastion.target.bastion.kill()
    assert bastion.eventually(lambda: bastion.ping_status() == "ConnectionLost")
    assert bastion.look(command)["Status"] == "InProgress"
    after = bastion.run("true")
    assert (after["Status"], after["StatusDetails"], after["ResponseCode"]) == ("Failed", "Undeliverable", -1)
    bastion.target.close()
