"""Full runs under random faults, each repeatable by its seed: ``make stress SEEDS=200``, or ``-k 'schedule[17]'``."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from etl_manager.errors import ProvisioningError
from tests.support import aws
from tests.support.aws import Account, settled
from tests.support.cluster import DATABASE, PRISTINE, Cluster
from tests.support.runs import BRIEF, full_run, project

pytestmark = pytest.mark.stress

ACTIONS = (
    "GetCallerIdentity", "DescribeStacks", "GetSecretValue", "DescribeInstanceInformation",
    "SendCommand", "SendCommand", "SendCommand", "GetCommandInvocation", "GetCommandInvocation", "ListCommands",
)  # fmt: skip
STRESSED = replace(BRIEF, retry_timeout=3.0, agent_timeout=1.5)
KEEPSAKE = "SELECT string_agg(id::text, ',' ORDER BY id) FROM public.keepsake"


def schedule(dice: random.Random) -> list[str]:
    """Return one to three faults."""
    return [dice.choice(KINDS)(dice) for _ in range(dice.choice((1, 1, 2, 2, 3)))]


def _nth(dice: random.Random) -> str:
    """Return which command of a run is hit; now and then each of them."""
    return f"@{dice.randint(1, 6)}"


KINDS = [
    lambda dice: f"throttle={dice.uniform(0.05, 0.4):.2f}/{dice.randint(1, 999)}",
    lambda dice: f"throttle=1:{dice.choice(ACTIONS)}",
    lambda dice: f"invisible={dice.uniform(0.1, 2):.2f}{_nth(dice)}",
    lambda dice: f"invisible=60{_nth(dice)}",
    lambda dice: f"delayed={dice.uniform(0.1, 1):.2f}{_nth(dice)}",
    lambda dice: f"delivery-timeout=0.3{_nth(dice)}",
    lambda dice: f"execution-timeout={dice.uniform(0, 0.8):.2f}{_nth(dice)}",
    lambda dice: f"undeliverable{_nth(dice)}",
    lambda dice: f"undeliverable-ran{_nth(dice)}",
    lambda dice: f"agent-lost={dice.uniform(0, 0.6):.2f}{_nth(dice)}",
    lambda dice: f"reboot={dice.uniform(0, 0.6):.2f}{_nth(dice)}",
    lambda dice: f"expired-credentials={dice.randint(1, 4)}:{dice.choice(ACTIONS)}",
    lambda dice: f"reset=before:{dice.choice(ACTIONS)}@{dice.randint(1, 6)}",
    lambda dice: f"reset=after:{dice.choice(ACTIONS)}@{dice.randint(1, 6)}",
    lambda dice: f"reset={dice.choice(('before', 'after'))}:{dice.choice(ACTIONS)}",
]


def prepared(dice: random.Random, root: Path, built: Path, database: Cluster) -> str:
    """Bring cluster and bastion into the state a run begins in; a table that is not ours is always there."""
    database.empty()
    state = dice.choice(("nothing", "built", "damaged", "no workspace"))
    template = "template0 ENCODING 'UTF8'" if state == "nothing" else PRISTINE
    with database.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {template} OWNER postgres".encode())
    with database.connect() as connection:
        connection.execute("CREATE TABLE public.keepsake AS SELECT id FROM generate_series(1, 100) AS id")
        if state == "damaged":
            connection.execute("DELETE FROM tenant_b.users WHERE user_id IN (2, 4)")
            connection.execute("DROP TABLE tenant_c.users")
    if state in {"built", "damaged"}:
        aws.copy(built, root)
    return state


def counted(account: Account) -> Path:
    """Have psql of the bastion note down for which command it runs, and return where."""
    log, psql = account.host.root / "psql.log", account.host.root / "usr/bin/psql"
    real = psql.readlink()
    psql.unlink()
    psql.write_text(f'#!/bin/bash\necho "${{ONCE:-}} $SSM_COMMAND_ID" >>{log}\nexec {real} "$@"\n')
    psql.chmod(0o755)
    return log


def test_schedule(seed, account, postgres, built, tmp_path):
    """The run is proven or ends with an error that helps; nothing ran twice; the next one is proven; no row is lost."""
    dice = random.Random(seed)  # noqa: S311 - a schedule that can be repeated
    database = Cluster(postgres.conninfo)
    root = tmp_path / "bastion"
    state = prepared(dice, root, built, database)
    faults = schedule(dice)
    # Both at once from the beginning: the machine is not restarted between the runs.
    bad, next_ = account(*faults, root=root), account(root=root)
    log = counted(bad)
    outcome = full_run(bad, timeouts=STRESSED)
    told = f"seed {seed}: {state}, {faults}: {'proven' if outcome.proven else outcome.message}"
    print(told)  # noqa: T201 - shown where it fails, and by -rP
    assert outcome.proven or (isinstance(outcome.error, ProvisioningError) and outcome.error.hint), told
    if dice.random() < 0.5:
        settled(bad)  # else the next run meets what is under way still
    clean = full_run(next_)
    assert clean.proven, f"{told}\n{clean.message}"
    settled(bad)
    assert database.users() == {tenant: [1, 2, 3, 4, 5] for tenant in project().tenants}, told
    with database.connect() as connection:
        assert connection.execute(KEEPSAKE).fetchone() == (",".join(map(str, range(1, 101))),), told
    runs = defaultdict(set)
    for line in log.read_text().splitlines():
        token, command_id = line.split(" ")
        if token:
            runs[token].add(command_id)
    assert runs, "psql notes down what it is run for"
    assert {token: ids for token, ids in runs.items() if len(ids) > 1} == {}, told
