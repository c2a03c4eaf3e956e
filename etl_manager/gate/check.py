"""Whether a verdict may be relied on: what it is bound to, its age, its target, and the catalogue as it is now."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from etl_manager import config as configuration
from etl_manager import git
from etl_manager.database.snapshot import Catalogue
from etl_manager.errors import ProvisioningError, VerificationError
from etl_manager.gate.inputs import matches_future_tables
from etl_manager.gate.verdict import Source, Verdict, blocking_reasons
from etl_manager.project import engine_files, path_of
from etl_manager.provisioning.startup import start_run, target_options
from etl_manager.targets import open_target
from etl_manager.wording import enumeration
from etl_manager.zero_etl import compare_filter


def source_of(root: Path, config: Path) -> Source:
    """Return what the project in *root* holds now, with the configuration *config*."""
    commit, dirty = git.state(root)
    return Source(
        commit=commit,
        dirty=dirty,
        sql_sha256=sql_digest(root),
        config=Path(os.path.relpath(config, root)).as_posix(),
        config_sha256=file_digest(config),
    )


def sql_digest(root: Path) -> str:
    """Return one digest for all files under ``sql/``, the engine's included.

    It is that of what sha256sum prints for them in the order of their names, where the engine's lie beside the team's:
    in a checkout of this repository, and in a workspace on the bastion to which the whole of ``sql/`` went.
    """
    own = {path.relative_to(root).as_posix() for path in (root / "sql").rglob("*") if path.is_file()}
    files = sorted(own | {name for name in engine_files() if name.startswith("sql/")})
    lines = (f"{file_digest(path_of(root, name))}  {name}\n" for name in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


CLOCK_SKEW = timedelta(minutes=5)
"""How far the clocks of two machines may be apart."""


def read(path: Path) -> Verdict:
    """Read the verdict in *path*.

    Raises:
        VerificationError: When there is none, or it does not fit the schema.
    """
    try:
        return Verdict.model_validate_json(path.read_bytes())
    except OSError as error:
        raise VerificationError(
            f"There is no verdict: {error.strerror}",
            context={"file": path},
            hint="A run makes it: pytest features/ --require-gate",
        ) from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc'])) or '(top level)'}: {item['msg']}" for item in error.errors()]
        shown = "\n".join(f"  - {line}" for line in lines[:10])
        raise VerificationError(f"This is no verdict of the gate:\n{shown}", context={"file": path}) from error


def invalid_because(
    verdict: Verdict, root: Path, *, now: datetime, max_age: timedelta, target: str | None
) -> Iterator[str]:
    """Yield why *verdict* may not be relied on, for the project in *root* as it is *now*, a Git checkout.

    It may be *max_age* old, and must be of *target*, unless that is None; ``aws`` must be AWS itself.
    """
    yield from verdict.reasons or ([] if verdict.ready else ["it says that Phase 3 is not ready"])
    if verdict.ready:  # also where only the word was written
        yield from blocking_reasons(verdict)
    yield from _place(verdict, target)
    yield from _age(verdict, now, max_age)
    yield from _origin(verdict, root)


def _place(verdict: Verdict, target: str | None) -> Iterator[str]:
    if target is not None and verdict.target != target:
        yield f"it is of the target {verdict.target}, not of {target}"
    if target == "aws" and verdict.emulated:
        yield "what answered was emulated, not AWS"
    if not verdict.emulated and not (verdict.account and verdict.cluster):
        yield "it does not say of which account and cluster it is"


def _age(verdict: Verdict, now: datetime, max_age: timedelta) -> Iterator[str]:
    age = now - verdict.checked_at
    if age > max_age:
        yield f"it is {_span(age)} old; at most {_span(max_age)} is allowed"
    elif age < -CLOCK_SKEW:
        yield f"it is from the future: {verdict.checked_at.isoformat()}"


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            rest = f" {seconds % size // 60} min" if unit == "h" and seconds % size >= 60 else ""
            return f"{seconds // size} {unit}{rest}"
    return f"{seconds} s"


def _origin(verdict: Verdict, root: Path) -> Iterator[str]:
    made = verdict.source
    config = root / made.config
    if not config.is_file():
        yield f"its configuration {made.config} is not in this project"
        return
    here = source_of(root, config)
    if made.commit is None:
        yield "it is bound to no commit: it was not made in a Git checkout"
    elif here.commit != made.commit:
        yield f"it is of commit {made.commit[:12]}; this is {here.commit[:12] if here.commit else 'no Git checkout'}"
    elif made.dirty:
        yield f"it was made with changes that commit {made.commit[:12]} does not hold"
    if here.sql_sha256 != made.sql_sha256:
        yield "sql/ is not what it was then"
    if here.config_sha256 != made.config_sha256:
        yield f"{made.config} is not what it was then"


def unexpected_tables(verdict: Verdict, read_catalogue: Callable[[], Catalogue]) -> Iterator[str]:
    """Yield why the filter of *verdict* is not exact any more: it may take tables that were not there when it was passed.

    A plain list of tables needs no *read_catalogue*.
    """
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
        run = start_run(config, target, verify_only=True)
        with closing(run):
            found = run.environment
            if not verdict.emulated and verdict.endpoint != f"{found.host}:{found.port}":
                raise ProvisioningError(f"another cluster answers: {found.host}:{found.port}, not {verdict.endpoint}")
            return run.look_at_catalogue()
