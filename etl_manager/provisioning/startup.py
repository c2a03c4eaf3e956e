"""Start a run: discover what is behind the target, and prepare the bastion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from etl_manager.aws.discovery import DiscoveredCluster, Preflight, discover
from etl_manager.bastion.session import BastionSession, RunRecords
from etl_manager.bastion.transfer import Bucket
from etl_manager.bastion.workspace import build
from etl_manager.config import Config
from etl_manager.progress import NullProgress, Progress
from etl_manager.provisioning.record import RunContext
from etl_manager.provisioning.run import LOG, ProvisioningRun
from etl_manager.provisioning.sql_runner import Attach, SqlRunner
from etl_manager.ssm.retry import DEFAULT_TIMEOUTS, Retry, Timeouts
from etl_manager.ssm.run_command import RETRY_HINT, RunCommand
from etl_manager.targets import Target, TargetOptions

ON_AWS = "aws"
"""The target whose preflight is shown, and includes the bastion."""

_UNSEEN = NullProgress()


def _ignore(*_: object) -> None:
    """Leave the report as it is, or a warning unsaid."""


def target_options(config: Config, *, region: str | None, profile: str | None = None, **options: Any) -> TargetOptions:
    """Return the options of a target for *config*; *region* and *profile* are the command line's own.

    *options* are further fields of `TargetOptions`.
    """
    return TargetOptions(
        region=region or config.region or None,
        profile=profile,
        state=config.root / ".local",
        master_username=config.aurora.master_username,
        instance_id=config.bastion.instance_id,
        **options,
    )


def start_run(
    config: Config,
    target: Target,
    *,
    verify_only: bool,
    skip_copy: bool = False,
    progress: Progress = _UNSEEN,
    attach: Attach = _ignore,
    warn: Callable[[str], None] = _ignore,
    wanted: Collection[str] = (),
    only_tenants: Sequence[str] = (),
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> ProvisioningRun:
    """Discover what is behind *target* and return a run on it, which the caller closes; *wanted* as there.

    With *only_tenants* SQL works on these alone, of those in the configuration. Nobody is told and nothing reported where
    *progress*, *attach* and *warn* are left out.

    On ``aws`` the run's first command is sent here: what it finds on the bastion belongs to the preflight. Elsewhere
    it is sent when a phase needs it.

    Raises:
        ConfigError: When the archive cannot be made as the configuration says.
        DiscoveryError: When cluster, credentials or bastion cannot be found.
        WorkspaceError: When the bastion lacks a program, or its workspace may not be used.
        CommandError: When its first command did not run to its end.
    """
    config = config.changed(project={"region": target.region})  # where the run is, whatever the file says
    preflight = Preflight()
    try:
        found, bastion = open_bastion(
            config,
            target,
            skip_copy=skip_copy,
            progress=progress,
            warn=warn,
            preflight=preflight,
            only_tenants=only_tenants,
            timeouts=timeouts,
        )
        if target.name == ON_AWS:
            _check_bastion(bastion, preflight)
    finally:
        _show(preflight, target, progress, attach)
    sql_runner = SqlRunner(config, bastion, found.connection, progress, attach)
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
    return ProvisioningRun(config, sql_runner, verify_only, progress, target.witness_conninfo, environment, wanted)


def _show(preflight: Preflight, target: Target, progress: Progress, attach: Attach) -> None:
    """Show the table, also where something is missing; on the terminal only for AWS, since others are the suite's own."""
    lines = preflight.lines(f"what the run stands on ({target.name}{', emulated' if target.emulated else ''})")
    for line in lines:
        progress.say(line) if target.name == ON_AWS else LOG.info("%s", line)
    attach("preflight", "\n".join(lines), "text")


def _check_bastion(bastion: BastionSession, preflight: Preflight) -> None:
    """Open *bastion*, and close it again where something is missing."""
    try:
        with preflight.row("psql") as row:
            row.found = bastion.open().psql
        preflight.check()
    except BaseException:
        bastion.close()
        raise


def open_bastion(
    config: Config,
    target: Target,
    *,
    skip_copy: bool,
    progress: Progress,
    warn: Callable[[str], None],
    preflight: Preflight | None = None,
    only_tenants: Sequence[str] = (),
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    retry_hint: str = RETRY_HINT,
) -> tuple[DiscoveredCluster, BastionSession]:
    """Discover what is behind *target*, and fill in the table of *preflight*; nothing is sent to the bastion yet.

    Raises:
        ProvisioningError: As `start_run`.
    """
    archive = build(config)
    config = config.changed(project={"region": target.region})
    if target.name != ON_AWS:  # these keys name the real cluster, not the one the suite made
        elsewhere = {"endpoint": None, "secret_name": None, "stack_name": None}
        config = config.changed(aurora=elsewhere, bastion={"stack_name": None})
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
    run_command = RunCommand(
        client=target.client("ssm", attempts=1),
        instance_id=found.instance_id,
        workspace=config.bastion.working_directory,
        max_command_bytes=config.transfer.max_command_bytes,
        retry=Retry(timeouts=timeouts),
        on_status=progress.status,
        retry_hint=retry_hint,
    )
    name = config.transfer.bucket
    bucket = Bucket(client=target.client("s3"), name=name, warn=warn) if name else None
    skip_copy = skip_copy or not config.transfer.enabled
    records = RunRecords(config.root / ".local" / "runs" / f"{target.name}-{found.instance_id}")
    return found, BastionSession(run_command, archive, records, skip_copy, warn, bucket, only_tenants)
