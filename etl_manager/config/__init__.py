"""The configuration of a run: read once from ``config.json``, checked whole, never changed.

Every problem of the file is reported at once, each with its JSON path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from etl_manager.config import model, phases
from etl_manager.config.model import ConfigFile, ImagesSection, TransferSection
from etl_manager.config.validation import parse, tenants_database
from etl_manager.errors import ConfigError

MAINTENANCE_DATABASE = "postgres"
"""The database every cluster has: where one connects to create another."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One step of the build: the SQL files of ``sql/aurora/<name>/``, run in *connection_db*."""

    name: str
    connection_db: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a run needs to know before it talks to anything."""

    source: Path
    root: Path
    raw: bytes
    region: str
    tenants: tuple[str, ...]
    users_per_tenant: int
    accept_other_rows: bool
    database: str
    other_schemas: tuple[str, ...]
    phases: tuple[Phase, ...]
    port: int
    master_username: str | None
    credentials: Literal["secret", "iam"]
    sslmode: str
    ca_bundle: str | None
    aurora_stack: str | None
    endpoint: str | None
    secret_name: str | None
    bastion_stack: str | None
    instance_id: str | None
    workspace: str
    transfer: TransferSection
    transfer_key: str
    integration_name: str | None
    data_filter: str | None
    images: ImagesSection

    def phase(self, name: str) -> Phase:
        """Return the phase called *name*.

        Raises:
            ConfigError: When no such phase is configured.
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        known = ", ".join(phase.name for phase in self.phases)
        raise ConfigError(f"Unknown phase {name!r}", context={"config": self.source}, hint=f"Known phases: {known}")

    def up_to(self, name: str) -> list[str]:
        """Return the names of the phases through *name*.

        Raises:
            ConfigError: When no such phase is configured.
        """
        return [phase.name for phase in self.phases[: self.phases.index(self.phase(name)) + 1]]


def load(path: Path, root: Path) -> Config:
    """Read and check *path*; *root* is the project's folder, which holds ``sql/`` and ``scripts/``.

    Raises:
        ConfigError: When the file cannot be read or used; the message lists every problem with its JSON path.
    """
    raw = _read(path)
    return _build(parse(path, raw, root), path, root, raw)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"Cannot read the configuration: {error.strerror}",
            context={"file": path},
            hint="Name the file with --config-json FILE.",
        ) from error


def _build(parsed: ConfigFile, path: Path, root: Path, raw: bytes) -> Config:
    aurora, bastion = parsed.aurora, parsed.bastion
    database = tenants_database(aurora)
    transfer_key, transfer = model.section(parsed)
    built = []
    for name in phases.execution_order(aurora.phases):
        section = aurora.phases.get(name)
        default = MAINTENANCE_DATABASE if name == "database" else database
        built.append(
            Phase(
                name=name,
                connection_db=(section and section.connection_db) or default,
                description=(section and section.description) or phases.BUILT_IN.get(name, ""),
            )
        )
    return Config(
        source=path,
        root=root,
        raw=raw,
        region=parsed.project.region or "",  # empty: left to the target
        tenants=parsed.tenants,
        users_per_tenant=parsed.sample_data.users_per_tenant,
        accept_other_rows=parsed.sample_data.other_rows == "accept",
        database=database,
        other_schemas=aurora.other_schemas,
        phases=tuple(built),
        port=aurora.connection.port,
        master_username=aurora.master_username,
        credentials=aurora.credentials,
        sslmode=aurora.sslmode,
        ca_bundle=aurora.ca_bundle,
        aurora_stack=aurora.stack_name,
        endpoint=aurora.endpoint,
        secret_name=aurora.secret_name,
        bastion_stack=bastion.stack_name,
        instance_id=bastion.instance_id,
        workspace=bastion.working_directory,
        transfer=transfer,
        transfer_key=transfer_key,
        integration_name=parsed.zero_etl.integration_name,
        data_filter=parsed.zero_etl.data_filter,
        images=parsed.container.images,
    )
