"""One run against one target: phases are run once and in their order, and what is there is looked at before and after."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from etl_manager.config import Config, phases
from etl_manager.database import crosscheck
from etl_manager.database.drift import Change, Difference, PhaseDiff, compare, left_as_it_is, losses
from etl_manager.database.observations import RunObservations
from etl_manager.database.snapshot import Catalogue, DatabaseSnapshot, Unreadable, read_counts
from etl_manager.database.verification import Verification
from etl_manager.errors import DatabaseMissing, DataLost, Failures, SqlError, TenantsMissing
from etl_manager.progress import Progress
from etl_manager.provisioning.context import RunContext
from etl_manager.provisioning.plan import plan
from etl_manager.provisioning.sql_runner import SqlRunner
from etl_manager.ssm.script import SqlFileResult

VERIFICATION = "verification"
LOOKING = phases.INSPECTION.as_posix()
COUNT_ROWS = phases.INSPECTION.with_name("count-rows.sql").as_posix()
CATALOGUE = phases.INSPECTION.with_name("inspect-catalogue.sql").as_posix()
LOG = logging.getLogger("etl_manager")
REPEATED = (
    "The four phases were run a second time, to prove that they can be: their files must be safe to repeat.\n"
    "What may run only once belongs into a phase of its own under aurora.phases, which a run does not repeat."
)


@dataclass
class ProvisioningRun:
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
    batches: SqlRunner
    verify_only: bool
    progress: Progress
    witness_conninfo: Callable[[str], str | None]
    environment: RunContext
    reports: dict[str, PhaseDiff] = field(default_factory=dict)
    _seen: RunObservations = field(default_factory=RunObservations)
    _witnessed: bool = False
    _failures: Failures = field(default_factory=Failures)
    _repeated: list[PhaseDiff] | None = None
    _rows: dict[tuple[str, str], int | Unreadable] | None = None

    def ensure(self, phase: str) -> DatabaseSnapshot:
        """Bring about what *phase* builds, and all before it, once a run, and return what is there then.

        Verifying only, it looks and brings about nothing.

        Raises:
            PhaseSkipped: When *phase*, or one before it, failed or was interrupted earlier in this run.
            ProvisioningError: When it fails now.
        """
        if self.verify_only:
            return self._proof(phase)
        for name in self.config.up_to(phase):
            if name not in self.reports or f"phase {name}" in self._failures:
                with self._failures.once(f"phase {name}"):
                    self._run_phase(name)
        return self._seen.now

    def again(self) -> list[PhaseDiff]:
        """Run the four phases once more, in one command and once a run, and return what that changed.

        A phase of the user's own runs once in a run: it need not be safe to repeat.

        Raises:
            DataLost: When something vanished meanwhile.
            ProvisioningError: As `ensure`.
        """
        self.ensure(self._before_verification()[-1])
        if self._repeated is None:
            with self._failures.once("the repetition of all phases"):
                self._repeated = self._repeat()
        return self._repeated

    def _repeat(self) -> list[PhaseDiff]:
        if own := [phase.name for phase in self.config.phases if phase.name not in phases.BUILT_IN]:
            self.progress.say(f"run once, and not repeated: {', '.join(own)}")
        runs = [(name, [*self._files(name), LOOKING]) for name in phases.BUILT_IN]
        try:
            steps = self._prove("all phases again", [file for _, files in runs for file in files], self.config.database)
        except SqlError as error:
            error.remedy = REPEATED
            raise
        reports, done = [], 0
        for name, files in runs:
            done += len(files)
            reports.append(self._take_report(name, steps[done - 1]))
        for report in reports:
            if lost := report.of("lost"):
                known = self.reports.get(report.phase, PhaseDiff(report.phase, (), 0))
                self.reports[report.phase] = replace(known, changes=known.changes + lost)
        self._check_losses("all phases again", reports)
        return reports

    def verification(self) -> Verification:
        """Return what the verification printed, read again by the second witness where there is one.

        Raises:
            VerificationError: When the output cannot be read, or the second witness disagrees.
            ProvisioningError: As `ensure`.
        """
        if self.verify_only or self._seen.verification is None:
            self.ensure(VERIFICATION)
        found = self._seen.verification
        if found is None:
            raise self._no_database()
        if not self._witnessed:
            conninfo = self.witness_conninfo(self.config.database)
            if conninfo is not None:
                with self._failures.once("the reading of the second witness"):
                    crosscheck.check(conninfo, self.config.tenants, found)
                LOG.info("the second witness agrees with the verification")
            self._witnessed = True
        return found

    def catalogue(self) -> Catalogue:
        """Return the cluster's databases and tables as they were when the verification ran, seen by the same command.

        Raises:
            VerificationError: When the output cannot be read.
            ProvisioningError: As `verification`.
        """
        self.verification()
        with self._failures.once("the reading of the catalogue"):
            [step] = self.batches.check("verification", self._seen.catalogue, self.config.database)
            return Catalogue.read(step.stdout)

    def look_at_catalogue(self) -> Catalogue:
        """Return the cluster's databases and tables as they are now; nothing is proven, and nothing changed.

        Raises:
            ProvisioningError: When they cannot be read.
        """
        [step] = self.batches.run("gate check", [CATALOGUE], self.config.database, closing=True)
        return Catalogue.read(step.stdout)

    def rows(self, schema: str, table: str) -> int | Unreadable | None:
        """Return how many rows *schema*.*table* has once everything is built.

        Of a tenant's table that is without the rows of its own, where the configuration accepts those. It is None when
        there is no such table, and the reason where not all rows can be seen.
        """
        look = self.ensure(self._before_verification()[-1])
        if schema in look.tenants and table == "users":
            state = look.tenants[schema]
            if self.config.accept_other_rows and state.rows is not None:
                return state.rows - (state.other_rows or 0)
            return look.unreadable(schema) or state.rows
        if self._rows is None:
            with self._failures.once("the count of rows"):
                [step] = self.batches.run("counting rows", [COUNT_ROWS], "postgres")
                self._rows = read_counts(step.stdout)
        return self._rows.get((schema, table))

    def plan(self) -> list[str]:
        """Look and change nothing in the database: return what a run would do, phase by phase."""
        self._seen.take_look(self.batches.run("plan", [LOOKING], "postgres", closing=True)[0])
        return plan(self.config, self._seen.now)

    @property
    def not_mended(self) -> list[Difference]:
        """What is not as the configuration says and the run left as it is, as far as it has looked."""
        return list(left_as_it_is(self.config, self._seen.last)) if self._seen.last else []

    @property
    def server_version(self) -> str:
        """PostgreSQL's version, where the run came so far as to learn it; else empty."""
        return self._seen.last.server_version if self._seen.last else ""

    def close(self) -> None:
        """Delete what the run left on the bastion."""
        self.batches.bastion.close()

    def _before_verification(self) -> list[str]:
        return [phase.name for phase in self.config.phases if phase.name != VERIFICATION]

    def _files(self, phase: str) -> list[str]:
        return [file.as_posix() for file in phases.sql_files(self.config.root, phase)]

    def _run_phase(self, name: str) -> None:
        title, database = f"phase {name}", self.config.phase(name).connection_db
        files = [LOOKING, *self._files(name), LOOKING]
        steps = (
            self._prove(title, files, database) if name == VERIFICATION else self.batches.run(title, files, database)
        )
        before, was = self._seen.last, self._seen.take_look(steps[0])
        report = self._take_report(name, steps[len(files) - 1], tuple(losses(before, was)) if before else ())
        self.reports[name] = report
        self._check_losses(title, [report])

    def _take_report(self, name: str, look: SqlFileResult, lost_before: tuple[Change, ...] = ()) -> PhaseDiff:
        """Return what phase *name* changed, up to what the step *look* saw; *lost_before* is from before it began."""
        was = self._seen.now
        now = self._seen.take_look(look)
        report = compare(name, was, now, self._seen.first or was, own_rows=self.config.accept_other_rows)
        report = replace(report, changes=lost_before + report.changes)
        return report if name == VERIFICATION and not report.changes else self._told(report)

    def _check_losses(self, during: str, reports: Sequence[PhaseDiff]) -> None:
        lost = [line for report in reports for line in report.lost]
        if lost:
            raise DataLost(during, lost)

    def _prove(self, title: str, files: list[str], database: str) -> list[SqlFileResult]:
        """Run *files*, the verification among them, in the run's last command; the catalogue need not succeed."""
        steps = self.batches.run(title, [*files, CATALOGUE], database, closing=True, needed=len(files))
        self._take_verification(steps)
        return steps

    def _proof(self, phase: str) -> DatabaseSnapshot:
        """Look and verify in one command, once, and return what is there of *phase*; the database is not changed."""
        with self._failures.once("the proof of all phases"):
            if self._seen.last is None:
                files = [LOOKING, *self._files(VERIFICATION), CATALOGUE]
                steps = self.batches.run("verification", files, self.config.database, closing=True, needed=1)
                self._seen.take_look(steps[0])
                if self._seen.now.exists:
                    self.batches.check("verification", steps[: len(files) - 1], self.config.database)
                    self._take_verification(steps)
        with self._failures.once("the proof of phase database"):
            if not self._seen.now.exists:
                raise self._no_database()
        if "schema" in self.config.up_to(phase):
            with self._failures.once("the proof of phase schema"):
                self._require_most_tenants(self._seen.now)
        return self._seen.now

    def _require_most_tenants(self, look: DatabaseSnapshot) -> None:
        tenants = self.config.tenants
        with_schema = {tenant for tenant, state in look.tenants.items() if state.schema_exists}
        with_table = {tenant for tenant, state in look.tenants.items() if state.table_exists}
        for what, there, prerequisite in (
            ("schema", with_schema, "tenant-schemas-exist"),
            ("users table", with_table, "users-tables-exist"),
        ):
            missing = [tenant for tenant in tenants if tenant not in there]
            if 2 * len(missing) > len(tenants):
                raise TenantsMissing(missing, len(tenants), what, prerequisite)

    def _take_verification(self, steps: Sequence[SqlFileResult]) -> None:
        verification = self._seen.take_verification(steps, self._files(VERIFICATION), CATALOGUE)
        table = verification.table(self.config.tenants, self.config.users_per_tenant)
        self.batches.attach("verification, a line a tenant", table, "csv")
        self._witnessed = False

    def _told(self, report: PhaseDiff) -> PhaseDiff:
        for line in report.lines():
            self.progress.say(line)
        self.batches.attach(f"drift of phase {report.phase}", "\n".join(report.lines(most=1000)), "text")
        return report

    def _no_database(self) -> DatabaseMissing:
        return DatabaseMissing(self.config.database, f"{self.batches.connection.host}:{self.batches.connection.port}")
