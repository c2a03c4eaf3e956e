"""Drift is told, not healed in silence: what a phase created, repaired or left alone, from a look before and after.

*Created* is what was not there in whole; *repaired* is what had been there and was damaged or lost in part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from etl_manager.look import Look, TenantState
from etl_manager.wording import number_of

Kind = Literal["created", "repaired"]
OBSERVED = ("database", "schema", "data")
"""The phases whose work the looks show. What a phase of one's own changes is its own affair."""


@dataclass(frozen=True)
class Change:
    """One object that a phase made or mended; *before* and *after* are words or numbers a reader understands."""

    kind: Kind
    subject: str
    before: str
    after: str

    def __str__(self) -> str:
        """Return the line that terminal, log and report show."""
        return f"{self.kind} {self.subject}: {self.before} → {self.after}"


@dataclass(frozen=True)
class PhaseReport:
    """What one run of one phase changed; *unchanged* counts the objects it found as they should be."""

    phase: str
    changes: tuple[Change, ...]
    unchanged: int

    def of(self, kind: Kind) -> tuple[Change, ...]:
        """Return the changes of *kind*."""
        return tuple(change for change in self.changes if change.kind == kind)

    def lines(self, most: int = 20) -> list[str]:
        """Return the report as lines: every repair, and of what was created at most *most* lines."""
        if self.phase not in OBSERVED:
            return [f"{self.phase}: was run; what it changes is not looked at"]
        created, repaired = self.of("created"), self.of("repaired")
        head = f"{self.phase}: {len(created)} created, {len(repaired)} repaired, {self.unchanged} left alone"
        lines = [head if self.changes else f"{self.phase}: nothing was changed ({self.unchanged} left alone)"]
        lines += [f"  {change}" for change in (*repaired, *created[:most])]
        if len(created) > most:
            lines.append(f"  … and {len(created) - most} more created")
        return lines


def compare(phase: str, before: Look, after: Look, first: Look) -> PhaseReport:
    """Return what *phase* did between two looks; *first* is the look from before anything was done in this run."""
    return _report(phase, before, first, _objects(phase, after))


def predict(phase: str, look: Look, rows: int) -> PhaseReport:
    """Return what a run of *phase* would do to what *look* saw, where each tenant is to have *rows* sample rows."""
    owner = look.user
    wanted = {
        "database": {f"database {look.database}": "exists"},
        "schema": {key: value for tenant in look.tenants for key, value in _sound(tenant, owner)},
        "data": {f"{tenant}.users rows": str(_wanted_rows(state, rows)) for tenant, state in look.tenants.items()},
    }.get(phase, {})
    return _report(phase, look, look, wanted)


def _wanted_rows(state: TenantState, rows: int) -> int:
    """Return how many rows a tenant will have: the sample rows that are missing are added, none is taken away."""
    there, sample = state.rows or 0, state.sample_rows or 0
    return there + max(rows - sample, 0)


def _sound(tenant: str, owner: str) -> Iterator[tuple[str, str]]:
    yield f"schema {tenant}", "exists"
    yield f"schema {tenant} owner", owner
    yield f"table {tenant}.users", "exists"
    yield f"table {tenant}.users owner", owner
    yield f"table {tenant}.users primary key", "user_id"


def _objects(phase: str, look: Look) -> dict[str, str]:
    """Return what *phase* is answerable for, as it stands: object → state in words."""
    if phase == "database":
        return {f"database {look.database}": "exists" if look.exists else "missing"}
    if phase == "schema":
        return {key: value for tenant, state in look.tenants.items() for key, value in _structure(tenant, state)}
    if phase == "data":
        return {f"{tenant}.users rows": str(state.rows or 0) for tenant, state in look.tenants.items()}
    return {}


def _structure(tenant: str, state: TenantState) -> Iterator[tuple[str, str]]:
    yield f"schema {tenant}", "exists" if state.schema_exists else "missing"
    yield f"schema {tenant} owner", state.schema_owner or "missing"
    yield f"table {tenant}.users", "exists" if state.table_exists else "missing"
    yield f"table {tenant}.users owner", state.table_owner or "missing"
    yield f"table {tenant}.users primary key", ", ".join(state.primary_key or ()) or "missing"


def _report(phase: str, before: Look, first: Look, now: dict[str, str]) -> PhaseReport:
    was = _objects(phase, before)
    changes = [
        change
        for subject, after in now.items()
        if was.get(subject) != after and (change := _change(subject, was.get(subject, "missing"), after, before, first))
    ]
    return PhaseReport(phase, tuple(changes), sum(was.get(subject) == after for subject, after in now.items()))


def _change(subject: str, old: str, after: str, before: Look, first: Look) -> Change | None:
    """Tell making from mending; owner and key of what was itself just created are no changes of their own."""
    if subject.startswith("database "):
        return Change("created", subject, old, after)
    if subject.endswith(" rows"):
        tenant = subject.removesuffix(".users rows")
        return Change(_rows_kind(tenant, old, first), f"{tenant}.users", old, number_of(int(after), "row"))
    kind, name, *part = subject.split(" ", 2)
    state = before.tenants[name.removesuffix(".users")]
    if part:
        there = state.schema_exists if kind == "schema" else state.table_exists
        whose = f"schema {name}" if kind == "schema" else name
        return Change("repaired", f"{whose} {part[0]}", old, after) if there else None
    if kind == "schema":
        return Change("created", subject, old, after)
    # A schema without its table is not new: somebody dropped the table.
    return Change("repaired" if state.schema_exists else "created", name, old, after)


def _rows_kind(tenant: str, old: str, first: Look) -> Kind:
    """Rows are new to a tenant that is new, or when nobody had any; one tenant without rows beside others lost them."""
    new_tenant = not first.tenants[tenant].schema_exists
    nobody = not any(state.rows for state in first.tenants.values())
    return "created" if old == "0" and (new_tenant or nobody) else "repaired"
