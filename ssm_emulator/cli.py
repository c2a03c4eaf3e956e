"""``python -m ssm_emulator``: the emulator in the foreground, for tools in other terminals."""

from __future__ import annotations

import argparse
import re
import shlex
import signal
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from ssm_emulator.faults import fault_descriptions
from ssm_emulator.hosts.sandbox import SandboxHost
from ssm_emulator.server import SsmEmulator

DEFAULT_INSTANCE = "i-0123456789abcdef0"
HIGHEST_PORT = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add to *parser* the options of every emulator: ``--port --region --latency --fault``."""
    parser.add_argument("--port", type=_port, default=0, help="where the emulated AWS listens (default: a free port)")
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
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "faults:\n" + "\n".join(f"  {name:20}{what}" for name, what in fault_descriptions().items())


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: it is a number from 0 to {HIGHEST_PORT}")
    return int(text)


def end_signal() -> threading.Event:
    """Return an event that Ctrl-C, SIGTERM and a closed terminal set from now on."""
    ended = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if sign != signal.SIGHUP or signal.getsignal(sign) != signal.SIG_IGN:  # nohup keeps its meaning
            signal.signal(sign, lambda *_: ended.set())
    return ended


def announce(variables: Mapping[str, str]) -> None:
    """Print *variables* for a shell to take over, and ``ready``."""
    for line in [*(f"export {name}={shlex.quote(value)}" for name, value in variables.items()), "ready"]:
        print(line, flush=True)  # noqa: T201  # the interface of this command


def main(arguments: list[str] | None = None) -> int:
    """Run the emulator until it is told to end; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ssm_emulator", description="AWS on a loopback port, with an SSM Run Command that executes."
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="ID=FOLDER",
        help=f"an instance and the folder that stands for it, repeatable (default: {DEFAULT_INSTANCE}, until the end)",
    )
    add_arguments(parser)
    options = parser.parse_args(arguments)
    ended = end_signal()
    with tempfile.TemporaryDirectory(prefix="ssm-emulator-") as folder:
        try:
            emulator = SsmEmulator(
                dict(map(_host, options.host or [f"{DEFAULT_INSTANCE}={folder}"])),
                region=options.region,
                port=options.port,
                latency=options.latency,
                faults=options.fault,
            )
            emulator.start()
        except ValueError as error:
            parser.error(str(error))
        except OSError as error:
            parser.error(f"port {options.port} cannot be listened on: {error.strerror}")
        try:
            announce(emulator.environment)
            ended.wait()
        finally:
            emulator.stop()
    return 0


def _host(text: str) -> tuple[str, SandboxHost]:
    """Return the instance that ``ID=FOLDER`` names."""
    instance_id, _, folder = text.partition("=")
    if not re.fullmatch(r"m?i-[0-9a-z]{8,17}", instance_id) or not folder:
        raise ValueError(f"--host {text!r} is not ID=FOLDER, such as {DEFAULT_INSTANCE}=./bastion")
    return instance_id, SandboxHost(Path(folder))
