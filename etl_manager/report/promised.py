"""What the feature files promise: every scenario and row, counted from the text and not from what pytest made of it.

Allure drops a result it cannot read without a word, and a report of nothing is green: so it is counted here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gherkin.errors import CompositeParserException
from gherkin.parser import Parser

from etl_manager.config import Config

Row = tuple[tuple[str, str], ...]
"""A row of an Examples table: its columns with their values, by name; empty without a table."""

EACH_TENANT = "each-tenant"


@dataclass(frozen=True, order=True)
class Proof:
    """One scenario of a feature file, or one row of its outline: what there must be one result of."""

    file: str
    scenario: str
    row: Row = ()
    id: str = field(default="", compare=False)
    """By what a result is known as its own: made of the other three, and kept where one of them is masked."""

    def __post_init__(self) -> None:
        """Make the id, unless it is known."""
        if not self.id:
            named = json.dumps([self.file, self.scenario, self.row])
            object.__setattr__(self, "id", hashlib.sha256(named.encode()).hexdigest()[:32])

    def __str__(self) -> str:
        """Return it as a reader finds it."""
        values = f" [{', '.join(value for _, value in self.row)}]" if self.row else ""
        return f"{self.file}: {self.scenario}{values}"


def row(values: Mapping[str, str]) -> Row:
    """Return *values* as a `Row`."""
    return tuple(sorted(values.items()))


def promised(root: Path, config: Config) -> list[Proof]:
    """Return what the feature files under *root* promise for the tenants of *config*.

    A file that cannot be parsed promises one scenario, which no result will be of.
    """
    found: list[Proof] = []
    for path in sorted((root / "features").rglob("*.feature")):
        file = path.relative_to(root).as_posix()
        try:
            document: Any = Parser().parse(path.read_text(encoding="utf-8"))
        except (CompositeParserException, UnicodeDecodeError):
            document = {}
        feature = document.get("feature")
        found += _of(feature, file, config, frozenset()) if feature else [Proof(file, "(a file that cannot be read)")]
    return found


def _of(parent: dict[str, Any], file: str, config: Config, inherited: frozenset[str]) -> Iterator[Proof]:
    tags = inherited | _tags(parent)
    for child in parent["children"]:
        if "rule" in child:
            yield from _of(child["rule"], file, config, tags)
        elif "scenario" in child:
            scenario = child["scenario"]
            rows = list(_rows(scenario, config, each_tenant=EACH_TENANT in tags | _tags(scenario)))
            yield from (Proof(file, scenario["name"], row(values)) for values in rows)


def _tags(node: dict[str, Any]) -> frozenset[str]:
    return frozenset(tag["name"].lstrip("@") for tag in node["tags"])


def _rows(scenario: dict[str, Any], config: Config, *, each_tenant: bool) -> Iterator[dict[str, str]]:
    tables = [table for table in scenario["examples"] if table.get("tableHeader")]
    if not tables:
        yield {}
    for table in tables:
        columns = [cell["value"] for cell in table["tableHeader"]["cells"]]
        if each_tenant and set(columns) <= {"tenant", "users"}:
            for tenant in config.tenants:
                known = {"tenant": tenant, "users": str(config.users_per_tenant)}
                yield {column: known[column] for column in columns}
        else:
            for line in table["tableBody"]:
                yield {column: cell["value"] for column, cell in zip(columns, line["cells"], strict=True)}
