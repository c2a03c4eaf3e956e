"""The shape of ``config.json``: sections, their defaults and what each value may be.

Every default is set here, and nowhere else in Python: the bastion is sent the configuration with all of them filled in.
Sections that Phase 2 does not use (``networking``, ``redshift``, ``dbt`` …) are accepted, and travel as they are.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr
from pydantic.alias_generators import to_camel

from etl_manager import project
from etl_manager.config import phases
from etl_manager.errors import ConfigError

IDENTIFIER_BYTES = 63
"""The longest name PostgreSQL keeps whole, in bytes (NAMEDATALEN - 1; PostgreSQL manual, "Lexical Structure")."""

MAINTENANCE_DATABASE = "postgres"
"""The database every cluster has: where one connects to create another."""
DEFAULT_DATABASE = "multitenant_analytics"
MASTER = "postgres"
"""The master user, where neither the secret nor the configuration names one."""

RESERVED_SCHEMAS = frozenset({"public", "information_schema"})
RESERVED_DATABASES = frozenset({"postgres", "template0", "template1", "rdsadmin"})


def _identifier(value: str) -> str:
    if len(value.encode()) > IDENTIFIER_BYTES:
        raise ValueError(f"{value!r} has {len(value.encode())} bytes; PostgreSQL keeps {IDENTIFIER_BYTES}")
    if not value or not value.isascii() or not value.replace("_", "a").isalnum() or value != value.lower():
        raise ValueError(f"{value!r} is not a plain name: use lower-case letters, digits and _")
    if value[0].isdigit():
        raise ValueError(f"{value!r} starts with a digit")
    return value


def _tenant(value: str) -> str:
    _identifier(value)
    if value in RESERVED_SCHEMAS or value.startswith("pg_"):
        raise ValueError(f"{value!r} is a schema of PostgreSQL's own")
    return value


def _database(value: str) -> str:
    _identifier(value)
    if value in RESERVED_DATABASES:
        raise ValueError(f"{value!r} is a database of PostgreSQL's or Aurora's own")
    return value


def _workspace(value: str) -> str:
    parts = value.split("/")
    plain = value.isascii() and all(c.isalnum() or c in "/._-" for c in value)
    if not plain or not value.startswith("/") or {"..", ".", ""} & set(parts[1:]) or len(parts) < 3:
        raise ValueError(f"{value!r} must be an absolute path of at least two plain parts, such as /tmp/workspace")
    return value


def _inside(value: str) -> str:
    if not value or value.startswith("/") or "\\" in value or ".." in value.split("/"):
        raise ValueError(f"{value!r} must be a path inside the project")
    return str(PurePosixPath(value))  # one spelling of each, so that overlapping lists name a file once


def host_and_port(value: str) -> tuple[str, int | None]:
    """Return the parts of ``host:port``; no port where *value* is the host alone.

    Raises:
        ValueError: When it is neither.
    """
    host, colon, port = value.partition(":")
    if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9])?", host) or (
        colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536)
    ):
        raise ValueError(f"{value!r} is neither host:port nor host")
    return host, int(port) if port else None


def _endpoint(value: str) -> str:
    host_and_port(value)
    return value


Identifier = Annotated[str, AfterValidator(_identifier)]
TenantName = Annotated[str, AfterValidator(_tenant)]
DatabaseName = Annotated[str, AfterValidator(_database)]
InsidePath = Annotated[str, AfterValidator(_inside)]
InstanceId = Annotated[str, Field(pattern=r"^(i-(\w{8}|\w{17})|mi-\w{17})$")]


class Section(BaseModel):
    """A section of the file: camelCase keys, exact types, keys of other tools kept."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", alias_generator=to_camel)


class ProjectSection(Section):
    """``project``: where the environment lives."""

    name: str = "multitenant-analytics"
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] | None = None


class PhaseSection(Section):
    """``aurora.phases.<phase>``: the database a phase connects to, and what it is for."""

    connection_db: Identifier | None = Field(default=None, alias="connection_db")
    description: str = ""


class ConnectionSection(Section):
    """``aurora.connection``: used where discovery finds no port in the endpoint."""

    port: Annotated[int, Field(ge=1, le=65535)] = 5432


def _name(value: str) -> str:
    if not 1 <= len(value.encode()) <= IDENTIFIER_BYTES:
        raise ValueError(f"{value!r} is no name that PostgreSQL keeps: 1 to {IDENTIFIER_BYTES} bytes")
    return value


class AuroraSection(Section):
    """``aurora``: the cluster, its database and the phases that build it."""

    database_name: DatabaseName | None = None
    master_username: Annotated[str, Field(min_length=1, max_length=63)] = MASTER
    connection: ConnectionSection = ConnectionSection()
    phases: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], PhaseSection] = {}
    credentials: Literal["secret", "iam"] = "secret"
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    ca_bundle: InsidePath | None = None
    stack_name: str | None = None
    other_schemas: tuple[Annotated[str, AfterValidator(_name)], ...] = Field(default=(), strict=False)
    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = None
    secret_name: Annotated[str, Field(min_length=1)] | None = None


class TransferSection(Section):
    """``bastion.autoTransfer``: what goes to the bastion."""

    enabled: bool = True
    directories: tuple[InsidePath, ...] = Field(default=("sql", "scripts"), strict=False)
    files: tuple[InsidePath, ...] = Field(default=("config.json",), strict=False)
    exclude_patterns: tuple[str, ...] = Field(default=(), strict=False)
    compression_level: Annotated[int, Field(ge=1, le=9)] = 9
    max_command_bytes: Annotated[int, Field(ge=12_000, le=60_000)] = 20_000
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None


class Phase2Section(Section):
    """``bastion.phase2``: its ``autoTransfer`` wins over the one of ``bastion``."""

    auto_transfer: TransferSection | None = None


class BastionSection(Section):
    """``bastion``: the host that reaches the cluster."""

    instance_id: InstanceId | None = None
    stack_name: str | None = None
    working_directory: Annotated[str, AfterValidator(_workspace)] = "/tmp/workspace"  # noqa: S108 - the user's path
    auto_transfer: TransferSection = TransferSection()
    phase2: Phase2Section = Phase2Section()


class SampleDataSection(Section):
    """``sampleData``: how many rows each tenant starts with, and whether it may have rows beside them."""

    users_per_tenant: Annotated[int, Field(ge=1, le=100_000)] = 5
    other_rows: Literal["refuse", "accept"] = "refuse"

    @property
    def accept_other_rows(self) -> bool:
        """Whether a tenant may have rows beside the sample."""
        return self.other_rows == "accept"


class ZeroEtlSection(Section):
    """``zeroEtl``: what Phase 3 will be given."""

    integration_name: Annotated[str, Field(max_length=63, pattern=r"^[a-zA-Z](-?[a-zA-Z0-9]+)*$")] | None = None
    data_filter: str | None = None
    tables: Annotated[tuple[Annotated[str, AfterValidator(_name)], ...], Field(min_length=1)] | None = Field(
        default=None, strict=False
    )


class ImagesSection(Section):
    """``container.images``: whose images the container target uses, for sites with their own registry."""

    postgres: Annotated[str, Field(min_length=1)] | None = None
    bastion: Annotated[str, Field(min_length=1)] | None = None


class ContainerSection(Section):
    """``container``: the container target."""

    images: ImagesSection = ImagesSection()


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One step of the build: the SQL files of ``sql/aurora/<name>/``, run in *connection_db*."""

    name: str
    connection_db: str
    description: str


class Config(Section):
    """The whole file, and what follows from it; read it with `load`."""

    project: ProjectSection = ProjectSection()
    tenants: tuple[TenantName, ...] = Field(default=("tenant_a", "tenant_b", "tenant_c"), min_length=1, strict=False)
    sample_data: SampleDataSection = SampleDataSection()
    aurora: AuroraSection = AuroraSection()
    bastion: BastionSection = BastionSection()
    zero_etl: ZeroEtlSection = ZeroEtlSection()
    container: ContainerSection = ContainerSection()
    _root: Path = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Keep the project's folder, which is no part of the file."""
        self._root = context["root"]

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self._root

    @property
    def region(self) -> str:
        """The AWS region; empty where it is left to the target."""
        return self.project.region or ""

    @property
    def database(self) -> str:
        """The tenants' database: named, or inferred from the first phase that works in it."""
        sections = (self.aurora.phases.get(name) for name in phases.TENANT_PHASES)
        inferred = (section.connection_db for section in sections if section and section.connection_db)
        return self.aurora.database_name or next(inferred, DEFAULT_DATABASE)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """All phases in the order they run, built-in ones that the file leaves out included."""
        return tuple(
            Phase(
                name=name,
                connection_db=section.connection_db or (MAINTENANCE_DATABASE if name == "database" else self.database),
                description=section.description or (phases.BUILT_IN | phases.OPTIONAL).get(name, ""),
            )
            for name in phases.execution_order(self.aurora.phases)
            for section in [self.aurora.phases.get(name, PhaseSection())]
        )

    @property
    def own_phases(self) -> tuple[str, ...]:
        """The phases that are the project's own; a run does not repeat them."""
        return tuple(phase.name for phase in self.phases if phase.name not in phases.KNOWN)

    @property
    def switched_off(self) -> frozenset[str]:
        """The optional phases that the file does not name."""
        return frozenset(phases.OPTIONAL.keys() - self.aurora.phases.keys())

    @property
    def transfer_key(self) -> str:
        """The JSON path of `transfer`."""
        return "bastion.phase2.autoTransfer" if self.bastion.phase2.auto_transfer else "bastion.autoTransfer"

    @property
    def transfer(self) -> TransferSection:
        """What goes to the bastion: the section of ``phase2`` wins where it is present."""
        return self.bastion.phase2.auto_transfer or self.bastion.auto_transfer

    def phase(self, name: str) -> Phase:
        """Return the phase called *name*.

        Raises:
            ConfigError: When no such phase is configured.
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        known = ", ".join(phase.name for phase in self.phases)
        raise ConfigError(f"Unknown phase {name!r}", context={"project": self.root}, hint=f"Known phases: {known}")

    def changed(self, **values: Any) -> Config:
        """Return a copy with other *values*; a section's are given as a dict: ``changed(aurora={"endpoint": None})``."""
        updated = {
            name: getattr(self, name).model_copy(update=value) if isinstance(value, dict) else value
            for name, value in values.items()
        }
        return self.model_copy(update=updated)

    def resolved(self) -> bytes:
        """Return the file with every default filled in, as the bastion is sent it: SQL and engine need none of their own."""
        document = self.model_dump(by_alias=True, exclude_none=True)
        aurora = document["aurora"]
        aurora["databaseName"] = self.database
        aurora["phases"] = {
            phase.name: aurora["phases"].get(phase.name, {})
            | {"connection_db": phase.connection_db, "description": phase.description}
            for phase in self.phases
        }
        return (json.dumps(document, indent=2) + "\n").encode()


def needed(root: Path, names: Iterable[str]) -> list[str]:
    """Return the files that a run of the phases *names* needs on the bastion, relative to *root*.

    Raises:
        ConfigError: When a phase has no SQL files, or a file could not be run.
    """
    own = [path.relative_to(root).as_posix() for folder in project.ENGINE_SQL for path in (root / folder).glob("*.sql")]
    return [
        *project.engine_files(),
        *own,
        *map(str, (*phases.changes(root), *phases.data_files(root))),
        *(str(file) for name in names for file in phases.sql_files(root, name)),
    ]


def excluded(name: str, patterns: Iterable[str]) -> bool:
    """Say whether a pattern takes *name*: ``*.log`` any part of it, ``build/`` a folder of it, ``sql/x.sql`` the whole."""
    parts = PurePosixPath(name).parts
    for pattern in patterns:
        if pattern.endswith("/"):
            wanted = pattern.rstrip("/")
            if any(fnmatch.fnmatchcase(part, wanted) for part in parts[:-1]) or fnmatch.fnmatchcase(
                name, f"{wanted}/*"
            ):
                return True
        elif fnmatch.fnmatchcase(name, pattern) or any(fnmatch.fnmatchcase(part, pattern) for part in parts):
            return True
    return False
