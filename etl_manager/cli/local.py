"""``python -m etl_manager local``: the local target as a service in the foreground."""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import quote

from etl_manager.config import load
from etl_manager.project import root_of
from etl_manager.targets import TargetOptions
from etl_manager.targets.local import LocalTarget
from etl_manager.targets.postgres import ADMIN
from ssm_emulator import cli


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the service's options to *parser*."""
    cli.add_arguments(parser)
    parser.add_argument(
        "--state", type=Path, default=Path(".local"), metavar="DIR", help="where state is kept (default: .local)"
    )
    parser.add_argument(
        "--config-json",
        type=Path,
        default=root_of(Path("config.json")) / "config.json",
        metavar="FILE",
        help="what names the cluster's user and database, and the bastion (default: config.json)",
    )
    parser.add_argument("--reset-local", action="store_true", help="forget the state first")
    parser.epilog = (
        "DATABASE_URL leads to the tenants' database, which the first run makes; until then there is\n"
        'psql "${DATABASE_URL%/*}/postgres"\n\n' + (parser.epilog or "")
    )


def run(namespace: argparse.Namespace) -> int:
    """Start the target, print how to reach it, wait for Ctrl-C or SIGTERM; return the exit status.

    Raises:
        TargetError: When it cannot be started or is in use.
        ConfigError: When the configuration cannot be used, or a fault is not known.
    """
    config = load(namespace.config_json, root_of(namespace.config_json))
    ended = cli.end_signal()
    target = LocalTarget(
        TargetOptions(
            region=namespace.region,
            state=namespace.state,
            reset=namespace.reset_local,
            master_username=config.aurora.master_username,
            instance_id=config.bastion.instance_id,
            port=namespace.port,
            latency=namespace.latency,
            faults=tuple(namespace.fault),
        )
    )
    try:
        cli.announce(variables(target, config.database))
        ended.wait()
    finally:
        target.close()
    return 0


def variables(target: LocalTarget, database: str) -> dict[str, str]:
    """Return what points the AWS tools and psql at *target* and its *database*; it holds its secrets."""
    aws, postgres = target.aws, target.postgres
    assert aws is not None, "an open target"  # noqa: S101
    url = f"postgresql://{ADMIN}:{quote(postgres.admin_password, safe='')}@{postgres.host}:{postgres.port}/{database}"
    return {**aws.environment, "DATABASE_URL": url}
