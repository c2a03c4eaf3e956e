"""The catalogue as it is now, for a verdict whose filter also takes tables that were not there when it was passed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from etl_manager import config as configuration
from etl_manager.database.snapshot import Catalogue
from etl_manager.errors import ProvisioningError
from etl_manager.gate.inputs import matches_future_tables
from etl_manager.gate.verdict import Verdict
from etl_manager.progress import NullProgress
from etl_manager.provisioning.startup import start_run, target_options
from etl_manager.targets import open_target
from etl_manager.wording import enumeration
from etl_manager.zero_etl import compare_filter


def unexpected_tables(verdict: Verdict, read_catalogue: Callable[[], Catalogue]) -> Iterator[str]:
    """Yield why the filter of *verdict* is not exact any more; a plain list of tables needs no *read_catalogue*."""
    if verdict.data_filter is None or not matches_future_tables(verdict.data_filter):
        return
    try:
        tables = read_catalogue().replicated(verdict.database)
    except ProvisioningError as error:
        yield f"whether its filter takes schemas that were made since cannot be seen: {error.message.splitlines()[0]}"
        return
    wanted = [(tenant, table) for tenant in verdict.tenants for table in verdict.tables]
    comparison = compare_filter(verdict.data_filter, verdict.database, wanted, tables)
    if comparison.excess:
        named = enumeration([f"{table.schema}.{table.table}" for table in comparison.excess])
        yield f"its filter takes what was not there then: {named}"


def read_catalogue(verdict: Verdict, root: Path) -> Catalogue:
    """Return the catalogue of the cluster that *verdict* is of; nothing is changed.

    Raises:
        ProvisioningError: When it cannot be had, or another cluster answers.
    """
    if verdict.target == "container":
        raise ProvisioningError("containers do not outlive their run; gate again")
    config = configuration.load(root / verdict.source.config, root)
    with closing(open_target(verdict.target, target_options(config, region=verdict.region))) as target:
        run = start_run(
            config,
            target,
            verify_only=True,
            skip_copy=False,
            progress=NullProgress(),
            attach=lambda *_: None,
            warn=lambda _line: None,
        )
        with closing(run):
            found = run.environment
            if not verdict.emulated and verdict.endpoint != f"{found.host}:{found.port}":
                raise ProvisioningError(f"another cluster answers: {found.host}:{found.port}, not {verdict.endpoint}")
            return run.look_at_catalogue()
