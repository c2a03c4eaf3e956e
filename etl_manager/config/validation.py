"""Reading ``config.json`` and finding all that is wrong with it, before any of it is used."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from etl_manager.config import model, phases
from etl_manager.config.model import AuroraSection, ConfigFile
from etl_manager.errors import ConfigError

DEFAULT_DATABASE = "multitenant_analytics"


def parse(path: Path, raw: bytes, root: Path) -> ConfigFile:
    """Return what *raw*, the content of *path*, says.

    Raises:
        ConfigError: When it cannot be used; the message lists every problem with its JSON path.
    """
    document = _parse(path, raw)
    problems = [*_near_misses(ConfigFile, document), *_prevalidate(document, root)]
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
            context={"file": path},
            hint="Correct the file; README.md explains every key.",
        )
    return parsed


def _parse(path: Path, raw: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise ConfigError("The configuration is not UTF-8 text", context={"file": path, "byte": error.start}) from error
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"The configuration is not valid JSON: {error.msg}",
            context={"file": f"{path}:{error.lineno}:{error.colno}"},
            hint="Correct the file at that line and column.",
        ) from error
    except _TwiceError as error:
        raise ConfigError(f"The configuration names {error} twice in one object", context={"file": path}) from error
    if not isinstance(document, dict):
        raise ConfigError("The configuration must be a JSON object", context={"file": path})
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


def _prevalidate(document: Mapping[str, Any], root: Path) -> Iterator[str]:
    """Yield the problems that show even where other values are malformed: names given twice, unknown phases."""
    tenants = document.get("tenants")
    if isinstance(tenants, list):
        for tenant, count in Counter(name for name in tenants if isinstance(name, str)).items():
            if count > 1:
                yield f"tenants: {tenant!r} is named {count} times"
    aurora = document.get("aurora")
    named = aurora.get("phases") if isinstance(aurora, Mapping) else None
    named = named if isinstance(named, Mapping) else {}
    yield from phases.order_errors(named)
    for name in phases.execution_order(named):
        if problem := phases.missing_files(root, name):
            yield f"aurora.phases.{name}: {problem}"


def _contradictions(parsed: ConfigFile, root: Path) -> Iterator[str]:
    """Yield what is wrong between values that are each well formed."""
    yield from _database_contradictions(parsed.aurora)
    for number, name in enumerate(parsed.aurora.other_schemas):
        if name in parsed.tenants:
            yield f"aurora.otherSchemas[{number}]: {name!r} is a tenant"
    for name, section in parsed.aurora.phases.items():
        if name not in phases.BUILT_IN and section.connection_db is None:
            yield f"aurora.phases.{name}.connection_db: missing; a phase of your own must name its database"
    yield from model.problems(parsed, root)
    yield from _connection_contradictions(parsed.aurora, root)


def _connection_contradictions(aurora: AuroraSection, root: Path) -> Iterator[str]:
    if aurora.endpoint and aurora.stack_name:
        yield "aurora.endpoint: names the cluster, and so does aurora.stackName; leave one of them out"
    if aurora.endpoint and aurora.credentials == "secret" and not aurora.secret_name:
        yield "aurora.secretName: missing; with aurora.endpoint no stack is asked for the secret"
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
    database = tenants_database(aurora)
    for name in phases.TENANT_PHASES:
        section = aurora.phases.get(name)
        if section and section.connection_db not in (None, database):
            yield (
                f"aurora.phases.{name}.connection_db: {section.connection_db!r}, but the tenants' database is "
                f"{database!r}"
            )


def tenants_database(aurora: AuroraSection) -> str:
    """Return the tenants' database: named, or inferred from the first phase that works in it."""
    if aurora.database_name:
        return aurora.database_name
    for name in phases.TENANT_PHASES:
        section = aurora.phases.get(name)
        if section and section.connection_db:
            return section.connection_db
    return DEFAULT_DATABASE
