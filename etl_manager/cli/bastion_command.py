"""Run one command on the bastion: the transfer, its output and a summary."""

from __future__ import annotations

import argparse
import io
import shlex
import signal
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager

from etl_manager import redaction
from etl_manager.aws.discovery import Credentials, DiscoveredCluster
from etl_manager.bastion.session import BastionSession
from etl_manager.bastion.workspace import Archive, build, check_line_ends
from etl_manager.config import Config, load
from etl_manager.errors import ConfigError
from etl_manager.progress import Console
from etl_manager.project import root_of
from etl_manager.provisioning.startup import open_bastion, target_options
from etl_manager.targets import Target, open_target
from etl_manager.wording import number_of

RETRY_HINT = "Look at what it did before you run it again: it may not be safe to repeat."


def run(request: argparse.Namespace, console: Console) -> int:
    """Transfer, run what *request* asks for, show output and summary; return the exit status of the command.

    Raises:
        ConfigError: When request or configuration cannot be used; nothing was sent.
        ProvisioningError: When the command did not run to its end.
    """
    config = load(request.config, root_of(request.config))
    upload = _read_script(request)
    line = _interpreter_line(*upload) if upload else request.bastion_command or ""
    _print_head(request, console)
    with open_session(config, console, request, "local" if request.local else "aws") as (target, found, bastion):
        _print_place(target, found, console)
        _refuse_secrets(line, upload, found.connection.credentials.current())
        bastion.open()
        title = f"Script: {request.upload_script}" if upload else f"Command: {request.bastion_command}"
        console.info(_describe_transfer(bastion), title)
        result, command = bastion.run_user_command(line, found.connection, upload)
    console.info("=== COMMAND OUTPUT ===")
    console.output(command.stdout, sys.stdout)
    console.output(command.stderr, sys.stderr)
    console.info(
        "=== EXECUTION SUMMARY ===",
        f"Exit code: {command.exit_code}",
        f"Execution time: {result.seconds:.1f} s ({command.seconds:.1f} s on the Bastion Host)",
        f"Command ID: {result.command_id}",
    )
    if command.exit_code:
        console.warn(f"[ERROR] The command failed on the Bastion Host with exit code {command.exit_code}")
    else:
        console.say("[SUCCESS] The command succeeded on the Bastion Host")
    return command.exit_code


def preview(request: argparse.Namespace, console: Console) -> int:
    """Show what `run` would transfer and run; neither AWS nor the local target is called.

    Raises:
        ConfigError: When request or configuration cannot be used.
    """
    config = load(request.config, root_of(request.config))
    upload = _read_script(request)
    archive = build(config)
    _print_head(request, console)
    console.info(
        f"Target: {'local' if request.local else 'aws'}, region {request.aws_region or config.region or 'of the profile'}"
    )
    console.info("DRY RUN: nothing is sent, and nothing is changed on AWS")
    if request.skip_copy or not config.transfer.enabled:
        console.info(f"Would transfer nothing, and use {config.bastion.working_directory} on the Bastion Host as it is")
    else:
        console.info(
            f"Would transfer to {config.bastion.working_directory} on the Bastion Host {_describe_archive(archive)}:"
        )
        console.info(*(f"  {name} ({number_of(size, 'byte')})" for name, size in _members(archive)))
    if upload:
        console.info(f"Would upload {request.upload_script} ({number_of(len(upload[1]), 'byte')})")
    console.info(
        f"Would run in {config.bastion.working_directory}: {request.bastion_command or request.upload_script}",
        "=== DRY RUN COMPLETED ===",
    )
    return 0


def _print_head(request: argparse.Namespace, console: Console) -> None:
    console.info(
        "=== Bastion Host Remote Command Execution ===", "Pattern: aurora-postgresql", f"Config: {request.config}"
    )


@contextmanager
def open_session(
    config: Config, console: Console, request: argparse.Namespace, target: str, retry_hint: str = RETRY_HINT
) -> Iterator[tuple[Target, DiscoveredCluster, BastionSession]]:
    """Find the bastion behind the target named *target*; afterwards leave nothing on it, and nothing running.

    *request* has the options of the command line that are about the session: ``skip_copy``, ``aws_region``, ``aws_profile``.

    Raises:
        ProvisioningError: As `etl_manager.targets.open_target` and `etl_manager.provisioning.startup.open_bastion`.
    """
    for sign in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sign) is not signal.SIG_IGN:  # nohup ignores the hang-up, and so do we then
            signal.signal(sign, signal.default_int_handler)  # ended from outside, it cleans up all the same
    options = target_options(config, region=request.aws_region, profile=request.aws_profile)
    console.status("connecting to AWS" if target == "aws" else f"starting the {target} target")
    with closing(open_target(target, options)) as opened:
        found, bastion = open_bastion(
            config, opened, skip_copy=request.skip_copy, progress=console, warn=console.warn, retry_hint=retry_hint
        )
        with closing(bastion):
            yield opened, found, bastion


def _print_place(target: Target, found: DiscoveredCluster, console: Console) -> None:
    emulated = " (emulated)" if target.emulated else ""
    console.info(
        f"Target: {target.name}{emulated}, region {target.region}",
        f"Cluster: {found.connection.host}:{found.connection.port} as {found.connection.credentials.user}"
        f" ({f'stack {found.stack}' if found.stack else 'aurora.endpoint'})",
        f"Bastion Host: {found.instance_id}",
    )


def _read_script(request: argparse.Namespace) -> tuple[str, bytes] | None:
    if (script := request.upload_script) is None:
        return None
    try:
        return script.name, script.read_bytes()
    except OSError as error:
        raise ConfigError(f"Cannot read the script to upload: {script}: {error.strerror}") from error


def _interpreter_line(name: str, content: bytes) -> str:
    """Return the line that runs an uploaded script by its interpreter: in a /tmp mounted noexec it cannot run itself."""
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


def _describe_transfer(bastion: BastionSession) -> str:
    if bastion.skip_copy:
        return f"Transfer: skipped; {bastion.workspace} on the Bastion Host is used as it is"
    if bastion.state.matches(bastion.archive):
        return f"Transfer: nothing to do; {bastion.workspace} is up to date: {_describe_archive(bastion.archive)}"
    return f"Transfer: to {bastion.workspace}: {_describe_archive(bastion.archive)}"


def _describe_archive(archive: Archive) -> str:
    total = sum(size for _, size in _members(archive))
    return f"{number_of(len(archive.names), 'file')}, {number_of(total, 'byte')} ({len(archive.packed()):,} packed), digest {archive.digest}"


def _members(archive: Archive) -> list[tuple[str, int]]:
    with tarfile.open(fileobj=io.BytesIO(archive.tar)) as tar:
        return [(member.name, member.size) for member in tar]
