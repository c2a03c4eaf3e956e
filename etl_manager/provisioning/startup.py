"""How a run comes to be: target, discovery, bastion, put together once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from etl_manager.aws.discovery import DiscoveredCluster, Preflight, discover
from etl_manager.bastion.session import BastionSession
from etl_manager.bastion.transfer import Bucket
from etl_manager.bastion.workspace import build
from etl_manager.config import Config
from etl_manager.errors import ProvisioningError
from etl_manager.progress import Progress
from etl_manager.provisioning.context import RunContext
from etl_manager.provisioning.run import LOG, ProvisioningRun
from etl_manager.provisioning.sql_runner import Attach, SqlRunner
from etl_manager.ssm.retry import DEFAULT_TIMEOUTS, RetryingClient, Timeouts
from etl_manager.ssm.run_command import RunCommand
from etl_manager.targets.base import Target

ON_AWS = "aws"
"""The target whose preflight is shown, and whose bastion is asked for it."""


def start_run(
    config: Config,
    target: Target,
    *,
    verify_only: bool,
    skip_copy: bool,
    progress: Progress,
    attach: Attach,
    warn: Callable[[str], None],
    waiting: Timeouts = DEFAULT_TIMEOUTS,
) -> ProvisioningRun:
    """Find the environment behind *target* and return a run on it.

    On ``aws`` the run's first command is sent here: what it tells of the bastion belongs to the preflight. Elsewhere
    the bastion is first asked when a phase needs it.

    Raises:
        ConfigError: When the archive cannot be made as the configuration says.
        DiscoveryError: When cluster, credentials or bastion cannot be found.
        WorkspaceError: When the bastion lacks a program, or its workspace may not be used.
        CommandError: When its first command did not run to its end.
    """
    config = replace(config, region=target.region)  # where the run is, whatever the file says
    preflight = Preflight()
    try:
        found, bastion = _preflight(
            config, target, preflight, skip_copy=skip_copy, progress=progress, warn=warn, waiting=waiting
        )
    finally:
        _show(preflight, target, progress, attach)
    batches = SqlRunner(config, bastion, found.connection, progress, attach)
    environment = RunContext(
        target=target.name,
        emulated=target.emulated,
        account=found.account,
        region=target.region,
        stack=found.stack,
        cluster_arn=found.cluster_arn,
        host=found.connection.host,
        port=found.connection.port,
        client=target.client,
    )
    return ProvisioningRun(config, batches, verify_only, progress, target.witness_conninfo, environment)


def _preflight(
    config: Config, target: Target, preflight: Preflight, *, progress: Progress, **how: Any
) -> tuple[DiscoveredCluster, BastionSession]:
    """Look at all that the run stands on."""
    found, bastion = open_bastion(config, target, progress=progress, preflight=preflight, **how)
    if target.name == ON_AWS:
        progress.status("looking at the bastion")
        _look_at(bastion, preflight, how["warn"])
    return found, bastion


def _show(preflight: Preflight, target: Target, progress: Progress, attach: Attach) -> None:
    """Show the table, also where something is missing; on targets that the suite made itself the log is enough."""
    lines = preflight.lines(f"what the run stands on ({target.name}{', emulated' if target.emulated else ''})")
    for line in lines:
        progress.say(line) if target.name == ON_AWS else LOG.info("%s", line)
    attach("preflight", "\n".join(lines), "text")


def _look_at(bastion: BastionSession, preflight: Preflight, warn: Callable[[str], None]) -> None:
    """Open *bastion*, and close it again where it cannot be used."""
    try:
        with preflight.row("psql") as row:
            row.found = bastion.open().psql
        preflight.check()
    except BaseException:
        try:
            bastion.close()
        except ProvisioningError as error:
            warn(f"[WARNING] The clean-up on the bastion did not complete: {error.message}")
        raise


def open_bastion(
    config: Config,
    target: Target,
    *,
    skip_copy: bool,
    progress: Progress,
    warn: Callable[[str], None],
    preflight: Preflight | None = None,
    waiting: Timeouts = DEFAULT_TIMEOUTS,
) -> tuple[DiscoveredCluster, BastionSession]:
    """Find the environment behind *target*, and fill in the table of *preflight*; the bastion is not asked yet.

    Raises:
        ProvisioningError: As `open_run`.
    """
    archive = build(config)
    config = replace(config, region=target.region)
    if target.name != ON_AWS:  # what the suite made itself is not where these keys say that the real one is
        config = replace(config, endpoint=None, secret_name=None, aurora_stack=None, bastion_stack=None)
    progress.status("discovering the environment")
    found = discover(config, target.client, preflight or Preflight(), emulated=target.emulated)
    LOG.info(
        "target %s%s, region %s, stack %s, cluster %s:%d, bastion %s (agent %s)",
        target.name,
        " (emulated)" if target.emulated else "",
        target.region,
        found.stack,
        found.connection.host,
        found.connection.port,
        found.instance_id,
        found.agent_version,
    )
    if found.password_is_ordinary:
        warn(
            "[WARNING] The password of the cluster is short, or an ordinary word: it cannot be masked without harm to "
            "what else is that word, and is masked only where a text calls it a password. Rotate it to a longer one."
        )
    bastion = BastionSession(
        run_command=RunCommand(target.client("ssm", attempts=1), found.instance_id, RetryingClient(waiting=waiting)),
        workspace=config.workspace,
        archive=archive,
        max_command_bytes=config.transfer.max_command_bytes,
        skip_copy=skip_copy or not config.transfer.enabled,
        warn=warn,
        bucket=Bucket(client=target.client("s3"), name=bucket, warn=warn)
        if (bucket := config.transfer.bucket)
        else None,
    )
    return found, bastion
