"""Full runs in this process: what the features do, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl_manager import config as configuration
from etl_manager.config import Config
from etl_manager.errors import ProvisioningError
from etl_manager.provisioning.run import AGAIN, VERIFICATION, ProvisioningRun
from etl_manager.provisioning.startup import start_run
from etl_manager.ssm.retry import Timeouts
from etl_manager.targets import Target
from tests.support.aws import Account
from tests.support.project import ROOT

BRIEF = Timeouts(
    retry_timeout=1.5,
    poll_pauses=(0.02, 1.5, 0.1),
    lookup_delays=(0.05, 0.1, 0.2),
    agent_timeout=1.0,
    cancel_timeout=5.0,
)
"""How long the runs of these tests wait."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended: proven, or with an error; what was said; how many commands were sent."""

    proven: bool
    error: ProvisioningError | None
    said: tuple[str, ...]
    sent: int

    @property
    def message(self) -> str:
        """What the user is told last."""
        return str(self.error or "")


class Told:
    """A `Progress` that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.seen: list[str] = []

    def say(self, line: str) -> None:
        """Remember *line*."""
        self.said.append(line)

    def status(self, line: str) -> None:
        """Remember that *line* was shown."""
        self.seen.append(line)


def project(source: Path = ROOT / "config.json", root: Path = ROOT, **transfer: Any) -> Config:
    """Return the project's configuration, its transfer changed as told."""
    loaded = configuration.load(source, root)
    return loaded.changed(bastion={"auto_transfer": loaded.transfer.model_copy(update=transfer)})


def full_run(
    account: Account, config: Config | None = None, timeouts: Timeouts = BRIEF, *, again: bool = True
) -> Outcome:
    """Build, build again, verify and close, as ``pytest features/ --target aws`` does, and judge as its sentences do.

    Without *again* it is a run of ``-m "not idempotence"``: the same commands, of which the long one carries less.
    """
    config = config or project()
    told = Told()
    run: ProvisioningRun | None = None
    error: ProvisioningError | None = None
    proven = False
    try:
        run = start_run(
            config,
            account,
            verify_only=False,
            progress=told,
            warn=told.say,
            wanted=(VERIFICATION, AGAIN) if again else (VERIFICATION,),
            timeouts=timeouts,
        )
        for phase in config.phases[:-1]:
            run.ensure(phase.name)
        if again:
            run.rerun_all_phases()
        found = run.verification()
        tables = [(tenant, "users") for tenant in config.tenants]
        counts = dict.fromkeys(tables, config.sample_data.users_per_tenant)
        proven = found.counts == counts and not any(found.of(tenant) for tenant in config.tenants)
    except ProvisioningError as caught:
        error = caught
    finally:
        if run is not None:
            run.close()
    return Outcome(proven, error, tuple(told.said), run.commands_sent if run else 0)


def open_run(target: Target, root: Path = ROOT, *, verify_only: bool = False) -> ProvisioningRun:
    """Open a run of the project in *root*, of which nobody is told anything; whoever opens it closes it."""
    return start_run(configuration.load(root / "config.json", root), target, verify_only=verify_only)


def warm(account: Callable[..., Account]) -> Path:
    """Return the root of a bastion that has the workspace of the project; its database is built."""
    ready = account()
    full_run(ready, again=False)
    ready.close()
    return ready.host.root
