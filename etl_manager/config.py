"""The configuration of a run: read once from ``config.json``, checked whole, never changed.

Every problem of the file is reported at once, each with its JSON path.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from etl_manager import phases
from etl_manager.config_schema import AuroraSection, ConfigFile, TransferSection
from etl_manager.errors import ConfigError

DEFAULT_DATABASE = "multitenant_analytics"
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
    database: str
    phases: tuple[Phase, ...]
    port: int
    master_username: str | None
    credentials: Literal["secret", "iam"]
    sslmode: str
    ca_bundle: str | None
    aurora_stack: str | None
    bastion_stack: str | None
    instance_id: str | None
    workspace: str
    transfer: TransferSection
    integration_name: str | None
    data_filter: str | None

    def phase(self, name: str) -> Phase:
        """Return the phase called *name*.

        Raises:
            ConfigError: When no such phase is configured.
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        known = ", ".join(phase.name for phase in self.phases)
        raise ConfigError(f"Unknown phase {name!r}", where={"config": self.source}, remedy=f"Known phases: {known}")


def load(path: Path, root: Path) -> Config:
    """Read and check *path*; *root* is the project's folder, which holds ``sql/`` and ``scripts/``.

    Raises:
        ConfigError: When the file cannot be read or used; the message lists every problem with its JSON path.
    """
    raw = _read(path)
    document = _parse(path, raw)
    problems = [*_near_misses(ConfigFile, document), *_seen_in_any_shape(document, root)]
    parsed = None
    try:
        parsed = ConfigFile.model_validate(document)
    except ValidationError as error:
        problems += [_problem(item) for item in error.errors()]
    if parsed is not None:
        problems += _contradictions(parsed, root)
    if parsed is None or problems:
        raise ConfigError(
            "The configuration cannot be used:\n" + "\n".join(f"  - {problem}" for problem in problems),
            where={"file": path},
            remedy="Correct the file; README.md explains every key.",
        )
    return _build(parsed, path, root, raw)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"Cannot read the configuration: {error.strerror}",
            where={"file": path},
            remedy="Name the file with --config-json FILE.",
        ) from error


def _parse(path: Path, raw: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise ConfigError("The configuration is not UTF-8 text", where={"file": path, "byte": error.start}) from error
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"The configuration is not valid JSON: {error.msg}",
            where={"file": f"{path}:{error.lineno}:{error.colno}"},
            remedy="Correct the file at that line and column.",
        ) from error
    except _TwiceError as error:
        raise ConfigError(f"The configuration names {error} twice in one object", where={"file": path}) from error
    if not isinstance(document, dict):
        raise ConfigError("The configuration must be a JSON object", where={"file": path})
    return document


class _TwiceError(ValueError):
    """A key stands twice in one object: json would silently keep the last."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise _TwiceError(repr(key))
    return dict(pairs)


def _problem(item: Any) -> str:
    """Return one line for an error of pydantic's: JSON path, then what is wrong."""
    path = ""
    for part in item["loc"]:
        if part == "[key]":
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{path or '(top level)'}: {message}"


def _near_misses(model: type[BaseModel], data: Any, path: str = "") -> Iterator[str]:
    """Yield the keys that look like a slip of the pen: an unknown key beside an absent one of nearly that name."""
    if not isinstance(data, Mapping):
        return
    known = {field.alias or name: field for name, field in model.model_fields.items()}
    for key in data:
        absent = [name for name in known if name not in data]
        if key not in known and (close := difflib.get_close_matches(key, absent, n=1, cutoff=0.8)):
            yield f"{path}{key}: unknown key; did you mean {path}{close[0]}?"
    for name, field in known.items():
        value = data.get(name)
        inside = value if get_origin(field.annotation) is dict and isinstance(value, Mapping) else {"": value}
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                for key, part in inside.items():
                    yield from _near_misses(kind, part, f"{path}{name}.{key}." if key else f"{path}{name}.")


def _seen_in_any_shape(document: Mapping[str, Any], root: Path) -> Iterator[str]:
    """Yield the problems that show even where other values are malformed: names given twice, unknown phases."""
    tenants = document.get("tenants")
    if isinstance(tenants, list):
        for tenant, count in Counter(name for name in tenants if isinstance(name, str)).items():
            if count > 1:
                yield f"tenants: {tenant!r} is named {count} times"
    aurora = document.get("aurora")
    named = aurora.get("phases") if isinstance(aurora, Mapping) else None
    named = named if isinstance(named, Mapping) else {}
    yield from phases.disorder(named)
    for name in phases.in_order(named):
        if problem := phases.missing_files(root, name):
            yield f"aurora.phases.{name}: {problem}"


def _contradictions(parsed: ConfigFile, root: Path) -> Iterator[str]:
    """Yield what is wrong between values that are each well formed."""
    yield from _database_contradictions(parsed.aurora)
    for name, section in parsed.aurora.phases.items():
        if name not in phases.BUILT_IN and section.connection_db is None:
            yield f"aurora.phases.{name}.connection_db: missing; a phase of your own must name its database"
    transfer = _transfer(parsed)
    for needed in ("sql", "scripts"):
        if transfer.enabled and needed not in transfer.directories:
            yield f"bastion.autoTransfer.directories: {needed!r} is missing; the phases run from it"
    yield from _connection_contradictions(parsed.aurora, root)


def _connection_contradictions(aurora: AuroraSection, root: Path) -> Iterator[str]:
    if aurora.sslmode.startswith("verify") and aurora.ca_bundle is None:
        yield f"aurora.caBundle: missing; sslmode {aurora.sslmode} checks the server against it"
    if aurora.credentials == "iam" and aurora.sslmode in {"disable", "allow", "prefer"}:
        yield (
            f"aurora.sslmode: {aurora.sslmode!r} might send an IAM token in clear; aurora.credentials iam needs "
            "require, verify-ca or verify-full"
        )
    if aurora.ca_bundle is not None:
        try:
            bundle = (root / aurora.ca_bundle).read_text(encoding="ascii", errors="replace")
        except OSError:
            yield f"aurora.caBundle: no such file: {aurora.ca_bundle}"
            return
        if "-----BEGIN CERTIFICATE-----" not in bundle:
            yield f"aurora.caBundle: {aurora.ca_bundle} holds no certificate in PEM form"
        if "PRIVATE KEY-----" in bundle:
            yield f"aurora.caBundle: {aurora.ca_bundle} holds a private key, and is sent to the bastion for all to read"


def _database_contradictions(aurora: AuroraSection) -> Iterator[str]:
    database = _database(aurora)
    for name in phases.TENANT_PHASES:
        section = aurora.phases.get(name)
        if section and section.connection_db not in (None, database):
            yield (
                f"aurora.phases.{name}.connection_db: {section.connection_db!r}, but the tenants' database is "
                f"{database!r}"
            )


def _database(aurora: AuroraSection) -> str:
    """Return the tenants' database: named, or inferred from the first phase that works in it."""
    if aurora.database_name:
        return aurora.database_name
    for name in phases.TENANT_PHASES:
        section = aurora.phases.get(name)
        if section and section.connection_db:
            return section.connection_db
    return DEFAULT_DATABASE


def _transfer(parsed: ConfigFile) -> TransferSection:
    return parsed.bastion.phase2.auto_transfer or parsed.bastion.auto_transfer


def _build(parsed: ConfigFile, path: Path, root: Path, raw: bytes) -> Config:
    aurora, bastion = parsed.aurora, parsed.bastion
    database = _database(aurora)
    built = []
    for name in phases.in_order(aurora.phases):
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
        region=parsed.project.region,
        tenants=parsed.tenants,
        users_per_tenant=parsed.sample_data.users_per_tenant,
        database=database,
        phases=tuple(built),
        port=aurora.connection.port,
        master_username=aurora.master_username,
        credentials=aurora.credentials,
        sslmode=aurora.sslmode,
        ca_bundle=aurora.ca_bundle,
        aurora_stack=aurora.stack_name,
        bastion_stack=bastion.stack_name,
        instance_id=bastion.instance_id,
        workspace=bastion.working_directory,
        transfer=_transfer(parsed),
        integration_name=parsed.zero_etl.integration_name,
        data_filter=parsed.zero_etl.data_filter,
    )
