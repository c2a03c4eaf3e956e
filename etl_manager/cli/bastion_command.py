"""The orchestrator: the transfer, one command on the bastion, its output and a summary."""

from __future__ import annotations

import io
import shlex
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from etl_manager import redaction
from etl_manager.aws.connection import Credentials
from etl_manager.aws.discovery import DiscoveredCluster
from etl_manager.bastion import session
from etl_manager.bastion.session import BastionSession
from etl_manager.bastion.workspace import Archive, build, check_line_ends
from etl_manager.cli.console import Console
from etl_manager.config import Config, load
from etl_manager.errors import ConfigError, ProvisioningError
from etl_manager.project import root_of
from etl_manager.provisioning.startup import open_bastion
from etl_manager.targets import open_target
from etl_manager.targets.base import TargetOptions
from etl_manager.wording import number_of

NOT_TWICE = "Look at what it did before you run it again: it may not be safe to repeat."


@dataclass(frozen=True, kw_only=True)
class CommandRequest:
    """What the command line asks for: either *command*, a line for the shell, or *script*, a file to upload and run."""

    config: Path
    command: str | None
    script: Path | None
    skip_copy: bool
    local: bool
    profile: str | None
    region: str | None

    @property
    def title(self) -> str:
        """What a person calls it."""
        return f"Command: {self.command}" if self.command is not None else f"Script: {self.script}"


def run(order: CommandRequest, console: Console) -> int:
    """Transfer, run, show output and summary; return the exit status of the command.

    Raises:
        ConfigError: When order or configuration cannot be used; nothing was sent.
        ProvisioningError: When the command did not run to its end.
    """
    config = load(order.config, root_of(order.config))
    upload = _script(order)
    line = _interpreted(*upload) if upload else order.command or ""
    _head(order, console)
    with _bastion(order, config, console) as (found, bastion):
        _refuse_secrets(line, upload, found.connection.credentials.current())
        bastion.run_command.again = NOT_TWICE
        bastion.run_command.on_status = lambda status, seconds: console.status(f"SSM: {status} · {seconds:.0f} s")
        bastion.open()
        console.info(_transfer(bastion), order.title)
        invocation, step = session.run(bastion, line, found.connection, upload)
    console.info("=== COMMAND OUTPUT ===")
    console.output(step.stdout, sys.stdout)
    console.output(step.stderr, sys.stderr)
    console.info(
        "=== EXECUTION SUMMARY ===",
        f"Exit code: {step.exit_code}",
        f"Execution time: {invocation.seconds:.1f} s ({step.seconds:.1f} s on the Bastion Host)",
        f"Command ID: {invocation.command_id}",
    )
    if step.exit_code:
        console.warn(f"[ERROR] The command failed on the Bastion Host with exit code {step.exit_code}")
    else:
        console.say("[SUCCESS] The command succeeded on the Bastion Host")
    return step.exit_code


def preview(order: CommandRequest, console: Console) -> int:
    """Show what `run` would transfer and run; nothing is asked of AWS or of the local target.

    Raises:
        ConfigError: When order or configuration cannot be used.
    """
    config = load(order.config, root_of(order.config))
    upload = _script(order)
    archive = build(config)
    _head(order, console)
    console.info(
        f"Target: {'local' if order.local else 'aws'}, region {order.region or config.region or 'of the profile'}"
    )
    console.info("DRY RUN: nothing is sent, and nothing is changed on AWS")
    if order.skip_copy or not config.transfer.enabled:
        console.info(f"Would transfer nothing, and use {config.workspace} on the Bastion Host as it is")
    else:
        console.info(f"Would transfer to {config.workspace} on the Bastion Host {_describe(archive)}:")
        console.info(*(f"  {name} ({number_of(size, 'byte')})" for name, size in _members(archive)))
    if upload:
        console.info(f"Would upload {order.script} ({number_of(len(upload[1]), 'byte')})")
    console.info(f"Would run in {config.workspace}: {order.command or order.script}", "=== DRY RUN COMPLETED ===")
    return 0


def _head(order: CommandRequest, console: Console) -> None:
    console.info(
        "=== Bastion Host Remote Command Execution ===", "Pattern: aurora-postgresql", f"Config: {order.config}"
    )


@contextmanager
def _bastion(
    order: CommandRequest, config: Config, console: Console
) -> Iterator[tuple[DiscoveredCluster, BastionSession]]:
    """Find the bastion, and leave nothing on it and nothing running."""
    options = TargetOptions(
        region=order.region or config.region or None,
        profile=order.profile,
        state=config.root / ".local",
        master_username=config.master_username or "postgres",
        instance_id=config.instance_id,
    )
    console.status("starting the local target" if order.local else "connecting to AWS")
    target = open_target("local" if order.local else "aws", options)
    try:
        found, bastion = open_bastion(config, target, skip_copy=order.skip_copy, progress=console, warn=console.warn)
        emulated = " (emulated)" if target.emulated else ""
        console.info(
            f"Target: {target.name}{emulated}, region {target.region}",
            f"Cluster: {found.connection.host}:{found.connection.port} as {found.connection.credentials.user}"
            f" ({f'stack {found.stack}' if found.stack else 'aurora.endpoint'})",
            f"Bastion Host: {found.instance_id}",
        )
        try:
            yield found, bastion
        finally:
            try:
                bastion.close()
            except ProvisioningError as error:
                console.warn(f"[WARNING] The clean-up on the Bastion Host did not complete: {error.message}")
    finally:
        target.close()


def _script(order: CommandRequest) -> tuple[str, bytes] | None:
    if order.script is None:
        return None
    try:
        return order.script.name, order.script.read_bytes()
    except OSError as error:
        raise ConfigError(f"Cannot read the script to upload: {order.script}: {error.strerror}") from error


def _interpreted(name: str, content: bytes) -> str:
    """Return the line that runs an uploaded script by its interpreter: in a /tmp mounted noexec it cannot run itself.

    Raises:
        ConfigError: When a shell would trip over its line ends.
    """
    first = content.partition(b"\n")[0].decode(errors="replace").strip()
    words = first[2:].strip().split(maxsplit=1) if first.startswith("#!") else ["bash"]
    if words[-1].endswith("sh"):
        check_line_ends(name, content)
    return f'{shlex.join(words)} "$UPLOADED"'


def _refuse_secrets(line: str, upload: tuple[str, bytes] | None, credentials: Credentials) -> None:
    """Refuse a command with the password in it, however spelled: SSM's history and the bastion's disk keep it in clear."""
    sent = line + (upload[1].decode(errors="replace") if upload else "")
    if redaction.gives_away(sent, credentials.password):
        raise ConfigError(
            "The command holds the password of the cluster; SSM keeps commands readable for weeks, so it was not sent",
            hint="Leave it out: psql on the Bastion Host connects by itself.",
        )


def _transfer(bastion: BastionSession) -> str:
    if bastion.skip_copy:
        return f"Transfer: skipped; {bastion.workspace} on the Bastion Host is used as it is"
    if bastion.facts.holds(bastion.archive):
        return f"Transfer: nothing to do; {bastion.workspace} is up to date: {_describe(bastion.archive)}"
    return f"Transfer: to {bastion.workspace}: {_describe(bastion.archive)}"


def _describe(archive: Archive) -> str:
    total = sum(size for _, size in _members(archive))
    return f"{number_of(len(archive.names), 'file')}, {number_of(total, 'byte')} ({len(archive.data):,} packed), digest {archive.digest}"


def _members(archive: Archive) -> list[tuple[str, int]]:
    with tarfile.open(fileobj=io.BytesIO(archive.data)) as tar:
        return [(member.name, member.size) for member in tar]
