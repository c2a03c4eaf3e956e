"""Reading ``config.json`` and finding all that is wrong with it, before any of it is used."""

from __future__ import annotations

import difflib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from etl_manager import project
from etl_manager.config import model, phases
from etl_manager.config.model import AuroraSection, Config
from etl_manager.errors import ConfigError
from etl_manager.redaction import one_line

DEEPEST = 50
"""Objects and lists within one another; more of them end in an error of some reader on the way to PostgreSQL."""

ROLE_SUFFIX = "_role"
"""What the phase isolation puts behind a tenant's name for its role (``sql/shared/configuration.sql``)."""


def parse(path: Path, raw: bytes, root: Path) -> Config:
    """Return what *raw*, the content of *path*, says about the project in *root*.

    Raises:
        ConfigError: When it cannot be used; the message lists every problem with its JSON path.
    """
    document = _parse(path, raw)
    problems = [*_near_misses(Config, document), *_prevalidate(document, root)]
    parsed = None
    try:
        parsed = Config.model_validate(document, context={"root": root})
    except ValidationError as error:
        problems += [_problem(item) for item in error.errors()]
    if parsed is not None:
        problems += _contradictions(parsed)
    if parsed is None or problems:
        raise _unusable(path, problems)
    return parsed


def _unusable(path: Path, problems: Iterable[str]) -> ConfigError:
    return ConfigError(
        "The configuration cannot be used:\n" + "\n".join(f"  - {one_line(problem)}" for problem in problems),
        context={"file": path},
        hint="Correct the file; README.md explains every key.",
    )


def _parse(path: Path, raw: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite
        )
    except UnicodeDecodeError as error:
        raise ConfigError("The configuration is not UTF-8 text", context={"file": path, "byte": error.start}) from error
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"The configuration is not valid JSON: {error.msg}",
            context={"file": f"{path}:{error.lineno}:{error.colno}"},
            hint="Correct the file at that line and column.",
        ) from error
    except RecursionError as error:
        raise ConfigError("The configuration cannot be used: it is nested too deep", context={"file": path}) from error
    except ValueError as error:  # also a number of 5,000 digits
        raise ConfigError(f"The configuration cannot be used: {error}", context={"file": path}) from error
    if not isinstance(document, dict):
        raise ConfigError("The configuration must be a JSON object", context={"file": path})
    if problems := list(_unstorable(document)):
        raise _unusable(path, problems)
    return document


def _unstorable(value: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """Yield what PostgreSQL's jsonb, which the configuration is read into, does not take, and what is nested too deep."""
    if isinstance(value, str):
        if "\0" in value:
            yield f"{path}: holds a NUL, which PostgreSQL keeps in no text"
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield f"{path}: holds half of a surrogate pair, which is no text"
    elif isinstance(value, dict | list) and depth == DEEPEST:
        yield f"{path}: is nested more than {DEEPEST} deep"
    elif isinstance(value, dict):
        for key, part in value.items():
            place = f"{path}.{key}" if path else key
            yield from _unstorable(key, place)
            yield from _unstorable(part, place, depth + 1)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _unstorable(part, f"{path}[{number}]", depth + 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:  # json would silently keep the last
            raise ValueError(f"it names {key!r} twice in one object")
    return dict(pairs)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is a number that JSON cannot pass on")
    return value


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
    yield from phases.template_problems(root)


def _contradictions(parsed: Config) -> Iterator[str]:
    """Yield what is wrong between values that are each well formed."""
    for name in (*phases.TENANT_PHASES, *(phases.OPTIONAL.keys() - parsed.switched_off)):
        if parsed.phase(name).connection_db != parsed.database:
            yield (
                f"aurora.phases.{name}.connection_db: {parsed.phase(name).connection_db!r}, but the tenants' database is "
                f"{parsed.database!r}"
            )
    for number, name in enumerate(parsed.aurora.other_schemas):
        if name in parsed.tenants:
            yield f"aurora.otherSchemas[{number}]: {name!r} is a tenant"
    for name, section in parsed.aurora.phases.items():
        if name in parsed.own_phases and section.connection_db is None:
            yield f"aurora.phases.{name}.connection_db: missing; a phase of your own must name its database"
    if "isolation" not in parsed.switched_off:
        for number, name in enumerate(parsed.tenants):
            if len(name) + len(ROLE_SUFFIX) > model.IDENTIFIER_BYTES:
                yield (
                    f"tenants[{number}]: {name!r} with {ROLE_SUFFIX!r} at its end is too long for the name of its role; "
                    f"PostgreSQL keeps {model.IDENTIFIER_BYTES} bytes"
                )
    yield from _transfer_problems(parsed)
    yield from _connection_contradictions(parsed.aurora, parsed.root)


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


def _transfer_problems(config: Config) -> Iterator[str]:
    """Yield what ``autoTransfer`` names and is not there, and its patterns that would leave behind what a phase runs."""
    key, transfer, root = config.transfer_key, config.transfer, config.root
    named = "directories" in transfer.model_fields_set
    for index, directory in enumerate(transfer.directories if named else ()):
        if not (root / directory).is_dir() and not any(
            PurePosixPath(file).is_relative_to(directory) for file in project.engine_files()
        ):
            yield f"{key}.directories[{index}]: no such folder: {directory}"
    for index, name in enumerate(transfer.files):
        if name != "config.json" and not project.path_of(root, name).is_file():
            yield f"{key}.files[{index}]: no such file: {name}"
    used = {
        f"which phase {phase.name} runs": phases.sql_files(root, phase.name)
        for phase in config.phases
        if not phases.missing_files(root, phase.name)
    }
    if not phases.template_problems(root):
        used["a file of the tenant template"] = (*phases.changes(root), *phases.data_files(root))
    for what, files in used.items():
        for index, pattern in enumerate(transfer.exclude_patterns):
            if taken := [str(file) for file in files if model.excluded(str(file), [pattern])]:
                yield f"{key}.excludePatterns[{index}]: {pattern!r} takes {taken[0]}, {what}"
