"""Predict what a run would do: each phase with its SQL files, its database, and what it would change."""

from __future__ import annotations

from collections.abc import Iterator

from etl_manager import sql_files
from etl_manager.config import Config, phases
from etl_manager.database.drift import OBSERVED, not_repaired, predict
from etl_manager.database.replication import obstacles
from etl_manager.database.snapshot import DatabaseSnapshot
from etl_manager.wording import enumeration, number_of


def plan(config: Config, snapshot: DatabaseSnapshot) -> list[str]:
    """Return the lines of the plan for *snapshot*."""
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
