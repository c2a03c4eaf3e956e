"""Drift: what a phase created, repaired, left alone or lost.

*Created* and *repaired* are what the phase's SQL says that it did, and what SQL of one's own made that the template has
not; *lost* is what was as it should be and is no more, by a snapshot before the phase and one after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from etl_manager.database.difference import UNCOUNTED, Aspect, Difference
from etl_manager.database.snapshot import DatabaseSnapshot, TenantState, by_kind, readable, split_lines
from etl_manager.redaction import one_line
from etl_manager.wording import number_of

Kind = Literal["created", "repaired", "lost"]
OBSERVED = ("database", "schema", "data", "isolation")
"""The phases that say what they did. What a phase of one's own changes is not looked at, unless it is a loss."""


@dataclass(frozen=True)
class Change:
    """One object that a phase created, repaired or lost; *before* and *after* are in words of SQL."""

    kind: Kind
    tenant: str | None
    object: str
    before: str
    after: str

    @property
    def subject(self) -> str:
        """Tenant and object."""
        return f"{self.tenant}: {self.object}" if self.tenant else self.object

    @property
    def line(self) -> str:
        """Subject, before and after."""
        return one_line(f"{self.subject}: {self.before} → {self.after}")

    def __str__(self) -> str:
        """Return the line that terminal, log and report show."""
        return f"{self.kind} {self.line}"


@dataclass(frozen=True)
class PhaseDiff:
    """What one run of one phase changed; *unchanged* counts the schemas, tables or table contents it left alone."""

    phase: str
    changes: tuple[Change, ...]
    unchanged: int

    def of(self, kind: Kind) -> tuple[Change, ...]:
        """Return the changes of *kind*."""
        return tuple(change for change in self.changes if change.kind == kind)

    @property
    def lost(self) -> list[str]:
        """What was lost, each as one line without its kind."""
        return [change.line for change in self.of("lost")]

    def lines(self, most: int = 20) -> list[str]:
        """Return the report as lines: every loss and repair, and of what was created at most *most* lines."""
        lost, created, repaired = self.of("lost"), self.of("created"), self.of("repaired")
        if self.phase not in OBSERVED:
            head = f"{self.phase}: was run; what it changes is not looked at"
            return [f"{head}, but for {len(lost)} lost", *(f"  {change}" for change in lost)] if lost else [head]
        head = f"{self.phase}: {len(created)} created, {len(repaired)} repaired, {self.unchanged} left alone"
        if lost:
            head += f", {len(lost)} lost"
        lines = [head if self.changes else f"{self.phase}: nothing was changed ({self.unchanged} left alone)"]
        lines += [f"  {change}" for change in (*lost, *repaired, *created[:most])]
        if len(created) > most:
            lines.append(f"  … and {len(created) - most} more created")
        return lines


@dataclass(frozen=True)
class Repair:
    """One statement that repaired something; *part_of_table*: of a table that was itself missing."""

    tenant: str
    object: str
    found: str
    statement: str
    part_of_table: bool


@dataclass(frozen=True, kw_only=True)
class PhaseOutput:
    """What the SQL of a phase says that it did.

    Attributes:
        adopted: Tenant → the last change that it was found to have, and was recorded to have, without a ledger.
        applied: Tenant → the changes that were applied to it.
        repaired: The repairs, in order.
        inserted: Tenant and table → how many rows were inserted.
        isolated: Tenant → the role that was made for it.
    """

    adopted: Mapping[str, str]
    applied: Mapping[str, tuple[str, ...]]
    repaired: tuple[Repair, ...]
    inserted: Mapping[tuple[str, str], int]
    isolated: Mapping[str, str]

    @classmethod
    def read(cls, text: str) -> PhaseOutput:
        """Read the JSON lines in what a phase printed; other lines are for people.

        Raises:
            VerificationError: When such a line cannot be read.
        """
        with readable("What the phase did"):
            found = (line for line in split_lines(text) if line.startswith('{"kind":'))
            lines = by_kind(found, "adopted", "applied", "repaired", "inserted", "isolated", "failed")
            return cls(
                adopted={tenant: item["change"] for item in lines["adopted"] for tenant in item["tenants"]},
                applied={tenant: tuple(item["changes"]) for item in lines["applied"] for tenant in item["tenants"]},
                repaired=tuple(
                    Repair(item["tenant"], item["object"], item["found"], item["statement"], item["with_table"])
                    for item in lines["repaired"]
                ),
                inserted={(item["tenant"], item["table"]): item["rows"] for item in lines["inserted"]},
                isolated={item["tenant"]: item["role"] for item in lines["isolated"]},
            )


NOTHING = PhaseOutput(adopted={}, applied={}, repaired=(), inserted={}, isolated={})
"""What a phase says that did nothing."""


def compare(
    phase: str, before: DatabaseSnapshot, after: DatabaseSnapshot, initial: DatabaseSnapshot, output: PhaseOutput
) -> PhaseDiff:
    """Return what *phase* did, as its *output* says, without what was lost.

    The snapshots are from *before* and *after* it, and the *initial* one from before anything was done in this run.
    """
    if phase == "database":
        created = after.exists and not before.exists
        return PhaseDiff(phase, (_database_created(after),) if created else (), 0 if created else 1)
    if phase == "schema":
        added = _added(before, after, "tables", "shape")
        changes = (*_created(before, after, output), *_repaired(before, output), *added)
    elif phase == "data":
        changes = (*_filled(before, after, initial, output), *_added(before, after, "rows"))
    elif phase == "isolation":
        made = (
            Change("created", tenant, f"role {role}", "missing", "exists") for tenant, role in output.isolated.items()
        )
        changes = (*made, *_repaired(before, output))
    else:
        return PhaseDiff(phase, (), 0)
    return PhaseDiff(phase, changes, _unchanged(phase, before, after, output))


def _database_created(snapshot: DatabaseSnapshot) -> Change:
    return Change("created", None, f"database {snapshot.database}", "missing", "exists")


def _created(before: DatabaseSnapshot, after: DatabaseSnapshot, output: PhaseOutput) -> Iterator[Change]:
    for tenant, state in after.tenants.items():
        if state.schema_exists and not before.tenants[tenant].schema_exists:
            yield Change("created", tenant, "schema", "missing", "exists")
        if tenant in output.adopted:
            yield Change("created", tenant, "ledger", "missing", f"adopted at {output.adopted[tenant]}")
        for change in output.applied.get(tenant, ()):
            yield Change("created", tenant, f"change {change}", "pending", "applied")


def _repaired(before: DatabaseSnapshot, output: PhaseOutput) -> Iterator[Change]:
    """Yield the repairs; parts of a table that was itself missing are not named."""
    known = {(difference.tenant, difference.object): difference for difference in before.differences}
    for repair in output.repaired:
        if not repair.part_of_table:
            difference = known.get((repair.tenant, repair.object))
            after = difference.expected if difference else repair.statement
            yield Change("repaired", repair.tenant, repair.object, repair.found, after)


def _added(before: DatabaseSnapshot, after: DatabaseSnapshot, *aspects: Aspect) -> Iterator[Change]:
    """Yield what is too much now and was not before: the project's own files never make it."""
    known = {(difference.tenant, difference.object): difference.found for difference in before.differences}
    for difference in after.differences:
        was = known.get((difference.tenant, difference.object), difference.expected)
        if difference.aspect in aspects and _is_surplus(difference) and was != difference.found:
            yield Change("created", difference.tenant, difference.object, was, difference.found)


def _is_surplus(difference: Difference) -> bool:
    return difference.kind.endswith("-extra") or difference.kind == "rows-too-many"


def _filled(
    before: DatabaseSnapshot, after: DatabaseSnapshot, initial: DatabaseSnapshot, output: PhaseOutput
) -> Iterator[Change]:
    for (tenant, table), inserted in output.inserted.items():
        kind = _kind_of_rows(tenant, table, initial)
        if difference := _row_difference(before.tenants[tenant], table):
            yield Change(kind, tenant, difference.object, difference.found, difference.expected)
        else:
            rows = after.tenants[tenant].tables.get(table) or inserted
            yield Change(kind, tenant, f"rows of {table}", str(rows - inserted), str(rows))


def _row_difference(state: TenantState, table: str) -> Difference | None:
    """Return the difference that inserting rows repairs: how many there are where there are none, else which are missing."""
    of_rows = [each for each in state.of("rows") if each.table == table and each.repairable]
    empty = state.tables.get(table) == 0
    return next((each for each in of_rows if (each.kind == "rows-too-few") is empty), None)


def _kind_of_rows(tenant: str, table: str, initial: DatabaseSnapshot) -> Kind:
    """Rows are created in a table that is new, or where no tenant had any in it; else the tenant lost them."""
    state = initial.tenants[tenant]
    if table not in state.tables:
        return "created" if state.pending or not state.schema_exists else "repaired"
    none_had_any = not any(each.tables.get(table) for each in initial.tenants.values())
    return "created" if none_had_any else "repaired"


def _unchanged(phase: str, before: DatabaseSnapshot, after: DatabaseSnapshot, output: PhaseOutput) -> int:
    if phase == "isolation":
        return len(after.tenants.keys() - output.isolated.keys() - {repair.tenant for repair in output.repaired})
    if phase == "data":
        filled = sum(table in state.tables for state in after.tenants.values() for table in after.template.data)
        return filled - len(output.inserted)
    known = {(difference.tenant, difference.object): difference.table for difference in before.differences}
    changed = {
        (repair.tenant, known.get((repair.tenant, repair.object)))
        for repair in output.repaired
        if not repair.part_of_table
    }
    there = [
        (tenant, name)
        for tenant, was in before.tenants.items()
        if was.schema_exists and after.tenants[tenant].schema_exists
        for name in (None, *(was.tables.keys() & after.tenants[tenant].tables.keys()))
    ]
    return sum(each not in changed for each in there)


def losses(before: DatabaseSnapshot, after: DatabaseSnapshot, output: PhaseOutput = NOTHING) -> Iterator[Change]:
    """Yield what was lost between two snapshots, also where a phase put it back meanwhile, as its *output* says.

    With a table its rows and parts are lost too, which is not said again.
    """
    if before.exists and not after.exists:
        yield Change("lost", None, f"database {before.database}", "exists", "missing")
        return
    comparable = before.template.comparable and after.template.comparable
    for tenant, was in before.tenants.items():
        now = after.tenants[tenant]
        if was.schema_exists and (not now.schema_exists or set(output.applied.get(tenant, ())) - set(was.pending)):
            yield Change("lost", tenant, "schema", _size(was), "missing")
        elif was.schema_exists:
            yield from _lost_tables(was, now, output)
            if comparable and not was.pending:
                yield from _lost_parts(was, now, output)


def _size(state: TenantState) -> str:
    rows = sum(rows or 0 for rows in state.tables.values())
    return f"{number_of(rows, 'row')} in {number_of(len(state.tables), 'table')}"


def _lost_tables(was: TenantState, now: TenantState, output: PhaseOutput) -> Iterator[Change]:
    for table, before in was.tables.items():
        if table not in now.tables:
            instead = [each.found for each in now.of("tables") if each.table == table]
            rows = "exists" if before is None else number_of(before, "row")
            yield Change("lost", was.name, f"table {table}", rows, instead[0] if instead else "missing")
            continue
        after = now.tables[table]
        if before is not None and after is not None:
            after -= output.inserted.get((was.name, table), 0)
            if after < before:
                yield Change("lost", was.name, f"rows of {table}", str(before), str(after))


def _lost_parts(was: TenantState, now: TenantState, output: PhaseOutput) -> Iterator[Change]:
    """Yield what differs now and did not before, and what was repaired that had not been different before."""
    known = {difference.object for difference in was.differences}
    fewer = {table for table, rows in was.tables.items() if rows and (now.tables.get(table) or 0) < rows}
    for difference in now.differences:
        of_table_since = difference.table is not None and difference.table not in now.tables
        if difference.object in known or of_table_since or not _is_loss(difference):
            continue
        if difference.aspect == "rows" and (
            difference.table in fewer or was.tables.get(difference.table or "") is None
        ):
            continue
        yield Change("lost", was.name, difference.object, difference.expected, difference.found)
    for repair in output.repaired:
        if repair.tenant == was.name and not repair.part_of_table and repair.object not in known:
            yield Change("lost", was.name, repair.object, "exists", repair.found)


def _is_loss(difference: Difference) -> bool:
    """Return whether something is less than it was: what is too much, or hidden by a privilege, is not lost."""
    counted = difference.kind in UNCOUNTED | {"rows-too-few"}
    return not counted and not _is_surplus(difference) and difference.aspect not in {"changes", "isolation"}


def predict(phase: str, snapshot: DatabaseSnapshot) -> PhaseDiff:
    """Return what a run of *phase* would do to what *snapshot* shows, but for the changes that it would apply."""
    changes: list[Change] = []
    if phase == "database" and not snapshot.exists:
        changes.append(_database_created(snapshot))
    for state in snapshot.tenants.values():
        if phase == "schema":
            changes += _predicted_schema(state)
        elif phase == "data":
            changes += _predicted_rows(state, snapshot)
        elif phase == "isolation":
            changes += _predicted_isolation(state)
    return PhaseDiff(phase, tuple(changes), 0)


def _predicted_schema(state: TenantState) -> Iterator[Change]:
    if not state.schema_exists:
        yield Change("created", state.name, "schema", "missing", "exists")
    elif not state.pending:  # else what differs is also what the pending changes make
        for difference in state.differences:
            if difference.repairable and difference.aspect in {"schema", "tables", "shape"}:
                yield Change("repaired", state.name, difference.object, difference.found, difference.expected)


def _predicted_rows(state: TenantState, snapshot: DatabaseSnapshot) -> Iterator[Change]:
    denied = any(each.remedy and each.kind in {"table-missing", "change-pending"} for each in state.differences)
    for table in snapshot.template.data:
        kind = _kind_of_rows(state.name, table, snapshot)
        if table not in state.tables:
            if not denied:
                yield Change(kind, state.name, f"rows of {table}", "0", f"those of data/{table}.sql")
        elif difference := _row_difference(state, table):
            yield Change(kind, state.name, difference.object, difference.found, difference.expected)


def _predicted_isolation(state: TenantState) -> Iterator[Change]:
    if not state.schema_exists:
        yield Change("created", state.name, "role", "missing", "exists")
    for difference in state.of("isolation"):
        if difference.repairable:
            kind: Kind = "created" if difference.kind == "role-missing" else "repaired"
            yield Change(kind, state.name, difference.object, difference.found, difference.expected)


def not_repaired(snapshot: DatabaseSnapshot) -> list[Difference]:
    """Return the differences that a run leaves as they are.

    A tenant with pending changes is compared once these are applied: until then it differs by what they make.
    """
    waiting = {state.name for state in snapshot.tenants.values() if state.pending and state.schema_exists}
    return [
        difference
        for difference in snapshot.differences
        if not difference.repairable and (difference.tenant not in waiting or difference.remedy)
    ]
