"""One run against one target: each phase is run once and in order, with a snapshot of the database before and after."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from etl_manager.config import Config, phases
from etl_manager.database import crosscheck
from etl_manager.database.difference import Difference
from etl_manager.database.drift import PhaseDiff, PhaseOutput, compare, losses, not_repaired
from etl_manager.database.observations import RunObservations
from etl_manager.database.snapshot import Catalogue, DatabaseSnapshot, read_counts
from etl_manager.database.verification import Verification
from etl_manager.errors import DatabaseMissing, DataLost, Failures, SqlError, TenantsMissing
from etl_manager.progress import Progress
from etl_manager.provisioning.context import RunContext
from etl_manager.provisioning.plan import plan
from etl_manager.provisioning.sql_runner import SqlRunner
from etl_manager.ssm.script import SqlFileResult

VERIFICATION = "verification"
INSPECTION_SQL = phases.INSPECTION.as_posix()
COUNT_ROWS = phases.INSPECTION.with_name("count-rows.sql").as_posix()
CATALOGUE = phases.INSPECTION.with_name("inspect-catalogue.sql").as_posix()
LOG = logging.getLogger("etl_manager")
RERUN_FAILED = (
    "The four phases were run a second time, to prove that they can be: their files must be safe to repeat.\n"
    "What may run only once belongs into a phase of its own under aurora.phases, which a run does not repeat."
)


@dataclass
class ProvisioningRun:
    """What the steps of the features call.

    Args:
        config: The configuration.
        sql_runner: Runs SQL files on the bastion.
        verify_only: Prove what is there and change nothing in the database.
        progress: Shows what was created, repaired and left alone.
        witness_conninfo: Gives the conninfo of a database for the second witness, or None where it cannot be reached.
        environment: Where the run takes place.
    """

    config: Config
    sql_runner: SqlRunner
    verify_only: bool
    progress: Progress
    witness_conninfo: Callable[[str], str | None]
    environment: RunContext
    reports: dict[str, PhaseDiff] = field(default_factory=dict)
    _observed: RunObservations = field(default_factory=RunObservations)
    _witnessed: bool = False
    _failures: Failures = field(default_factory=Failures)
    _rerun_diffs: list[PhaseDiff] | None = None
    _rows: dict[tuple[str, str], int | Difference] | None = None

    def ensure(self, phase: str) -> DatabaseSnapshot:
        """Run *phase* and all before it, each once a run, and return the snapshot after it.

        With `verify_only` nothing is run but the verification.

        Raises:
            PhaseSkipped: When *phase*, or one before it, failed or was interrupted earlier in this run.
            ProvisioningError: When it fails now.
        """
        if self.verify_only:
            return self._verify_only(phase)
        for name in self.config.up_to(phase):
            if name not in self.reports or f"phase {name}" in self._failures:
                with self._failures.once(f"phase {name}"):
                    self._run_phase(name)
        return self._observed.now

    def rerun_all_phases(self) -> list[PhaseDiff]:
        """Run the four phases once more, in one command and once a run, and return what that changed.

        A phase of the user's own runs once in a run: it need not be safe to repeat.

        Raises:
            DataLost: When something vanished meanwhile.
            ProvisioningError: As `ensure`.
        """
        self.ensure(self._before_verification()[-1])
        if self._rerun_diffs is None:
            with self._failures.once("the repetition of all phases"):
                self._rerun_diffs = self._rerun()
        return self._rerun_diffs

    def _rerun(self) -> list[PhaseDiff]:
        if own := [phase.name for phase in self.config.phases if phase.name not in phases.BUILT_IN]:
            self.progress.say(f"run once, and not repeated: {', '.join(own)}")
        runs = [(name, self._files(name)) for name in phases.BUILT_IN]
        files = [file for _, phase_files in runs for file in phase_files]
        before = self._observed.now
        try:
            results = self._run_final_batch("all phases again", [*files, INSPECTION_SQL], self.config.database)
        except SqlError as error:
            error.hint = RERUN_FAILED
            raise
        reports, outputs, done = [], [], 0
        for name, phase_files in runs:
            outputs.append(_printed(results[done : done + len(phase_files)]))
            done += len(phase_files)
            if name != VERIFICATION:
                reports.append(self._report_diff(self._compare(name, before, outputs[-1])))
        # One snapshot follows all of them: of which phase a loss is, it does not show.
        lost = tuple(losses(before, self._observed.now, PhaseOutput.read("".join(outputs))))
        if lost:
            report = self._report_diff(PhaseDiff(VERIFICATION, lost, 0))
            known = self.reports.get(VERIFICATION, PhaseDiff(VERIFICATION, (), 0))
            self.reports[VERIFICATION] = replace(known, changes=known.changes + lost)
            raise DataLost("all phases again", report.lost)
        return reports

    def verification(self) -> Verification:
        """Return what the verification printed, read again by the second witness where there is one.

        Raises:
            VerificationError: When the output cannot be read, or the second witness disagrees.
            ProvisioningError: As `ensure`.
        """
        if self.verify_only or self._observed.verification is None:
            self.ensure(VERIFICATION)
        found = self._observed.verification
        if found is None:
            raise self._no_database()
        if not self._witnessed:
            conninfo = self.witness_conninfo(self.config.database)
            if conninfo is not None:
                with self._failures.once("the reading of the second witness"):
                    crosscheck.check(conninfo, found)
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
            [step] = self.sql_runner.check("verification", self._observed.catalogue, self.config.database)
            return Catalogue.read(step.stdout)

    def look_at_catalogue(self) -> Catalogue:
        """Return the cluster's databases and tables as they are now; read-only, and no proof.

        Raises:
            ProvisioningError: When they cannot be read.
        """
        [step] = self.sql_runner.run("gate check", [CATALOGUE], self.config.database, closing=True)
        return Catalogue.read(step.stdout)

    def rows(self, schema: str, table: str) -> int | Difference | None:
        """Return how many rows *schema*.*table* has once everything is built.

        Of a tenant's table that a data file fills that is without rows of the tenant's own, where the configuration
        accepts those. It is None when there is no such table, and the reason where not all rows can be seen.
        """
        snapshot = self.ensure(self._before_verification()[-1])
        if schema in snapshot.tenants and table in snapshot.template.tables:
            return snapshot.tenants[schema].rows(table, reference_only=self.config.sample_data.accept_other_rows)
        if self._rows is None:
            with self._failures.once("the count of rows"):
                [result] = self.sql_runner.run("counting rows", [COUNT_ROWS], "postgres")
                self._rows = read_counts(result.stdout)
        return self._rows.get((schema, table))

    def plan(self) -> list[str]:
        """Return what a run would do, phase by phase; read-only."""
        self._observed.take_snapshot(self.sql_runner.run("plan", [INSPECTION_SQL], "postgres", closing=True)[0])
        return plan(self.config, self._observed.now)

    @property
    def not_repaired(self) -> list[Difference]:
        """Differences from the template and the configuration that the run does not repair, in the last snapshot."""
        return not_repaired(self._observed.last) if self._observed.last else []

    @property
    def server_version(self) -> str:
        """PostgreSQL's version; empty before the first snapshot."""
        return self._observed.last.server_version if self._observed.last else ""

    def close(self) -> None:
        """Delete what the run left on the bastion; warn where that fails."""
        self.sql_runner.bastion.close()

    @property
    def run_id(self) -> str:
        """The id of this run."""
        return self.sql_runner.bastion.run_id

    @property
    def commands_sent(self) -> int:
        """How many SendCommands there were so far."""
        return self.sql_runner.bastion.commands_sent

    @property
    def instance_id(self) -> str:
        """The bastion's instance."""
        return self.sql_runner.bastion.instance_id

    @property
    def psql_version(self) -> str:
        """The version of psql on the bastion; empty where the bastion has not answered yet."""
        state = self.sql_runner.bastion.known_state
        return state.psql if state else ""

    @property
    def workspace_matches(self) -> bool:
        """Whether the workspace on the bastion is known to hold what this project holds."""
        return self.sql_runner.bastion.workspace_matches

    def _before_verification(self) -> list[str]:
        return [phase.name for phase in self.config.phases if phase.name != VERIFICATION]

    def _files(self, phase: str) -> list[str]:
        return [file.as_posix() for file in phases.sql_files(self.config.root, phase)]

    def _run_phase(self, name: str) -> None:
        title, database = f"phase {name}", self.config.phase(name).connection_db
        first = [] if self._observed.last else [INSPECTION_SQL]
        files = [*first, *self._files(name), INSPECTION_SQL]
        if name == VERIFICATION:
            before = self._observed.now
            results = self._run_final_batch(title, files, database)
        else:
            results = self.sql_runner.run(title, files, database)
            before = self._observed.take_snapshot(results[0]) if first else self._observed.now
            self._observed.take_snapshot(results[-1])
        output = _printed(results[len(first) : len(files) - 1])
        report = self._compare(name, before, output)
        lost = tuple(losses(before, self._observed.now, PhaseOutput.read(output)))
        report = replace(report, changes=lost + report.changes)
        self.reports[name] = report if name == VERIFICATION and not lost else self._report_diff(report)
        if lost:
            raise DataLost(title, report.lost)

    def _compare(self, name: str, before: DatabaseSnapshot, output: str) -> PhaseDiff:
        """Return what phase *name* changed up to the last snapshot, by what its SQL printed."""
        initial = self._observed.initial or before
        return compare(name, before, self._observed.now, initial, PhaseOutput.read(output))

    def _run_final_batch(self, title: str, files: list[str], database: str) -> list[SqlFileResult]:
        """Run *files*, which include verification and inspection, in the run's last command.

        The catalogue is read too, which need not succeed.
        """
        results = self.sql_runner.run(title, [*files, CATALOGUE], database, closing=True, needed=len(files))
        self._observed.take_snapshot(results[len(files) - 1])
        self._take_verification(results)
        return results

    def _verify_only(self, phase: str) -> DatabaseSnapshot:
        """Inspect and verify in one command, once a run, and return the snapshot; read-only.

        Raises:
            VerificationError: When the database, or most tenants, are missing that *phase* builds on.
        """
        with self._failures.once("the proof of all phases"):
            if self._observed.last is None:
                files = [INSPECTION_SQL, *self._files(VERIFICATION), CATALOGUE]
                steps = self.sql_runner.run("verification", files, self.config.database, closing=True, needed=1)
                self._observed.take_snapshot(steps[0])
                if self._observed.now.exists:
                    self.sql_runner.check("verification", steps[: len(files) - 1], self.config.database)
                    self._take_verification(steps)
        with self._failures.once("the proof of phase database"):
            if not self._observed.now.exists:
                raise self._no_database()
        if "schema" in self.config.up_to(phase):
            with self._failures.once("the proof of phase schema"):
                self._require_most_tenants(self._observed.now)
        return self._observed.now

    def _require_most_tenants(self, snapshot: DatabaseSnapshot) -> None:
        states = snapshot.tenants.values()
        missing = [("schema", "tenant-schemas-exist", [each.name for each in states if not each.schema_exists])]
        for table in snapshot.template.tables:
            without = [each.name for each in states if table not in each.tables]
            missing.append((f"{table} table", "users-tables-exist", without))
        for what, prerequisite, tenants in missing:
            if 2 * len(tenants) > len(states):
                raise TenantsMissing(tenants, len(states), what, prerequisite)

    def _take_verification(self, results: Sequence[SqlFileResult]) -> None:
        """Read what the verification printed, and compare it with the last snapshot."""
        files = self._files(VERIFICATION)
        self._observed.verification = verification = Verification.read(
            _printed(result for result in results if result.file in files),
            self._observed.now,
            live=self.config.sample_data.accept_other_rows,
        )
        self._observed.catalogue = [result for result in results if result.file == CATALOGUE]
        self.sql_runner.attach("verification, a line a table", verification.csv(), "csv")
        self._witnessed = False

    def _report_diff(self, report: PhaseDiff) -> PhaseDiff:
        for line in report.lines():
            self.progress.say(line)
        self.sql_runner.attach(f"drift of phase {report.phase}", "\n".join(report.lines(most=1000)), "text")
        return report

    def _no_database(self) -> DatabaseMissing:
        return DatabaseMissing(
            self.config.database, f"{self.sql_runner.connection.host}:{self.sql_runner.connection.port}"
        )


def _printed(results: Iterable[SqlFileResult]) -> str:
    return "".join(f"{result.stdout}\n" for result in results)
