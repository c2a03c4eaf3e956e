"""``python -m etl_manager local``: the local target as a service in the foreground."""

from __future__ import annotations

import argparse
import shlex
import signal
import threading
from pathlib import Path
from urllib.parse import quote

from etl_manager.config import load
from etl_manager.project_files import root_of
from etl_manager.targets import TargetOptions
from etl_manager.targets.aurora_cluster import ADMIN
from etl_manager.targets.local import LocalTarget

HIGHEST_PORT = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the service's options to *parser*."""
    from etl_manager.emulator.schedule import known

    parser.add_argument("--port", type=_port, default=0, help="where the emulated AWS listens (default: a free port)")
    parser.add_argument(
        "--state", type=Path, default=Path(".local"), metavar="DIR", help="where state is kept (default: .local)"
    )
    parser.add_argument(
        "--config-json",
        type=Path,
        default=root_of(Path("config.json")) / "config.json",
        metavar="FILE",
        help="what names the database that DATABASE_URL leads to (default: config.json)",
    )
    parser.add_argument("--region", default="us-east-1", help="the region it plays (default: %(default)s)")
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="SECONDS", help="delivery delay of each SSM command"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[=VALUE][@N]",
        help="what is to go wrong, repeatable; @N only at the Nth command or call",
    )
    parser.add_argument("--reset-local", action="store_true", help="forget the state first")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "DATABASE_URL leads to the tenants' database, which the first run makes; until then there is\n"
        'psql "${DATABASE_URL%/*}/postgres"\n\n'
    )
    parser.epilog += "faults:\n" + "\n".join(f"  {name:20}{what}" for name, what in known().items())


def run(namespace: argparse.Namespace) -> int:
    """Start the target, print how to reach it, wait for Ctrl-C or SIGTERM; return the exit status.

    Raises:
        TargetError: When it cannot be started or is in use.
        ConfigError: When the configuration cannot be used, or a fault is not known.
    """
    database = load(namespace.config_json, root_of(namespace.config_json)).database
    ended = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if sign != signal.SIGHUP or signal.getsignal(sign) != signal.SIG_IGN:  # nohup keeps its meaning
            signal.signal(sign, lambda *_: ended.set())
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
        for line in [*exports(target, database), "ready"]:
            print(line, flush=True)  # noqa: T201  # the interface of this command
        ended.wait()
    finally:
        target.close()
    return 0


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: it is a number from 0 to {HIGHEST_PORT}")
    return int(text)


def exports(target: LocalTarget, database: str) -> list[str]:
    """Return the lines that point the AWS tools and psql at *target* and its *database*; they hold its secrets."""
    aws, postgres = target.aws, target.postgres
    assert aws is not None, "an open target"  # noqa: S101
    url = f"postgresql://{ADMIN}:{quote(postgres.admin_password, safe='')}@{postgres.host}:{postgres.port}/{database}"
    values = {
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "AWS_ACCESS_KEY_ID": aws.access_key_id,
        "AWS_SECRET_ACCESS_KEY": aws.secret_access_key,
        "AWS_DEFAULT_REGION": aws.region,
        "DATABASE_URL": url,
    }
    return [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
