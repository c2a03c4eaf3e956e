"""Drift: what a phase created, repaired, left alone or lost, from a look before and one after.

*Created* is what was not there in whole; *repaired* is what had been there and was damaged or lost in part;
*lost* is what was as it should be and is no more, whichever phase it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from etl_manager.config import Config
from etl_manager.database.snapshot import DatabaseSnapshot, TenantState
from etl_manager.wording import number_of

Kind = Literal["created", "repaired", "lost"]
OBSERVED = ("database", "schema", "data")
"""The phases whose work the looks show. What a phase of one's own changes is its own affair, unless it is a loss."""


@dataclass(frozen=True)
class Change:
    """One object that a phase made, mended or lost; *before* and *after* are words or numbers a reader understands."""

    kind: Kind
    subject: str
    before: str
    after: str

    def __str__(self) -> str:
        """Return the line that terminal, log and report show."""
        return f"{self.kind} {self.subject}: {self.before} → {self.after}"


@dataclass(frozen=True)
class PhaseDiff:
    """What one run of one phase changed; *unchanged* counts the objects it found as they should be."""

    phase: str
    changes: tuple[Change, ...]
    unchanged: int

    def of(self, kind: Kind) -> tuple[Change, ...]:
        """Return the changes of *kind*."""
        return tuple(change for change in self.changes if change.kind == kind)

    @property
    def lost(self) -> list[str]:
        """What vanished, each as one line without its kind."""
        return [str(change).removeprefix("lost ") for change in self.of("lost")]

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
class _Part:
    """One object that a phase is answerable for; *kind* is what it is when it changed, None where that is no news."""

    subject: str
    before: str
    after: str
    same: bool
    kind: Kind | None


def compare(
    phase: str, before: DatabaseSnapshot, after: DatabaseSnapshot, first: DatabaseSnapshot, *, own_rows: bool = True
) -> PhaseDiff:
    """Return what *phase* did between two looks.

    Args:
        phase: Its name.
        before: The look from before it.
        after: The look from after it.
        first: The look from before anything was done in this run.
        own_rows: Whether tenants may have rows beside the sample: then new ones are the tenant's own affair.
    """
    parts = list(_parts(phase, before, after, first, own_rows=own_rows))
    changes = [
        Change(part.kind, part.subject, part.before, part.after) for part in parts if part.kind and not part.same
    ]
    return PhaseDiff(phase, (*losses(before, after), *changes), sum(part.same for part in parts))


def predict(phase: str, look: DatabaseSnapshot, rows: int) -> PhaseDiff:
    """Return what a run of *phase* would do to what *look* saw, where each tenant is to have *rows* sample rows."""
    if phase == "database":
        return compare(phase, look, replace(look, exists=True), look)
    after = {
        tenant: _built(state, look.user) if phase == "schema" else _filled(state, rows)
        for tenant, state in look.tenants.items()
    }
    return compare(phase, look, replace(look, tenants=after), look)


def _built(state: TenantState, user: str) -> TenantState:
    """Return *state* as the schema phase makes it: as it should be, but for what it is not permitted to do."""
    if "own-schema" not in state.denied:
        state = replace(state, schema_exists=True, schema_owner=user)
    if state.instead_of_table or "create-table" in state.denied or "own-table" in state.denied:
        return state
    return replace(state, table_exists=True, table_owner=user, primary_key=state.primary_key or ("user_id",))


def _filled(state: TenantState, rows: int) -> TenantState:
    """Return *state* as the data phase makes it: the sample rows that are missing are added, none is taken away."""
    if _rows(state) is None or state.instead_of_table or {"create-table", "insert"} & set(state.denied):
        return state
    there, sample = state.rows or 0, state.sample_rows or 0
    missing = max(rows - sample - state.altered_rows, 0)
    return replace(state, table_exists=True, rows=there + missing, sample_rows=sample + missing)


def losses(before: DatabaseSnapshot, after: DatabaseSnapshot) -> Iterator[Change]:
    """Yield what was there and is no more; with a table its rows are lost too, which is not told again."""
    if before.exists and not after.exists:
        yield Change("lost", f"database {before.database}", "exists", "missing")
        return
    for tenant, was in before.tenants.items():
        yield from _tenant_losses(tenant, was, after.tenants[tenant], before.user)


def _tenant_losses(tenant: str, was: TenantState, now: TenantState, owner: str) -> Iterator[Change]:
    rows = "exists" if was.rows is None else number_of(was.rows, "row")
    if was.schema_exists and not now.schema_exists:
        yield Change(
            "lost", f"schema {tenant}", f"exists, {tenant}.users: {rows}" if was.table_exists else "exists", "missing"
        )
        return
    if was.schema_owner == owner != now.schema_owner:
        yield Change("lost", f"schema {tenant} owner", owner, str(now.schema_owner))
    if was.table_exists and not now.table_exists:
        yield Change("lost", f"{tenant}.users", rows, now.instead_of_table or "missing")
        return
    if was.table_owner == owner != now.table_owner:
        yield Change("lost", f"{tenant}.users owner", owner, str(now.table_owner))
    if was.primary_key and now.primary_key not in {was.primary_key, ("user_id",)}:
        yield Change("lost", f"{tenant}.users primary key", ", ".join(was.primary_key), _key(now) or "missing")
    if was.rows is not None and now.rows is not None and now.rows < was.rows:
        yield Change("lost", f"{tenant}.users", str(was.rows), number_of(now.rows, "row"))
    elif was.sample_rows is not None and now.sample_rows is not None and now.sample_rows < was.sample_rows:
        yield Change("lost", f"{tenant}.users sample rows", str(was.sample_rows), str(now.sample_rows))


def _parts(
    phase: str, before: DatabaseSnapshot, after: DatabaseSnapshot, first: DatabaseSnapshot, *, own_rows: bool
) -> Iterator[_Part]:
    if phase == "database":
        yield _there(f"database {after.database}", before.exists, after.exists, "created")
    for tenant, now in after.tenants.items():
        was = before.tenants[tenant]
        if phase == "schema":
            yield from _structure(tenant, was, now, after.user)
        elif phase == "data":
            yield from _data(tenant, was, now, first, own_rows=own_rows)


def _structure(tenant: str, was: TenantState, now: TenantState, user: str) -> Iterator[_Part]:
    """Yield schema, table and what belongs to them; owner and key of what was itself just made are no news."""
    schema, table = f"schema {tenant}", f"{tenant}.users"
    # A schema without its table is not new: somebody dropped the table.
    yield _there(schema, was.schema_exists, now.schema_exists, "created")
    yield _set(f"{schema} owner", was.schema_owner, now.schema_owner, user if was.schema_exists else None)
    yield _there(table, was.table_exists, now.table_exists, "repaired" if was.schema_exists else "created")
    yield _set(f"{table} owner", was.table_owner, now.table_owner, user if was.table_exists else None)
    yield _set(f"{table} primary key", _key(was), _key(now), "user_id" if was.table_exists else None)


def _data(
    tenant: str, was: TenantState, now: TenantState, first: DatabaseSnapshot, *, own_rows: bool
) -> Iterator[_Part]:
    """Yield the rows, where all of them could be seen before and after: rows of the tenant's own are no sample."""
    before, after = _rows(was), _rows(now)
    if before is None or after is None:
        return
    known = was.sample_rows is not None and now.sample_rows is not None
    added = (now.sample_rows or 0) > (was.sample_rows or 0) if known else after > before
    kind = _rows_kind(tenant, before, first) if added else None
    if kind is None and after > before and not own_rows:
        kind = "created"  # somebody's rows, which this run saw arrive
    yield _Part(f"{tenant}.users", str(before), number_of(after, "row"), before == after, kind)


def _rows_kind(tenant: str, before: int, first: DatabaseSnapshot) -> Kind:
    """Rows are new to a tenant that is new, or when nobody had any; one tenant without rows beside others lost them."""
    new_tenant = not first.tenants[tenant].schema_exists
    nobody = not any(state.rows for state in first.tenants.values())
    return "created" if before == 0 and (new_tenant or nobody) else "repaired"


def _there(subject: str, was: bool, now: bool, kind: Kind) -> _Part:
    words = {True: "exists", False: "missing"}
    return _Part(subject, words[was], words[now], was == now, kind if now else None)


def _set(subject: str, was: str | None, now: str | None, wanted: str | None) -> _Part:
    """Return a property; it is repaired where it is now as it is *wanted*, which None says of nothing."""
    return _Part(subject, was or "missing", now or "missing", was == now, "repaired" if now and now == wanted else None)


def _rows(state: TenantState) -> int | None:
    """Return the rows of a tenant, none where it has no table; None where they cannot all be seen."""
    return state.rows if state.table_exists else 0


def _key(state: TenantState) -> str | None:
    return ", ".join(state.primary_key) if state.primary_key else None


BY_HAND = "correct it by hand: a run changes no rows or columns that are there, and drops nothing"


@dataclass(frozen=True)
class Difference:
    """One thing that a run leaves as it is, what is wrong with it, and what helps."""

    subject: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        """Return the line that plan and terminal show."""
        return f"{self.subject}: {self.problem}; {self.remedy}"


def left_as_it_is(config: Config, look: DatabaseSnapshot) -> Iterator[Difference]:
    """Yield what a run of *config* would leave as *look* saw it, and be red for."""
    if look.exists and look.encoding != "UTF8":
        yield Difference(f"database {look.database}", f"its encoding is {look.encoding}, not UTF8", BY_HAND)
    for tenant, state in look.tenants.items():
        table, helps = f"{tenant}.users", f"what helps: {state.remedy}"
        if "own-schema" in state.denied:
            yield Difference(f"schema {tenant}", f"belongs to {state.schema_owner}, not to {look.user}", helps)
        if "create-table" in state.denied:
            yield Difference(table, f"missing, and {look.user} may not make it", helps)
        if state.instead_of_table:
            yield Difference(table, f"is no ordinary table, but: {state.instead_of_table}", BY_HAND)
        if state.table_exists:
            yield from _of_table(config, look, tenant, state)
    for stray in look.strays:
        remedy = "name it under tenants or aurora.otherSchemas in config.json, or drop it"
        yield Difference(f"schema {stray}", "not configured", remedy)


def _of_table(config: Config, look: DatabaseSnapshot, tenant: str, state: TenantState) -> Iterator[Difference]:
    table, helps = f"{tenant}.users", f"what helps: {state.remedy}"
    if "own-table" in state.denied:
        yield Difference(table, f"belongs to {state.table_owner}, not to {look.user}", helps)
    if unreadable := look.unreadable(tenant):
        yield Difference(table, unreadable.problem, helps)
    if state.unlogged:
        yield Difference(table, "is unlogged, and so is not replicated", f"ALTER TABLE {table} SET LOGGED")
    if state.primary_key not in {None, ("user_id",)}:
        yield Difference(table, f"its primary key is {', '.join(state.primary_key or ())}, not user_id", BY_HAND)
    if state.primary_key is None and "own-table" in state.denied:
        yield Difference(table, f"has no primary key, and {look.user} may not add one", helps)
    if not state.columns_ok:
        yield Difference(table, "its columns are not those every tenant has (the verification names them)", BY_HAND)
    if state.altered_rows:
        yield Difference(table, f"{_count_of(state.altered_rows, 'sample row')} altered", BY_HAND)
    if state.other_rows and not config.sample_data.accept_other_rows:
        remedy = f"accept them by sampleData.otherRows in config.json, or {BY_HAND}"
        yield Difference(table, f"{_count_of(state.other_rows, 'row')} beside the sample", remedy)
    missing = config.sample_data.users_per_tenant - (state.sample_rows or 0) - state.altered_rows
    if state.sample_rows is not None and missing > 0 and "insert" in state.denied:
        yield Difference(table, f"{_count_of(missing, 'sample row')} missing, and {look.user} may insert none", helps)


def _count_of(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
