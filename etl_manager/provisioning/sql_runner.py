"""Run SQL files on the bastion: attach them and their output to the report, and raise an error where one fails."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

from etl_manager import sql_files
from etl_manager.aws.discovery import Connection
from etl_manager.bastion.session import SQL_FAILED, BastionSession
from etl_manager.config import Config, phases
from etl_manager.errors import InfrastructureError, ProvisioningError, SqlError, WorkspaceError
from etl_manager.progress import Progress
from etl_manager.project import path_of
from etl_manager.ssm.script import CommandResult, SqlFileResult

Attach = Callable[[str, str, Literal["text", "sql", "csv", "json", "command"]], None]
"""Adds a text to the report: its name, the text, and its kind."""

LOG = logging.getLogger("etl_manager")
ENGINE_WARNING = "[WARNING] "
"""How a line of the engine's log begins that people should see."""
ENGINE_LOCK = "[LOCK] "
"""How the line of the engine's log begins that says for which lock psql waited, and who held it."""
INSPECTIONS = str(phases.INSPECTION.parent)
NO_CONNECTION = 2
"""Exit status of the engine, and psql's own (PostgreSQL manual, psql, "Exit Status")."""

_MESSAGE_WITH_LINE = re.compile(
    r"^psql:(?P<file>.+?):(?P<line>\d+): (?:(?P<severity>[^\s:]+) ?: +)?(?P<message>.*)$", re.MULTILINE
)
"""psql's message about a line of a file: the server's, with the severity in the server's language, or psql's own."""
_PSQL_SEVERITY = "error"
_ANY_ERROR = re.compile(r"^(?:psql: error: |\[ERROR\] |.*?(?:ERROR|FATAL): +)(?P<message>.*)$", re.MULTILINE)


class Part(NamedTuple):
    """A part of a command: its name, and the SQL files it runs, relative to the workspace."""

    name: str
    files: tuple[str, ...]


class PartResult(NamedTuple):
    """What a part of a command did: the command that carried it, and the results of the files that were run."""

    part: Part
    command: CommandResult
    files: list[SqlFileResult]


@dataclass
class SqlRunner:
    """Runs SQL files on *bastion* over *connection*; *attach* adds what ran and what it printed to the report."""

    config: Config
    bastion: BastionSession
    connection: Connection
    progress: Progress
    attach: Attach

    def run(self, title: str, files: Sequence[str], database: str, *, closing: bool = False) -> list[SqlFileResult]:
        """Run *files* in one command and return a result for each.

        Args:
            title: What is being done, as terminal, log and SSM's history show it.
            files: SQL files, relative to the workspace.
            database: The database most of them connect to, for messages.
            closing: Close the run on the bastion in the same command.

        Raises:
            SqlError: When PostgreSQL refused a statement.
            InfrastructureError: When the bastion could not connect, or the command did not run to its end.
        """
        return self.read(title, self.send(title, [Part(title, tuple(files))], closing=closing)[title], database)

    def send(
        self, title: str, parts: Sequence[Part], *, inspection: str = "", closing: bool = False
    ) -> dict[str, PartResult]:
        """Run the files of *parts* in one command, which ends at the first that fails; return each part's results.

        After an SQL error *inspection* is the last file that is run, and belongs to the part that failed.

        Raises:
            InfrastructureError: When the command did not run to its end.
        """
        self.attach_sql(parts[0])
        for file in dict.fromkeys(file for part in parts for file in part.files):
            if why := sql_files.destroys(self._text(file)):
                self.progress.say(f"{file} destroys: {why}")
                LOG.warning("%s destroys: %s", file, why)
                self.attach(f"what {file} destroys", why, "text")
        files = [file for part in parts for file in part.files]
        result, done = self.bastion.run_sql(
            files, self.connection, title, phases=len(parts), inspection=inspection, closing=closing
        )
        LOG.info(
            "%s: SSM command %s on %s: %s in %.1f s",
            title,
            result.command_id,
            result.instance_id,
            result.status,
            result.seconds,
        )
        left = iter(done)
        return {part.name: PartResult(part, result, list(islice(left, len(part.files)))) for part in parts}

    def read(self, title: str, part: PartResult, database: str) -> list[SqlFileResult]:
        """Add what *part* did to the report, and return the results of its files; *title* and *database* as in `run`.

        Raises:
            ProvisioningError: As `run`.
        """
        self._record(title, part.command, part.files)
        failed = [file for file in part.files if file.exit_code]
        if failed or len(part.files) < len(part.part.files):
            raise self._failure(title, (failed or part.files)[0 if failed else -1], database)
        return list(part.files)

    def attach_sql(self, part: Part) -> None:
        """Add the files of *part* to the report."""
        for file in dict.fromkeys(part.files):
            self.attach(file, self._text(file), "sql")

    def _text(self, file: str) -> str:
        return path_of(self.config.root, file).read_text(encoding="utf-8")

    def _record(self, title: str, result: CommandResult, parts: list[SqlFileResult]) -> None:
        facts = {
            "command id": result.command_id,
            "instance": result.instance_id,
            "region": self.config.region,
            "status": result.status,
            "exit status": result.exit_status,
            "seconds": round(result.seconds, 2),
            "workspace": self.bastion.workspace_digest,
            "files": {part.file: {"exit status": part.exit_code, "seconds": part.seconds} for part in parts},
        }
        self.attach(f"SSM command of {title}", json.dumps(facts, indent=2), "command")
        for part in parts:
            LOG.info("%s: exit status %d, %.2f s", part.file, part.exit_code, part.seconds)
            # The inspection prints lines for programs; what they mean is logged as drift.
            lines = part.stderr if part.file.startswith(INSPECTIONS) else part.stderr + part.stdout
            for line in lines.splitlines():
                LOG.debug("%s | %s", part.file, line)
            for line in part.stderr.splitlines():
                if line.startswith(ENGINE_WARNING):
                    self.progress.say(f"{line} ({title})")
            self.attach(f"output of {part.file}", part.stdout or "(psql printed nothing)", "text")
            self.attach(f"bastion log of {part.file}", part.stderr, "text")

    def _failure(self, title: str, part: SqlFileResult, database: str) -> ProvisioningError:
        where: dict[str, object] = {
            "during": title,
            "database": database,
            "SQL": part.file,
            "SSM command": part.command_id,
            "instance": self.bastion.instance_id,
        }
        why = cause(part.stderr)
        lock = next((line[len(ENGINE_LOCK) :] for line in part.stderr.splitlines() if line.startswith(ENGINE_LOCK)), "")
        if part.exit_code == SQL_FAILED:
            return SqlError(
                f"{'psql could not go on' if why.by_psql else 'PostgreSQL refused a statement'}: {why.message}",
                context=where | {"SQL": why.place or part.file, "detail": why.detail, "lock": lock},
                hint="Nothing after it was run. Correct the cause and run again.",
            )
        if part.exit_code == NO_CONNECTION:
            return InfrastructureError(
                f"The bastion has no connection to the database: {why.message}",
                context=where | {"endpoint": f"{self.connection.host}:{self.connection.port}"},
                hint=_connection_remedy(why.message, self.config),
            )
        return WorkspaceError(
            f"The engine on the bastion ended with exit status {part.exit_code}: {why.message}",
            context=where,
            hint="reports/run.log has its whole log.",
        )


def _connection_remedy(message: str, config: Config) -> str:
    """Return what to look at, by libpq's *message*."""
    if "not compiled in" in message:
        return (
            "That psql was built without TLS, as the local target's is; aurora.sslmode is for Aurora and other servers."
        )
    if any(word in message for word in ("certificate", "SSL", "sslmode", "no encryption")):
        return (
            f"TLS: aurora.sslmode is {config.aurora.sslmode}, aurora.caBundle is {config.aurora.ca_bundle or 'not set'}.\n"
            "The bundle must hold the authority that signed the cluster's certificate, and with verify-full the endpoint "
            "must be a name of the certificate; docs/connection.md tells where to get it."
        )
    if config.aurora.credentials == "iam" and "authentication" in message:
        return (
            "IAM: the database user needs the role rds_iam, the cluster IAM authentication switched on, and the operator's "
            "policy rds-db:connect; docs/connection.md tells how."
        )
    return (
        "Is the cluster available, and does its security group let the bastion in?\n"
        "Is the secret the one of this cluster?"
    )


class Cause(NamedTuple):
    """Why psql stopped: file and line, the message, its detail and hint, and whether psql itself says so."""

    place: str
    message: str
    detail: str
    by_psql: bool


def cause(stderr: str) -> Cause:
    """Return why psql stopped, by what it printed.

    It stops at the first error that is not tolerated: this is the last one printed with its place.
    """
    placed = list(_MESSAGE_WITH_LINE.finditer(stderr))
    if not placed:
        found = _ANY_ERROR.search(stderr)
        return Cause("", found["message"] if found else stderr.strip()[-300:] or "no message", "", by_psql=False)
    last = placed[-1]
    # The labels are in the server's language, too, and two blanks follow each.
    details = re.findall(r"^(?!CONTEXT)[^\W\d]\w* ?:  (.+)$", stderr[last.end() :], re.MULTILINE)
    by_psql = last["severity"] == _PSQL_SEVERITY
    return Cause(f"{last['file']}:{last['line']}", last["message"], "; ".join(details[:2]), by_psql)
