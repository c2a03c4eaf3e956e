"""One run against one target: each phase is run once and in order, with a snapshot of the database before and after.

All parts that the selected scenarios want go to the bastion in one command; each is read, reported and fails by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

from etl_manager import sql_files
from etl_manager.bastion.session import BastionSession
from etl_manager.config import Config, phases
from etl_manager.database import crosscheck
from etl_manager.database.difference import Difference
from etl_manager.database.drift import OBSERVED, PhaseDiff, PhaseOutput, compare, losses, not_repaired, predict
from etl_manager.database.replication import obstacles
from etl_manager.database.snapshot import Catalogue, DatabaseSnapshot, read_counts
from etl_manager.database.verification import Verification
from etl_manager.errors import DataLost, Failures, ProvisioningError, SqlError, VerificationError
from etl_manager.progress import NullProgress, Progress
from etl_manager.provisioning.record import Replay, RunContext, RunRecord
from etl_manager.provisioning.sql_runner import Part, PartResult, SqlRunner
from etl_manager.ssm.script import SqlFileResult
from etl_manager.wording import enumeration, number_of

VERIFICATION = "verification"
AGAIN = "all phases again"
"""The part of a run after the verification that runs the suite's own phases a second time."""
INSPECTION_SQL = phases.INSPECTION.as_posix()
AWAIT_BUILD = phases.INSPECTION.with_name("await-build.sql").as_posix()
COUNT_ROWS = phases.INSPECTION.with_name("count-rows.sql").as_posix()
CATALOGUE_READ = "the catalogue"
CATALOGUE = phases.INSPECTION.with_name("inspect-catalogue.sql").as_posix()
LOG = logging.getLogger("etl_manager")
RERUN_FAILED = (
    "The phases were run a second time, to prove that they can be: their files must be safe to repeat.\n"
    "What may run only once belongs into a phase of its own under aurora.phases, which a run does not repeat."
)


@dataclass
class ProvisioningRun:
    """What the steps of the features call.

    Args:
        sql_runner: Runs SQL files on the bastion.
        verify_only: Prove what is there and change nothing in the database.
        progress: Shows what was created, repaired and left alone.
        witness_conninfo: Gives the conninfo of a database for the second witness, or None where it cannot be reached.
        wanted: Phases, and `AGAIN`, that will be asked for: they go with the first command. Without any, each is sent
            when it is asked for.
    """

    config: Config
    sql_runner: SqlRunner
    verify_only: bool
    progress: Progress
    witness_conninfo: Callable[[str], str | None]
    environment: RunContext
    wanted: Collection[str] = ()
    reports: dict[str, PhaseDiff] = field(default_factory=dict)
    _initial: DatabaseSnapshot | None = None
    """From before anything was done."""
    _last: DatabaseSnapshot | None = None
    _verification: Verification | None = None
    _witnessed: bool = False
    _failures: Failures = field(default_factory=Failures)
    _results: dict[str, PartResult] = field(default_factory=dict)
    _rerun_diffs: list[PhaseDiff] | None = None
    _rows: dict[tuple[str, str], int | Difference] | None = None
    _proven: DatabaseSnapshot | None = None
    """The snapshot that most tenants were found in: looking through all of them for each would take their square."""

    @classmethod
    def replay(cls, record: RunRecord, config: Config) -> ProvisioningRun:
        """Return a run that reads what *record* holds as the recorded one read it; it runs nothing, and reports nothing.

        What failed there is skipped here: it was told where it failed.
        """
        return cls(
            config,
            Replay(config),
            record.verify_only,
            NullProgress(),
            lambda _: None,
            record.environment,
            _failures=Failures(record.failures),
            _results=dict(record.results),
            _rows=record.rows,
        )

    def record(self) -> RunRecord:
        """Return what was done so far, for `replay` in another process."""
        # A command's own output is that of its files once more.
        bare = {name: part._replace(command=replace(part.command, stdout=b"")) for name, part in self._results.items()}
        return RunRecord(
            results=bare,
            failures=dict(self._failures.ended),
            rows=self._rows,
            environment=self.environment.offline(),
            verify_only=self.verify_only,
        )

    def ensure(self, phase: str) -> DatabaseSnapshot:
        """Run *phase* and all before it, each once a run, and return the snapshot after it.

        With `verify_only` nothing is run but the verification.

        Raises:
            PhaseSkipped: When *phase*, or one before it, failed or was interrupted earlier in this run.
            ProvisioningError: When it fails now.
        """
        if self.verify_only:
            return self._verify_only(phase)
        for name in self._up_to(phase):
            if name not in self.reports or f"phase {name}" in self._failures:
                with self._failures.once(f"phase {name}"):
                    self._run_phase(name)
        return self._now

    def _up_to(self, phase: str) -> list[str]:
        """Return the phases through *phase*.

        Raises:
            ConfigError: When no such phase is configured.
        """
        if phase not in self._order:
            self.config.phase(phase)  # which says what there is
        return self._order[: self._order.index(phase) + 1]

    def rerun_all_phases(self) -> list[PhaseDiff]:
        """Run the suite's own phases once more, in one command and once a run, and return what that changed.

        A phase of the user's own runs once in a run: it need not be safe to repeat.

        Raises:
            DataLost: When something vanished meanwhile.
            ProvisioningError: As `ensure`.
        """
        self.ensure(self._order[-2])  # the last phase but the verification
        if self._rerun_diffs is None:
            with self._failures.once("the repetition of all phases"):
                self._rerun_diffs = self._rerun()
        return self._rerun_diffs

    def _rerun(self) -> list[PhaseDiff]:
        if own := self.config.own_phases:
            self.progress.say(f"run once, and not repeated: {', '.join(own)}")
        runs = [(name, self._files(name)) for name in self._repeated()]
        part = self._sent(AGAIN)
        if not part.files:  # the verification, which stands before it in the command, failed
            self.ensure(VERIFICATION)
        before = self._now
        try:
            results = self.sql_runner.read(AGAIN, part, self.config.database)
        except SqlError as error:
            error.hint = RERUN_FAILED
            raise
        self._take_snapshot(results[-1])
        self._take_verification(results)
        reports, outputs, left = [], [], iter(results)
        for name, files in runs:
            outputs.append(_printed(islice(left, len(files))))
            if name != VERIFICATION:
                reports.append(self._report_diff(self._compare(name, before, outputs[-1])))
        # One snapshot follows all of them: of which phase a loss is, it does not show.
        lost = tuple(losses(before, self._now, PhaseOutput.read("".join(outputs))))
        if lost:
            report = self._report_diff(PhaseDiff(VERIFICATION, lost, 0))
            known = self.reports.get(VERIFICATION, PhaseDiff(VERIFICATION, (), 0))
            self.reports[VERIFICATION] = replace(known, changes=known.changes + lost)
            raise DataLost(AGAIN, report.lost)
        return reports

    def verification(self) -> Verification:
        """Return what the verification printed, read again by the second witness where there is one.

        Raises:
            VerificationError: When the output cannot be read, or the second witness disagrees.
            ProvisioningError: As `ensure`.
        """
        if self.verify_only or self._verification is None:
            self.ensure(VERIFICATION)
        found = self._verification
        if found is None:
            raise self._no_database()
        if not self._witnessed:
            with self._failures.once("the reading of the second witness"):
                conninfo = self.witness_conninfo(self.config.database)
                if conninfo is not None:
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
            part = self._results.get(CATALOGUE)
            if part is None or not part.files:  # what stands before it failed
                return self.look_at_catalogue()
            [result] = self.sql_runner.read(CATALOGUE_READ, part, self.config.database)
            return Catalogue.read(result.stdout)

    def look_at_catalogue(self) -> Catalogue:
        """Return the cluster's databases and tables as they are now; read-only, and no proof.

        Raises:
            ProvisioningError: When they cannot be read.
        """
        [step] = self.sql_runner.run(CATALOGUE_READ, [CATALOGUE], self.config.database, closing=True)
        return Catalogue.read(step.stdout)

    def rows(self, schema: str, table: str) -> int | Difference | None:
        """Return how many rows *schema*.*table* has once everything is built.

        Of a tenant's table that a data file fills that is without rows of the tenant's own, where the configuration
        accepts those. It is None when there is no such table, and the reason where not all rows can be seen.
        """
        snapshot = self.ensure(self._order[-2])  # the last phase but the verification
        if schema in snapshot.tenants and table in snapshot.template.tables:
            return snapshot.tenants[schema].rows(table, reference_only=self.config.sample_data.accept_other_rows)
        if self._rows is None:
            with self._failures.once("the count of rows"):
                [result] = self.sql_runner.run("counting rows", [COUNT_ROWS], "postgres")
                self._rows = read_counts(result.stdout)
        return self._rows.get((schema, table))

    def plan(self) -> list[str]:
        """Return what a run would do, phase by phase; read-only."""
        self._take_snapshot(self.sql_runner.run("plan", [INSPECTION_SQL], "postgres", closing=True)[0])
        return plan(self.config, self._now)

    @property
    def not_repaired(self) -> list[Difference]:
        """Differences from the template and the configuration that the run does not repair, in the last snapshot."""
        return not_repaired(self._last) if self._last else []

    @property
    def server_version(self) -> str:
        """PostgreSQL's version; empty before the first snapshot."""
        return self._last.server_version if self._last else ""

    def close(self) -> None:
        """Delete what the run left on the bastion; warn where that fails."""
        self.bastion.close()

    @property
    def bastion(self) -> BastionSession:
        """The session on the bastion, which also knows the id of this run."""
        return self.sql_runner.bastion

    @property
    def commands_sent(self) -> int:
        """How many SendCommands there were so far."""
        return self.bastion.commands_sent

    @property
    def psql_version(self) -> str:
        """The version of psql on the bastion; empty where the bastion has not answered yet."""
        state = self.bastion.known_state
        return state.psql if state else ""

    @cached_property
    def _order(self) -> list[str]:
        """The phases in order; a configuration works them out each time, and every scenario asks."""
        return [phase.name for phase in self.config.phases]

    def _repeated(self) -> list[str]:
        return [name for name in self._order if name not in self.config.own_phases]

    def _files(self, phase: str) -> list[str]:
        return [file.as_posix() for file in phases.sql_files(self.config.root, phase)]

    def _sent(self, name: str) -> PartResult:
        """Return what part *name* did; when that was not sent yet it is, with all after it that will be asked for.

        An IAM token may be too old for the last of many phases (AWS: Aurora user guide, "IAM database authentication":
        15 minutes): with those credentials each phase is a command, with a token of its own.
        """
        if name in self._results:
            self.sql_runner.attach_sql(self._results[name].part)
            return self._results[name]
        order = [*self._order, AGAIN]
        names = order[order.index(name) :]
        if self.config.aurora.credentials == "iam":
            names = names[:1]
        while names[-1] not in self.wanted and len(names) > 1:
            names.pop()
        parts = [Part(each, self._part_files(each)) for each in names]
        title = f"phase {name}" if name != AGAIN else name
        if len(names) > 1:
            title = f"phases {name} to {VERIFICATION}, and again" if AGAIN in names else f"phases {name} to {names[-1]}"
        final = names[-1] in (VERIFICATION, AGAIN)
        if final:
            parts.append(Part(CATALOGUE, (CATALOGUE,)))
        self._results |= self.sql_runner.send(title, parts, inspection=INSPECTION_SQL, closing=final)
        return self._results[name]

    def _part_files(self, name: str) -> tuple[str, ...]:
        """Return the files of a phase, or of `AGAIN`, with the inspection after them; the first time before them too."""
        first = [INSPECTION_SQL] if self._last is None and name == self._order[0] else []
        files = [file for phase in (self._repeated() if name == AGAIN else [name]) for file in self._files(phase)]
        return (*first, *files, INSPECTION_SQL)

    def _run_phase(self, name: str) -> None:
        title = f"phase {name}"
        part = self._sent(name)
        try:
            self.sql_runner.read(title, part, self.config.phase(name).connection_db)
        except SqlError:
            if part.files[-1].file == INSPECTION_SQL and not part.files[-1].exit_code:
                self._report_phase(name, part)
            raise
        if lost := self._report_phase(name, part):
            self._report_following(name)
            raise DataLost(title, lost)

    def _report_phase(self, name: str, part: PartResult) -> list[str]:
        """Report what phase *name* did, also where it failed; return what was lost."""
        results = list(part.files)
        if part.part.files[0] == INSPECTION_SQL:
            self._take_snapshot(results.pop(0))
        before, output = self._now, _printed(results[:-1])
        self._take_snapshot(results[-1])
        if name == VERIFICATION and not any(result.exit_code for result in results):
            self._take_verification(results)
        report = self._compare(name, before, output)
        lost = tuple(losses(before, self._now, PhaseOutput.read(output)))
        report = replace(report, changes=lost + report.changes)
        self.reports[name] = report if name == VERIFICATION and not lost else self._report_diff(report)
        if name == "schema":
            for line in unreplicated(self.config, self._now):
                self.progress.say(line)
        return report.lost

    def _report_following(self, name: str) -> None:
        """Report what the phases after *name* changed where the same command has run them already."""
        for following in self._order[self._order.index(name) + 1 :]:
            if following in self._results and following not in self.reports:
                with suppress(ProvisioningError):
                    self._run_phase(following)

    def _compare(self, name: str, before: DatabaseSnapshot, output: str) -> PhaseDiff:
        """Return what phase *name* changed up to the last snapshot, by what its SQL printed."""
        initial = self._initial or before
        return compare(name, before, self._now, initial, PhaseOutput.read(output))

    def _verify_only(self, phase: str) -> DatabaseSnapshot:
        """Inspect and verify in one command, once a run, and return the snapshot; read-only.

        Where another run builds it is waited for: what that is at would be found half built.

        Raises:
            SqlError: When another run still builds after five minutes; it says which.
            VerificationError: When the database, or most tenants, are missing that *phase* builds on.
        """
        with self._failures.once("the proof of all phases"):
            if self._last is None:
                parts = [
                    Part("inspection", (AWAIT_BUILD, INSPECTION_SQL)),
                    Part(VERIFICATION, tuple(self._files(VERIFICATION))),
                    Part(CATALOGUE, (CATALOGUE,)),
                ]
                if VERIFICATION not in self._results:
                    self._results = self.sql_runner.send(VERIFICATION, parts, closing=True)
                inspected = self.sql_runner.read("inspection", self._results["inspection"], self.config.database)
                self._take_snapshot(inspected[-1])
                if self._now.exists:
                    part = self._results[VERIFICATION]
                    self.sql_runner.attach_sql(part.part)
                    self._take_verification(self.sql_runner.read(VERIFICATION, part, self.config.database))
        with self._failures.once("the proof of phase database"):
            if not self._now.exists:
                raise self._no_database()
        if self._proven is not self._now and "schema" in self._up_to(phase):
            with self._failures.once("the proof of phase schema"):
                self._require_most_tenants(self._now)
            self._proven = self._now
        return self._now

    def _require_most_tenants(self, snapshot: DatabaseSnapshot) -> None:
        """Refuse where most tenants lack the same: one failure in place of several for each tenant."""
        states = snapshot.tenants.values()
        missing = [("schema", "tenant-schemas-exist", [each.name for each in states if not each.schema_exists])]
        for change in dict.fromkeys(change for each in states for change in each.pending):
            without = [each.name for each in states if change in each.pending]
            missing.append((f"applied change {change}", "no-pending-changes", without))
        for table in snapshot.template.tables:
            without = [each.name for each in states if table not in each.tables]
            missing.append((f"{table} table", "users-tables-exist", without))
        for what, prerequisite, tenants in missing:
            if 2 * len(tenants) > len(states):
                raise VerificationError(
                    f"{len(tenants)} of {len(states)} tenants {'has' if len(tenants) == 1 else 'have'} no {what}",
                    context={"missing": enumeration(tenants)},
                    hint="Run without --verify-only to build what is missing, or correct tenants in config.json.",
                    prerequisite=prerequisite,
                )

    @property
    def _now(self) -> DatabaseSnapshot:
        """What is there now; there must be a snapshot."""
        if self._last is None:
            raise AssertionError
        return self._last

    def _take_snapshot(self, result: SqlFileResult) -> None:
        """Read what the inspection printed."""
        self._last = DatabaseSnapshot.read(result.stdout)
        self._initial = self._initial or self._last

    def _take_verification(self, results: Sequence[SqlFileResult]) -> None:
        """Read what the verification printed, and compare it with the last snapshot."""
        files = self._files(VERIFICATION)
        self._verification = verification = Verification.read(
            _printed(result for result in results if result.file in files),
            self._now,
            live=self.config.sample_data.accept_other_rows,
        )
        self.sql_runner.attach("verification, a line a table", verification.csv(), "csv")
        self._witnessed = False

    def _report_diff(self, report: PhaseDiff) -> PhaseDiff:
        for line in report.lines():
            self.progress.say(line)
        self.sql_runner.attach(f"drift of phase {report.phase}", "\n".join(report.lines(most=1000)), "text")
        return report

    def _no_database(self) -> VerificationError:
        return VerificationError(
            f"The database {self.config.database} does not exist",
            context={"cluster": f"{self.environment.host}:{self.environment.port}"},
            hint="Run without --verify-only to build it, or correct aurora.databaseName in config.json.",
            prerequisite="database-exists",
        )


def _printed(results: Iterable[SqlFileResult]) -> str:
    return "".join(f"{result.stdout}\n" for result in results)


def plan(config: Config, snapshot: DatabaseSnapshot) -> list[str]:
    """Return what a run would do to *snapshot*, as lines: each phase with its SQL files, its database, and its changes."""
    lines = []
    for phase in config.phases:
        lines.append(f"{phase.name}: {phase.description or 'no description'}, in {phase.connection_db}")
        for file in phases.sql_files(config.root, phase.name):
            why = sql_files.destroys((config.root / file).read_text(encoding="utf-8"))
            lines.append(f"  {file}" + (f", which destroys: {why}" if why else ""))
        if phase.name in OBSERVED:
            changes = [f"  would be {change}" for change in predict(phase.name, snapshot).changes]
            changes += _pending(config, snapshot) if phase.name == "schema" else []
            lines += changes or ["  nothing to change"]
            lines += [f"  {line}" for line in unreplicated(config, snapshot)] if phase.name == "schema" else []
        elif phase.name in config.own_phases:
            lines.append("  would be run; what it changes is not predicted")
    left = [difference.with_hint for difference in not_repaired(snapshot)]
    return lines + (["a run leaves as it is, and will be red for:", *(f"  {line}" for line in left)] if left else [])


def unreplicated(config: Config, snapshot: DatabaseSnapshot) -> Iterator[str]:
    """Yield a notice for all that zero-ETL could not replicate, of the template's tables that it is to replicate."""
    for table, shape in snapshot.template.shapes.items():
        if config.zero_etl.tables is None or table in config.zero_etl.tables:
            for obstacle in obstacles(table, shape):
                yield f"for zero-ETL: table {table}: {obstacle.problem}; {obstacle.remedy}, or leave the table out of zeroEtl.tables"


def _pending(config: Config, snapshot: DatabaseSnapshot) -> Iterator[str]:
    """Yield each pending change with the tenants that it would be applied to."""
    for change in snapshot.template.changes:
        tenants = [tenant for tenant, state in snapshot.tenants.items() if change in state.pending]
        if tenants:
            file = config.root / phases.TENANT / "changes" / change
            why = sql_files.destroys(file.read_text(encoding="utf-8"))
            destroys = f", which destroys: {why}" if why else ""
            yield f"  pending change {change}: {number_of(len(tenants), 'tenant')} ({enumeration(tenants)}){destroys}"
