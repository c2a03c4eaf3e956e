"""Batches of SQL files on the bastion: shown while they run, kept as evidence, and judged when they are done."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from etl_manager import sql_files
from etl_manager.aws.connection import Connection
from etl_manager.bastion.session import BastionSession
from etl_manager.config import Config, phases
from etl_manager.errors import InfrastructureError, ProvisioningError, SqlError, WorkspaceError
from etl_manager.progress import Progress
from etl_manager.ssm.run_command import Invocation
from etl_manager.ssm.script import SqlFileResult
from etl_manager.wording import number_of

Attach = Callable[[str, str, Literal["text", "sql", "csv", "json", "command"]], None]
"""Keeps evidence: its name, its text, and its kind."""

LOG = logging.getLogger("etl_manager")
ENGINE_WARNS = "[WARNING] "
"""How a line of the engine's log begins that its users should see."""
INSPECTIONS = str(phases.INSPECTION.parent)
NO_CONNECTION, SQL_FAILED = 2, 3
"""Exit statuses of the engine, which are psql's own (PostgreSQL manual, psql, "Exit Status")."""

_PLACED = re.compile(
    r"^psql:(?P<file>.+?):(?P<line>\d+): (?:(?P<severity>[^\s:]+) ?: +)?(?P<message>.*)$", re.MULTILINE
)
"""What psql says of a line of a file: a server's message, with its severity in the server's language, or its own."""
_PSQLS_OWN = "error"
_ANY_ERROR = re.compile(r"^(?:psql: error: |\[ERROR\] |.*?(?:ERROR|FATAL): +)(?P<message>.*)$", re.MULTILINE)


@dataclass
class SqlRunner:
    """Runs batches on *bastion* over *connection*; *attach* keeps what ran and what it printed."""

    config: Config
    bastion: BastionSession
    connection: Connection
    progress: Progress
    attach: Attach

    def run(
        self, title: str, files: Sequence[str], database: str, *, closing: bool = False, needed: int | None = None
    ) -> list[SqlFileResult]:
        """Run *files* in one command and return a step for each.

        Args:
            title: What is being done, as terminal, log and SSM's history show it.
            files: SQL files, relative to the workspace.
            database: The database most of them connect to, for messages.
            closing: Close the run on the bastion in the same command.
            needed: How many of the files must succeed; all by default.

        Raises:
            SqlError: When PostgreSQL refused a statement.
            EnvironmentTrouble: When the bastion could not connect, or the command did not run to its end.
        """
        tenants = number_of(len(self.config.tenants), "tenant")
        self.progress.status(f"{title} · {tenants} · sending")
        self.bastion.run_command.on_status = lambda status, seconds: self.progress.status(
            f"{title} · {tenants} · {status} · {seconds:.0f} s"
        )
        for file in dict.fromkeys(files):
            text = (self.config.root / file).read_text(encoding="utf-8")
            self.attach(file, text, "sql")
            if why := sql_files.destroys(text):
                self.progress.say(f"{file} destroys: {why}")
                LOG.warning("%s destroys: %s", file, why)
                self.attach(f"what {file} destroys", why, "text")
        invocation, steps = self.bastion.batch(files, self.connection, title, closing=closing)
        self._keep(title, invocation, steps)
        must = len(files) if needed is None else needed
        if len(steps) < must or any(step.exit_code for step in steps[:must]):
            raise self._failure(title, invocation, steps[-1], database)
        self._last = invocation
        return steps

    def check(self, title: str, steps: list[SqlFileResult], database: str) -> list[SqlFileResult]:
        """Return *steps* when all of them succeeded.

        Raises:
            ProvisioningError: As `run`.
        """
        if any(step.exit_code for step in steps):
            raise self._failure(title, self._last, steps[-1], database)
        return steps

    def _keep(self, title: str, invocation: Invocation, steps: list[SqlFileResult]) -> None:
        LOG.info(
            "%s: SSM command %s on %s: %s in %.1f s",
            title,
            invocation.command_id,
            invocation.instance_id,
            invocation.status,
            invocation.seconds,
        )
        facts = {
            "command id": invocation.command_id,
            "instance": invocation.instance_id,
            "region": self.config.region,
            "status": invocation.status,
            "exit status": invocation.exit_code,
            "seconds": round(invocation.seconds, 2),
            "files": {step.file: {"exit status": step.exit_code, "seconds": step.seconds} for step in steps},
        }
        self.attach(f"SSM command of {title}", json.dumps(facts, indent=2), "command")
        for step in steps:
            LOG.info("%s: exit status %d, %.2f s", step.file, step.exit_code, step.seconds)
            # The inspection's lines are for programs; what they say is logged as drift.
            said = step.stderr if step.file.startswith(INSPECTIONS) else step.stderr + step.stdout
            for line in said.splitlines():
                LOG.debug("%s | %s", step.file, line)
            for line in step.stderr.splitlines():
                if line.startswith(ENGINE_WARNS):
                    self.progress.say(f"{line} ({title})")
            self.attach(f"output of {step.file}", step.stdout or "(psql printed nothing)", "text")
            self.attach(f"bastion log of {step.file}", step.stderr, "text")

    def _failure(self, title: str, invocation: Invocation, step: SqlFileResult, database: str) -> ProvisioningError:
        where: dict[str, object] = {
            "during": title,
            "database": database,
            "SQL": step.file,
            "SSM command": invocation.command_id,
            "instance": invocation.instance_id,
        }
        why = cause(step.stderr)
        told = why.message
        if step.exit_code == SQL_FAILED:
            return SqlError(
                f"{'psql could not go on' if why.by_psql else 'PostgreSQL refused a statement'}: {told}",
                context=where | {"SQL": why.place or step.file, "detail": why.detail},
                hint="Nothing after it was run. Correct the cause and run again.",
            )
        if step.exit_code == NO_CONNECTION:
            return InfrastructureError(
                f"The bastion has no connection to the database: {told}",
                context=where | {"endpoint": f"{self.connection.host}:{self.connection.port}"},
                hint=_connection_remedy(told, self.config),
            )
        return WorkspaceError(
            f"The engine on the bastion ended with exit status {step.exit_code}: {told}",
            context=where,
            hint="reports/run.log has its whole log.",
        )


def _connection_remedy(told: str, config: Config) -> str:
    """Return what to look at, by what libpq *told*."""
    if "not compiled in" in told:
        return (
            "That psql was built without TLS, as the local target's is; aurora.sslmode is for Aurora and other servers."
        )
    if any(word in told for word in ("certificate", "SSL", "sslmode", "no encryption")):
        return (
            f"TLS: aurora.sslmode is {config.sslmode}, aurora.caBundle is {config.ca_bundle or 'not set'}.\n"
            "The bundle must hold the authority that signed the cluster's certificate, and with verify-full the endpoint "
            "must be a name of the certificate; docs/connection.md tells where to get it."
        )
    if config.credentials == "iam" and "authentication" in told:
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

    It stops at the first error that is not tolerated, so that this is the last to be named with its place.
    """
    placed = list(_PLACED.finditer(stderr))
    if not placed:
        found = _ANY_ERROR.search(stderr)
        return Cause("", found["message"] if found else stderr.strip()[-300:] or "no message", "", by_psql=False)
    last = placed[-1]
    # The labels are in the server's language, too, and two blanks follow each.
    details = re.findall(r"^(?!CONTEXT)[^\W\d]\w* ?:  (.*)$", stderr[last.end() :], re.MULTILINE)
    by_psql = last["severity"] == _PSQLS_OWN
    return Cause(f"{last['file']}:{last['line']}", last["message"], "; ".join(details[:2]), by_psql)
