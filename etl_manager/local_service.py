"""``python -m etl_manager local``: the local target as a service in the foreground."""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import quote

from etl_manager.targets import TargetOptions
from etl_manager.targets.local import LocalTarget
from ssm_emulator import cli


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the service's options to *parser*."""
    cli.add_arguments(parser)
    parser.add_argument(
        "--state", type=Path, default=Path(".local"), metavar="DIR", help="where state is kept (default: .local)"
    )
    parser.add_argument("--reset-local", action="store_true", help="forget the state first")


def run(namespace: argparse.Namespace) -> int:
    """Start the target, print how to reach it, wait for Ctrl-C or SIGTERM; return the exit status.

    Raises:
        TargetError: When it cannot be started or is in use.
        ConfigError: When a fault is not known.
    """
    ended = cli.end_signal()
    target = LocalTarget(
        TargetOptions(
            region=namespace.region,
            state=namespace.state,
            reset=namespace.reset_local,
            port=namespace.port,
            latency=namespace.latency,
            faults=tuple(namespace.fault),
        )
    )
    try:
        cli.announce(variables(target))
        ended.wait()
    finally:
        target.close()
    return 0


def variables(target: LocalTarget) -> dict[str, str]:
    """Return what points the AWS tools and psql at *target*; it holds its secrets."""
    aws, postgres = target.aws, target.postgres
    assert aws is not None, "an open target"  # noqa: S101
    url = (
        f"postgresql://{quote(postgres.user, safe='')}:{quote(postgres.password, safe='')}"
        f"@{postgres.host}:{postgres.port}/postgres"
    )
    return {**aws.environment, "DATABASE_URL": url}
