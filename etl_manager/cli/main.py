"""The command line: ``2-etl-manager.sh``, which is ``python -m etl_manager``, and the commands beside it.

Exit status of the orchestrator: that of the command on the bastion; `FAILED` when it did not run to its end, and
`WRONG_CALL` when nothing was done because the call or the configuration cannot be used.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from etl_manager.errors import ConfigError, ProvisioningError
from etl_manager.progress import Console

FAILED, WRONG_CALL, INTERRUPTED, NOBODY_READS = 1, 64, 130, 141
"""64 is the engine's own status for a wrong call, so that it means the same at either end of the line."""
PATTERN = "aurora-postgresql"
COMMANDS = {
    "local": ("etl_manager.cli.local", "run the local target in the foreground, as a service"),
    "gate": ("etl_manager.cli.gate", "say whether a verdict of the gate before Phase 3 may still be relied on"),
    "report": ("etl_manager.cli.report", "check the evidence of the last run, or render it"),
    "init": ("etl_manager.cli.init", "write a project that a team owns: features, steps, SQL, configuration"),
    "template": ("etl_manager.cli.template", "write the first change of the tenant template from a schema that exists"),
}
"""Commands beside the orchestrator: the module that has their ``add_arguments`` and ``run``, and what they do."""

EXAMPLES = """\
the four steps:
  ./2-etl-manager.sh -p aurora-postgresql -c config.json --bastion-command \\
      "scripts/2-sql-execute.sh config.json sql/aurora/database/create-multitenant-database.sql"
  ./2-etl-manager.sh -p aurora-postgresql -c config.json --bastion-command \\
      "scripts/2-sql-execute.sh config.json sql/aurora/schema/create-tenant-schemas.sql"
  ./2-etl-manager.sh -p aurora-postgresql -c config.json --bastion-command \\
      "scripts/2-sql-execute.sh config.json sql/aurora/data/insert-sample-data.sql"
  ./2-etl-manager.sh -p aurora-postgresql -c config.json --skip-copy --bastion-command \\
      "scripts/2-sql-execute.sh config.json sql/aurora/verification/verify-setup.sql"

The command runs in the workspace on the Bastion Host. It finds AURORA_ENDPOINT, AURORA_PORT and AURORA_USER, and psql
connects by itself, as in:  --bastion-command "psql -d postgres -c 'select version()'"
Quote the command for your own shell: it is a shell on the Bastion Host that reads it.

exit status: the command's own; 1 it did not run to its end, 64 wrong call.

other commands:
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors look like all others and have the exit status of a wrong call."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message, hint=f"{self.prog} -h tells how it is called.")


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line *words*, those of the process by default, and return the exit status."""
    console = Console()
    words = sys.argv[1:] if words is None else words
    try:
        if words and words[0] in COMMANDS:
            return _command(*words)
        return _orchestrate(words, console)
    except ProvisioningError as error:
        console.error(error)
        return WRONG_CALL if isinstance(error, ConfigError) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's last flush fails too
        return NOBODY_READS


def _command(name: str, *words: str) -> int:
    module, description = COMMANDS[name]
    room = import_module(module)
    parser = _Parser(prog=f"python -m etl_manager {name}", description=description)
    room.add_arguments(parser)
    return int(room.run(parser.parse_args(words)))


def _orchestrate(words: Sequence[str], console: Console) -> int:
    given = _parser().parse_args(words)
    if given.pattern != PATTERN:
        raise ConfigError(
            f"Pattern {given.pattern!r} is not supported: this project builds {PATTERN} only",
            hint=f"Call it with -p {PATTERN}.",
        )
    if given.bastion_command is not None and not given.bastion_command.strip():
        raise ConfigError("--bastion-command is empty", hint="Give it the command to run on the Bastion Host.")
    if given.local and given.aws_profile:
        raise ConfigError("--aws-profile names an account on AWS, and --local does not go there")
    from etl_manager.cli import bastion_command  # only now: -h should not wait for AWS's libraries

    return bastion_command.preview(given, console) if given.dry_run else bastion_command.run(given, console)


def _parser() -> argparse.ArgumentParser:
    others = "".join(f"  python -m etl_manager {name}: {text}\n" for name, (_, text) in COMMANDS.items())
    parser = _Parser(
        prog="2-etl-manager.sh",
        description="Transfer the project's files to the Bastion Host and run one command there, over SSM.",
        epilog=EXAMPLES + others,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-p", "--pattern", required=True, help=f"the zero-ETL pattern; supported: {PATTERN}")
    parser.add_argument(
        "-c", "--config", type=Path, default=Path("config.json"), metavar="FILE", help="default: %(default)s"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--bastion-command", metavar="COMMAND", help="the command to run on the Bastion Host")
    what.add_argument("--upload-script", type=Path, metavar="FILE", help="a script to upload and run there instead")
    parser.add_argument(
        "--skip-copy", action="store_true", help="use the workspace that is on the Bastion Host already"
    )
    parser.add_argument("--local", action="store_true", help="use the local target for this call, instead of AWS")
    parser.add_argument("--dry-run", action="store_true", help="show what would be transferred and run; touch nothing")
    parser.add_argument("--aws-profile", metavar="NAME", help="the profile of the AWS CLI to use")
    parser.add_argument("--aws-region", metavar="NAME", help="the AWS region (default: project.region of the config)")
    return parser
