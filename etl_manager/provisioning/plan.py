"""Predict what a run would do: each phase with its SQL files, its database, and what it would change."""

from __future__ import annotations

from etl_manager import sql_files
from etl_manager.config import Config, phases
from etl_manager.database.drift import OBSERVED, left_as_it_is, predict
from etl_manager.database.snapshot import DatabaseSnapshot


def plan(config: Config, look: DatabaseSnapshot) -> list[str]:
    """Return the lines of the plan for the snapshot *look*."""
    lines = []
    for phase in config.phases:
        lines.append(f"{phase.name}: {phase.description or 'no description'}, in {phase.connection_db}")
        for file in phases.sql_files(config.root, phase.name):
            why = sql_files.destroys((config.root / file).read_text(encoding="utf-8"))
            lines.append(f"  {file}" + (f", which destroys: {why}" if why else ""))
        if phase.name in OBSERVED:
            report = predict(phase.name, look, config.sample_data.users_per_tenant)
            lines += [f"  would be {change}" for change in report.changes] or ["  nothing to change"]
            if report.changes and report.unchanged:
                lines.append(f"  {report.unchanged} would be left alone")
        elif phase.name not in phases.BUILT_IN:
            lines.append("  would be run; what it changes is not predicted")
    left = [str(difference) for difference in left_as_it_is(config, look)]
    return lines + (["a run leaves as it is, and will be red for:", *(f"  {line}" for line in left)] if left else [])
