"""What is not as the configuration says and no run mends: told before a run by its plan, and after it where it is red."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from etl_manager.config import Config
from etl_manager.look import Look, TenantState

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


def not_mended(config: Config, look: Look) -> Iterator[Difference]:
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


def _of_table(config: Config, look: Look, tenant: str, state: TenantState) -> Iterator[Difference]:
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
        yield Difference(table, f"{_rows(state.altered_rows, 'sample row')} altered", BY_HAND)
    if state.other_rows and not config.accept_other_rows:
        remedy = f"accept them by sampleData.otherRows in config.json, or {BY_HAND}"
        yield Difference(table, f"{_rows(state.other_rows, 'row')} beside the sample", remedy)
    missing = config.users_per_tenant - (state.sample_rows or 0) - state.altered_rows
    if state.sample_rows is not None and missing > 0 and "insert" in state.denied:
        yield Difference(table, f"{_rows(missing, 'sample row')} missing, and {look.user} may insert none", helps)


def _rows(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
