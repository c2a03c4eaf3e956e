"""The shape of ``config.json``: sections, their defaults and what each value may be.

Sections that Phase 2 does not use (``networking``, ``redshift``, ``dbt`` …) are accepted unread.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from etl_manager import project
from etl_manager.config import phases

IDENTIFIER_BYTES = 63
"""The longest name PostgreSQL keeps whole, in bytes (NAMEDATALEN - 1; PostgreSQL manual, "Lexical Structure")."""

RESERVED_SCHEMAS = frozenset({"public", "information_schema"})
RESERVED_DATABASES = frozenset({"postgres", "template0", "template1", "rdsadmin"})


def _identifier(value: str) -> str:
    if len(value.encode()) > IDENTIFIER_BYTES:
        msg = f"{value!r} has {len(value.encode())} bytes; PostgreSQL keeps {IDENTIFIER_BYTES}"
        raise ValueError(msg)
    if not value or not value.isascii() or not value.replace("_", "a").isalnum() or value != value.lower():
        msg = f"{value!r} is not a plain name: use lower-case letters, digits and _"
        raise ValueError(msg)
    if value[0].isdigit():
        msg = f"{value!r} starts with a digit"
        raise ValueError(msg)
    return value


def _tenant(value: str) -> str:
    _identifier(value)
    if value in RESERVED_SCHEMAS or value.startswith("pg_"):
        msg = f"{value!r} is a schema of PostgreSQL's own"
        raise ValueError(msg)
    return value


def _database(value: str) -> str:
    _identifier(value)
    if value in RESERVED_DATABASES:
        msg = f"{value!r} is a database of PostgreSQL's or Aurora's own"
        raise ValueError(msg)
    return value


def _workspace(value: str) -> str:
    parts = value.split("/")
    plain = value.isascii() and all(c.isalnum() or c in "/._-" for c in value)
    if not plain or not value.startswith("/") or {"..", ".", ""} & set(parts[1:]) or len(parts) < 3:
        msg = f"{value!r} must be an absolute path of at least two plain parts, such as /tmp/workspace"
        raise ValueError(msg)
    return value


def _inside(value: str) -> str:
    if not value or value.startswith("/") or "\\" in value or ".." in value.split("/"):
        msg = f"{value!r} must be a path inside the project"
        raise ValueError(msg)
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
        msg = f"{value!r} is neither host:port nor host"
        raise ValueError(msg)
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
    """A section of the file: camelCase keys, exact types, keys of other tools accepted."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", alias_generator=to_camel)


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


def _schema(value: str) -> str:
    if not 1 <= len(value.encode()) <= IDENTIFIER_BYTES:
        msg = f"{value!r} is no name of a schema: 1 to {IDENTIFIER_BYTES} bytes"
        raise ValueError(msg)
    return value


class AuroraSection(Section):
    """``aurora``: the cluster, its database and the phases that build it."""

    database_name: DatabaseName | None = None
    master_username: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    connection: ConnectionSection = ConnectionSection()
    phases: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], PhaseSection] = {}
    credentials: Literal["secret", "iam"] = "secret"
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    ca_bundle: InsidePath | None = None
    stack_name: str | None = None
    other_schemas: tuple[Annotated[str, AfterValidator(_schema)], ...] = Field(default=(), strict=False)
    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = None
    secret_name: Annotated[str, Field(min_length=1)] | None = None


class TransferSection(Section):
    """``bastion.autoTransfer``: what goes to the bastion."""

    enabled: bool = True
    directories: tuple[InsidePath, ...] = Field(default=("sql", "scripts"), strict=False)
    files: tuple[InsidePath, ...] = Field(default=("config.json",), strict=False)
    exclude_patterns: tuple[str, ...] = Field(default=(), strict=False)
    compression_level: Annotated[int, Field(ge=1, le=9)] = 9
    max_command_bytes: Annotated[int, Field(ge=6_000, le=60_000)] = 20_000
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


class ZeroEtlSection(Section):
    """``zeroEtl``: what Phase 3 will be given."""

    integration_name: Annotated[str, Field(max_length=63, pattern=r"^[a-zA-Z](-?[a-zA-Z0-9]+)*$")] | None = None
    data_filter: str | None = None


class ImagesSection(Section):
    """``container.images``: whose images the container target uses, for sites with their own registry."""

    postgres: Annotated[str, Field(min_length=1)] | None = None
    bastion: Annotated[str, Field(min_length=1)] | None = None


class ContainerSection(Section):
    """``container``: the container target."""

    images: ImagesSection = ImagesSection()


class ConfigFile(Section):
    """The whole file."""

    project: ProjectSection = ProjectSection()
    tenants: tuple[TenantName, ...] = Field(default=("tenant_a", "tenant_b", "tenant_c"), min_length=1, strict=False)
    sample_data: SampleDataSection = SampleDataSection()
    aurora: AuroraSection = AuroraSection()
    bastion: BastionSection = BastionSection()
    zero_etl: ZeroEtlSection = ZeroEtlSection()
    container: ContainerSection = ContainerSection()


def section(parsed: ConfigFile) -> tuple[str, TransferSection]:
    """Return the section that holds, with its JSON path: the phase's own wins."""
    if own := parsed.bastion.phase2.auto_transfer:
        return "bastion.phase2.autoTransfer", own
    return "bastion.autoTransfer", parsed.bastion.auto_transfer


def needed(root: Path, names: Iterable[str]) -> list[str]:
    """Return the files that a run of the phases *names* needs on the bastion, relative to *root*.

    Raises:
        ConfigError: When a phase has no SQL files.
    """
    own = [path.relative_to(root).as_posix() for folder in project.ENGINE_SQL for path in (root / folder).glob("*.sql")]
    return [
        *project.engine_files(),
        *own,
        *(str(file) for name in names for file in phases.sql_files(root, name)),
    ]


def problems(parsed: ConfigFile, root: Path) -> Iterator[str]:
    """Yield what the file names and is not there, and the patterns that would leave behind what a phase runs."""
    key, transfer = section(parsed)
    named = "directories" in transfer.model_fields_set
    for index, directory in enumerate(transfer.directories if named else ()):
        if not (root / directory).is_dir() and not any(
            PurePosixPath(file).is_relative_to(directory) for file in project.engine_files()
        ):
            yield f"{key}.directories[{index}]: no such folder: {directory}"
    for index, name in enumerate(transfer.files):
        if name != "config.json" and not project.path_of(root, name).is_file():
            yield f"{key}.files[{index}]: no such file: {name}"
    for name in phases.execution_order(parsed.aurora.phases):
        files = [] if phases.missing_files(root, name) else phases.sql_files(root, name)
        for index, pattern in enumerate(transfer.exclude_patterns):
            if taken := [str(file) for file in files if excluded(str(file), [pattern])]:
                yield f"{key}.excludePatterns[{index}]: {pattern!r} takes {taken[0]}, which phase {name} runs"


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
