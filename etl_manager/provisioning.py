"""One run against one target: phases are run once and in their order, and what is there is looked at before and after."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from etl_manager import phases, witness
from etl_manager.bastion.script import Step
from etl_manager.batch import Batches
from etl_manager.config import Config
from etl_manager.drift import PhaseReport, compare, predict
from etl_manager.environment import Environment
from etl_manager.errors import DatabaseMissing, PhaseNotRun, ProvisioningError
from etl_manager.gate.catalogue import Catalogue
from etl_manager.look import Look
from etl_manager.progress import Progress
from etl_manager.verification import Verification

VERIFICATION = "verification"
COUNT_ROWS = phases.INSPECTION.with_name("count-rows.sql")
CATALOGUE = phases.INSPECTION.with_name("inspect-catalogue.sql").as_posix()
LOG = logging.getLogger("etl_manager")


@dataclass
class Run:
    """What the steps of the features talk to.

    Args:
        config: What is to be there.
        batches: Runs SQL files on the bastion.
        verify_only: Prove what is there and change nothing in the database.
        progress: Told what was created, repaired and left alone.
        witness_conninfo: Gives the conninfo of a database for the second witness, or None where it cannot be reached.
        environment: Where the run takes place.
    """

    config: Config
    batches: Batches
    verify_only: bool
    progress: Progress
    witness_conninfo: Callable[[str], str | None]
    environment: Environment
    reports: dict[str, PhaseReport] = field(default_factory=dict)
    _first: Look | None = None
    _look: Look | None = None
    _verification: Verification | None = None
    _catalogue: list[Step] = field(default_factory=list)
    _witnessed: bool = False
    _failed: dict[str, ProvisioningError] = field(default_factory=dict)
    _rows: dict[tuple[str, str], int] | None = None

    def ensure(self, phase: str) -> Look:
        """Bring about what *phase* builds, and all before it, once a run; or, verifying only, look at it.

        Returns:
            What is there afterwards.

        Raises:
            PhaseNotRun: When *phase*, or one before it, failed earlier in this run.
            ProvisioningError: When it fails now.
        """
        if self.verify_only:
            return self._proof()
        for name in self._up_to(phase):
            if name in self._failed:
                raise PhaseNotRun(phase, name, self._failed[name].what.splitlines()[0])
            if name not in self.reports:
                try:
                    self._run_phase(name)
                except ProvisioningError as error:
                    self._failed[name] = error
                    raise
        return self._seen()

    def again(self) -> list[PhaseReport]:
        """Run every phase once more, in one command, and return what that changed.

        Raises:
            ProvisioningError: As `ensure`.
        """
        before = self.ensure(self._before_verification()[-1])
        names = [phase.name for phase in self.config.phases]
        files = [file for name in names for file in self._files(name)]
        files.append(phases.INSPECTION.as_posix())
        steps = self.batches.run(
            "all phases again", [*files, CATALOGUE], self.config.database, closing=True, needed=len(files)
        )
        self._take_look(steps[len(files) - 1])
        self._take_verification(steps)
        return [self._told(compare(name, before, self._seen(), before)) for name in self._before_verification()]

    def verification(self) -> Verification:
        """Return what the verification printed, read again by the second witness where there is one.

        Raises:
            VerificationError: When the output cannot be read, or the second witness disagrees.
            ProvisioningError: As `ensure`.
        """
        if self._verification is None:
            self.ensure(VERIFICATION)
        if self._verification is None:
            raise self._no_database()
        if not self._witnessed:
            conninfo = self.witness_conninfo(self.config.database)
            if conninfo is not None:
                witness.check(conninfo, self.config.tenants, self._verification)
                LOG.info("the second witness agrees with the verification")
            self._witnessed = True
        return self._verification

    def catalogue(self) -> Catalogue:
        """Return the cluster's databases and tables as they were when the verification ran, seen by the same command.

        Raises:
            VerificationError: When the output cannot be read.
            ProvisioningError: As `verification`.
        """
        self.verification()
        [step] = self.batches.check("verification", self._catalogue, self.config.database)
        return Catalogue.read(step.stdout)

    def rows(self, schema: str, table: str) -> int | None:
        """Return how many rows *schema*.*table* has once everything is built; None when there is no such table."""
        look = self.ensure(self._before_verification()[-1])
        if schema in look.tenants and table == "users":
            return look.tenants[schema].rows
        if self._rows is None:
            [step] = self.batches.run("counting rows", [COUNT_ROWS.as_posix()], "postgres")
            lines = [json.loads(line) for line in step.stdout.splitlines() if line]
            self._rows = {(line["schema"], line["table"]): line["rows"] for line in lines}
        return self._rows.get((schema, table))

    def plan(self) -> list[str]:
        """Look and change nothing in the database: return what a run would do, phase by phase."""
        self._take_look(self.batches.run("plan", [phases.INSPECTION.as_posix()], "postgres", closing=True)[0])
        look = self._seen()
        lines = []
        for phase in self.config.phases:
            lines.append(f"{phase.name}: {phase.description or 'no description'}, in {phase.connection_db}")
            lines += [f"  {file}" for file in self._files(phase.name)]
            if phase.name in phases.BUILT_IN and phase.name != VERIFICATION:
                report = predict(phase.name, look, self.config.users_per_tenant)
                lines += [f"  would be {change}" for change in report.changes] or ["  nothing to change"]
                if report.changes and report.unchanged:
                    lines.append(f"  {report.unchanged} would be left alone")
        lines += [f"not configured, and left alone: schema {stray}" for stray in look.strays]
        return lines

    @property
    def server_version(self) -> str:
        """PostgreSQL's version, where the run came so far as to learn it; else empty."""
        return self._look.server_version if self._look else ""

    def close(self) -> None:
        """Delete what the run left on the bastion."""
        self.batches.bastion.close()

    def _up_to(self, phase: str) -> list[str]:
        self.config.phase(phase)
        names = [item.name for item in self.config.phases]
        return names[: names.index(phase) + 1]

    def _before_verification(self) -> list[str]:
        return [phase.name for phase in self.config.phases if phase.name != VERIFICATION]

    def _files(self, phase: str) -> list[str]:
        return [file.as_posix() for file in phases.sql_files(self.config.root, phase)]

    def _run_phase(self, name: str) -> None:
        phase = self.config.phase(name)
        looking = phases.INSPECTION.as_posix()
        before = [] if self._look else [looking]
        proving = name == VERIFICATION
        files = [*before, *self._files(name), *([] if proving else [looking])]
        after = [CATALOGUE] if proving else []
        steps = self.batches.run(
            f"phase {name}", [*files, *after], phase.connection_db, closing=proving, needed=len(files)
        )
        if before:
            self._take_look(steps[0])
        was = self._seen()
        if proving:
            self._take_verification(steps)
            self.reports[name] = PhaseReport(name, (), 0)
            return
        self._take_look(steps[-1])
        self.reports[name] = self._told(compare(name, was, self._seen(), self._first or was))

    def _proof(self) -> Look:
        """Look and verify in one command, once; the database is asked and not changed."""
        if "proof" in self._failed:
            raise PhaseNotRun(VERIFICATION, VERIFICATION, self._failed["proof"].what.splitlines()[0])
        if self._look is None:
            files = [phases.INSPECTION.as_posix(), *self._files(VERIFICATION), CATALOGUE]
            try:
                steps = self.batches.run("verification", files, self.config.database, closing=True, needed=1)
                self._take_look(steps[0])
                if self._seen().exists:
                    self.batches.check("verification", steps[: len(files) - 1], self.config.database)
                    self._take_verification(steps)
            except ProvisioningError as error:
                self._failed["proof"] = error
                raise
        if not self._seen().exists:
            raise self._no_database()
        return self._seen()

    def _take_look(self, step: Step) -> None:
        self._look = Look.read(step.stdout)
        self._first = self._first or self._look

    def _take_verification(self, steps: Sequence[Step]) -> None:
        files = self._files(VERIFICATION)
        self._verification = Verification.read("\n".join(step.stdout for step in steps if step.file in files))
        table = self._verification.table(self.config.tenants, self.config.users_per_tenant)
        self.batches.attach("verification, a line a tenant", table, "csv")
        self._catalogue = [step for step in steps if step.file == CATALOGUE]
        self._witnessed = False

    def _seen(self) -> Look:
        if self._look is None:
            raise AssertionError
        return self._look

    def _told(self, report: PhaseReport) -> PhaseReport:
        for line in report.lines():
            self.progress.say(line)
        for change in report.changes:
            LOG.info("%s: %s", report.phase, change)
        if not report.changes:
            LOG.info("%s: nothing was changed (%d left alone)", report.phase, report.unchanged)
        self.batches.attach(f"drift of phase {report.phase}", "\n".join(report.lines(most=1000)), "text")
        return report

    def _no_database(self) -> DatabaseMissing:
        return DatabaseMissing(
            f"The database {self.config.database} does not exist",
            where={"cluster": f"{self.batches.connection.host}:{self.batches.connection.port}"},
            remedy="Run without --verify-only to build it, or correct aurora.databaseName in config.json.",
        )
