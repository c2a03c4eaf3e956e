"""``etl-manager template --from-schema NAME``: the first change of the tenant template, from a schema that exists."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from pathlib import Path

from etl_manager.aws.discovery import Connection
from etl_manager.bastion.session import BastionSession
from etl_manager.cli.bastion_command import open_session
from etl_manager.config import Config, load, phases
from etl_manager.errors import ConfigError, SqlError, VerificationError, WorkspaceError, remedy
from etl_manager.progress import Console
from etl_manager.project import root_of
from etl_manager.sql_files.dump import TemplateChange, change_of
from etl_manager.sql_files.lexer import UnreadableError
from etl_manager.targets import NAMES
from etl_manager.wording import enumeration

RETRY_HINT = "Call it again: it only reads."
_SHELL = """\
export PGDATABASE={database}
psql -XAtq -v ON_ERROR_STOP=1 -v schema={schema} <<'SQL' || exit
SELECT current_setting('server_version_num')::int / 10000, EXISTS (SELECT FROM pg_namespace WHERE nspname = :'schema');
SQL
pg_dump --version || echo
exec pg_dump --schema-only --no-publications --encoding=UTF8 --schema={pattern}"""
"""Prints the server's major version and whether there is the schema, a line of pg_dump's version, and the dump."""
_NEXT = (
    "A person reviews it before a run applies it: what is no tenant's own goes out.\n"
    "Then: pytest features/ --plan. Tenants that are so already are adopted, and new ones are made so."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which schema, and where it is, to *parser*."""
    parser.add_argument(
        "--from-schema", required=True, metavar="NAME", help="the schema of a tenant, in the tenants' database"
    )
    parser.add_argument(
        "--config-json",
        type=Path,
        default=root_of(Path("config.json")) / "config.json",
        metavar="FILE",
        help="the configuration (default: config.json in the project's folder)",
    )
    parser.add_argument(
        "--target", choices=NAMES, default=os.environ.get("PROVISION_TARGET") or "local",
        help="what answers behind the AWS API (default: the variable PROVISION_TARGET, else local)",
    )  # fmt: skip
    parser.add_argument("--skip-copy", action="store_true", help="use the workspace that is on the bastion already")
    parser.add_argument("--aws-profile", metavar="NAME", help="the profile of the AWS CLI to use")
    parser.add_argument("--aws-region", metavar="NAME", help="the AWS region (default: project.region of the config)")
    parser.epilog = (
        "It only reads. Where the template has no change yet, the change is written; else it is printed.\n"
        "exit status: 0 done, 1 it could not be done, 64 wrong call."
    )


def run(namespace: argparse.Namespace) -> int:
    """Dump the schema on the bastion, write or print the change, say what to do next; return the exit status.

    Raises:
        ConfigError: When the call or the configuration cannot be used; nothing was sent.
        ProvisioningError: When the schema could not be dumped.
    """
    if namespace.target not in NAMES:
        raise ConfigError(f"The target {namespace.target!r} is not known", hint=f"Use one of: {', '.join(NAMES)}")
    if namespace.aws_profile and namespace.target != "aws":
        raise ConfigError(
            f"--aws-profile names an account on AWS; the target is {namespace.target}", hint="Add --target aws."
        )
    console, schema = Console(), namespace.from_schema
    config = load(namespace.config_json, root_of(namespace.config_json))
    existing = phases.changes(config.root)
    with open_session(config, console, namespace, namespace.target, RETRY_HINT) as (_, found, bastion):
        bastion.open()
        change = _change(config, schema, bastion, found.connection)
    head = (
        f"-- What a tenant has, by pg_dump from {' '.join(schema.split())}. To be reviewed before a run applies it.\n\n"
    )
    text = head + change.text
    file = phases.TENANT / "changes" / f"0001-{re.sub('[^A-Za-z0-9._-]', '-', schema)}.sql"
    if existing:
        console.output(text, sys.stdout)
        console.warn(
            f"[WARNING] The tenant template has changes already: {enumeration(existing, 1)}. Nothing was written."
            f" For a template that begins with this schema, remove them with what is in "
            f"{phases.TENANT}/data, and put this into {file}."
        )
    else:
        _write(config.root / file, text)
        console.info(f"Written: {file}")
    for line, why in change.doubts:
        console.warn(f"[WARNING] {file}, line {line + head.count(chr(10))}: {why}")
    for sentence in _NEXT.splitlines():
        console.warn(sentence) if existing else console.info(sentence)
    return 0


def _change(config: Config, schema: str, bastion: BastionSession, connection: Connection) -> TemplateChange:
    pattern = '"' + schema.replace('"', '""') + '"'  # a pattern by itself: in quotes, all of it is a name
    line = _SHELL.format(**{
        name: shlex.quote(value)
        for name, value in {"database": config.database, "schema": schema, "pattern": pattern}.items()
    })  # fmt: skip
    _, command = bastion.run_user_command(line, connection)
    where = {"database": config.database, "cluster": f"{connection.host}:{connection.port}"}
    facts, version, dump = [*command.stdout.split("\n", 2), "", ""][:3]
    if not facts:
        raise SqlError(
            f"The database cannot be read: {command.stderr.strip()}",
            context=where,
            hint="Correct aurora.databaseName in config.json, or the user's rights.",
        )
    server, exists = facts.split("|")
    if exists != "t":
        raise VerificationError(
            f"There is no schema {schema}",
            context=where,
            hint="Write the name as the catalogue has it, capitals too, and without quotes.",
        )
    if not version:
        raise WorkspaceError("The bastion lacks pg_dump", hint=_install(server))
    if int(re.findall(r"\d+", version)[0]) < int(server):
        raise WorkspaceError(
            f"The bastion's pg_dump is older than the server, which is PostgreSQL {server}: {version}",
            hint=_install(server),
        )
    if command.exit_code:
        raise SqlError(
            f"pg_dump did not read the schema {schema}: {command.stderr.strip()}",
            context=where,
            hint="The user of the cluster has to be able to read all that is in the schema.",
        )
    try:
        change = change_of(dump, schema)
    except UnreadableError as error:
        raise VerificationError(f"What pg_dump printed cannot be read, line {error.line}: {error}") from error
    if not change.text:
        raise VerificationError(
            f"The schema {schema} is empty", context=where, hint="Name the schema of a tenant that has its tables."
        )
    return change


def _install(server: str) -> str:
    return (
        f"On the bastion: sudo dnf install -y postgresql{server}\n"
        f"Elsewhere than on Amazon Linux: the package of PostgreSQL {server}'s client programs."
    )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(
            f"Cannot write {path}: {error.strerror}",
            hint=remedy(error, "Make the folder writable, and call it again."),
        ) from error
