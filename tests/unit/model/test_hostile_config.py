"""Whatever config.json holds is either a configuration that the bastion can be sent, or one clear error; never a traceback."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_manager.config import Config, model
from etl_manager.config.validation import parse
from etl_manager.errors import ConfigError

ROOT = Path(__file__).parents[3]
FILE = Path("some/config.json")
bounded = settings(deadline=None, derandomize=True, max_examples=100, database=None)

texts = st.text(st.characters(exclude_categories=()), max_size=12)  # NUL and lone surrogates among them
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | texts
    | st.sampled_from([10**4000, -(10**400), "\0", "\ud800", "../x", "/etc/passwd", "a" * 5_000, "tenant_a", "$(id)"])
)  # fmt: skip
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
nested = st.tuples(st.integers(30, 1_500), st.sampled_from(["[]", "{}"])).map(lambda spec: _nested(*spec))
WHOLE: dict[str, Any] = {
    "project": {"name": "p", "region": "us-east-1"},
    "tenants": ["tenant_a", "tenant_b"],
    "sampleData": {"usersPerTenant": 5, "otherRows": "refuse"},
    "aurora": {
        "databaseName": "analytics",
        "connection": {"port": 5432},
        "phases": {"schema": {"connection_db": "analytics", "description": "x"}},
        "sslmode": "prefer",
        "otherSchemas": ["other"],
        "stackName": "s",
    },
    "bastion": {
        "instanceId": "i-0123456789abcdef0",
        "workingDirectory": "/tmp/workspace",
        "autoTransfer": {"directories": ["sql"], "files": ["config.json"], "excludePatterns": ["*.log"], "maxCommandBytes": 20_000},
        "phase2": {"autoTransfer": {"enabled": True}},
    },
    "zeroEtl": {"integrationName": "i", "dataFilter": "include: a.b.c", "tables": ["users"]},
    "container": {"images": {"postgres": "p"}},
    "networking": {"vpc": {"cidr": "10.0.0.0/16"}},
}  # fmt: skip


def _nested(depth: int, kind: str) -> str:
    opening, closing = ("[", "]") if kind == "[]" else ('{"a":', "}")
    return opening * depth + "1" + closing * depth


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inner for found in _paths(part, (*path, key)))]


def _texts(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(key + _texts(part) for key, part in value.items())
    return "".join(map(_texts, value)) if isinstance(value, list) else str(value)


def outcome(raw: bytes) -> Config | str:
    """Return the configuration, or the message of the error; anything else fails the test."""
    try:
        config = parse(FILE, raw, ROOT)
    except ConfigError as error:
        told = str(error)
        return told if str(FILE) in told else pytest.fail(f"the file is not named: {told}")
    sent = config.resolved()
    document = json.loads(sent)
    assert document["tenants"] == list(config.tenants)
    assert b"\0" not in _texts(document).encode()  # PostgreSQL's jsonb takes neither a NUL nor a lone surrogate
    return config


@bounded
@given(st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes(raw):
    """A text of any kind, and any JSON."""
    outcome(raw)


@bounded
@given(st.sampled_from(_paths(WHOLE)[1:]), values)
def test_any_value_in_any_place(path, value):
    """A wrong value anywhere is an error that names its place, or harmless."""
    document = copy.deepcopy(WHOLE)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    found = outcome(json.dumps(document).encode())
    if isinstance(found, str) and "\n  - " in found:
        assert str(path[0]) in found


@bounded
@given(st.sampled_from([path for path in _paths(WHOLE) if path]), nested)
def test_any_depth(path, text):
    """However deep it is nested, it is refused, or sent; no place in the file makes it otherwise."""
    document = copy.deepcopy(WHOLE)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = "HERE"
    outcome(json.dumps(document).replace('"HERE"', text).encode())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_nested(1_000, "[]"), "nested"),
        ('{"networking": ' + _nested(200, "{}") + "}", "networking.a.a.a"),
        ('{"networking": {"a": ["x\\u0000"]}}', "networking.a[0]: holds a NUL"),
        ('{"networking": {"a": "\\ud800"}}', "networking.a: holds half of a surrogate pair"),
        ('{"networking": {"\\u0000": 1}}', "networking.\\u0000: holds a NUL"),
        ('{"x": ' + "9" * 5_000 + "}", "4300 digits"),
        ('{"x": NaN}', "NaN"),
        ('{"x": 1e999}', "1e999"),
    ],
)
def test_what_json_cannot_pass_on(text, told):
    """It is refused, with its place where it has one."""
    found = outcome(text.encode())
    assert isinstance(found, str)
    assert told in found
    assert len(found) < 1_000


@bounded
@given(texts)
def test_tenants_name(name):
    """A name that is taken is one that PostgreSQL keeps and no schema of its own; no other is."""
    found = outcome(json.dumps({"tenants": [name]}).encode())
    plain = re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name) is not None and not name.startswith("pg_")
    assert isinstance(found, Config) == (plain and name not in model.RESERVED_SCHEMAS)


@bounded
@given(
    st.lists(st.sampled_from(["..", ".", "", "a", "sql", "/", "\\", "\0", "\ud800", "a\nb"]) | texts, max_size=4).map(
        "/".join
    )
)
def test_path_in_the_config(path):
    """A path that is taken stays inside the project, whatever it is made of."""
    document = {"bastion": {"autoTransfer": {"directories": [path], "files": [path]}}, "aurora": {"caBundle": path}}
    found = outcome(json.dumps(document).encode())
    if isinstance(found, Config):
        assert (ROOT / found.transfer.directories[0]).resolve().is_relative_to(ROOT)
