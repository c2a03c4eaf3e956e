"""Feature files as Gherkin's reference parser reads them, what ``@each-tenant`` means, and what they promise.

One parse serves the checks at collection and the count of what a run has to prove. What pytest-bdd makes of a file
is its own: scenarios that it loses are found by comparing. Nor is counted what Allure has of them: it drops a result
that it cannot read without a word, and a report of nothing is green.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from gherkin.dialect import Dialect
from gherkin.errors import CompositeParserException
from gherkin.parser import Parser

from etl_manager.config import Config

EACH_TENANT = "each-tenant"
"""The tag of a scenario outline that becomes one test a tenant; a tag of its rule or feature counts as its own.

In the file its Examples table is a header and nothing else, so that adding a tenant changes no feature.
"""
TENANT_HEADERS = (["tenant"], ["tenant", "users"])
"""The headers such a table may have; ``users`` is the number of sample rows the configuration asks for."""

Node = dict[str, Any]
"""A node of the reference parser's document."""


class NotGherkinError(Exception):
    """A file that cannot be parsed.

    Args:
        line: Where the first error is; the others follow from it.
        text: What is wrong there.
    """

    def __init__(self, line: int, text: str) -> None:
        self.line, self.text = line, text
        super().__init__(f"line {line}: {text}")


@cache
def parse(text: str) -> Node | None:
    """Return the feature in *text*, or None where there is none.

    Raises:
        NotGherkinError: When it cannot be parsed.
    """
    try:
        document: Any = Parser().parse(text)
    except CompositeParserException as error:
        first = error.errors[0]
        got = re.search(r"got '(.*)'$", str(first))
        problem = f"not Gherkin at this place: {got[1]!r}" if got else str(first)
        raise NotGherkinError(first.location["line"], problem) from error
    feature: Node | None = document.get("feature")
    return feature


def scenarios(parent: Node, inherited: frozenset[str] = frozenset()) -> Iterator[tuple[Node, frozenset[str]]]:
    """Yield each scenario of a feature or rule with its tags, those of its rule and feature included."""
    tags = inherited | _tags(parent)
    for child in parent["children"]:
        if "rule" in child:
            yield from scenarios(child["rule"], tags)
        elif "scenario" in child:
            yield child["scenario"], tags | _tags(child["scenario"])


def _tags(node: Node) -> frozenset[str]:
    return frozenset(tag["name"].lstrip("@") for tag in node["tags"])


def header(table: Node) -> list[str]:
    """Return the columns of an Examples table; none where it is empty."""
    return [cell["value"] for cell in table.get("tableHeader", {"cells": []})["cells"]]


def runs(tags: frozenset[str] | set[str], config: Config) -> bool:
    """Return whether a scenario with *tags* is run: one that is about an optional phase only where the phase is."""
    return not tags & config.switched_off


def rows(scenario: Node, tags: frozenset[str], config: Config) -> Iterator[dict[str, str]]:
    """Yield each row that *scenario* runs with, column → value: an empty one without Examples."""
    tables = [table for table in scenario["examples"] if table.get("tableHeader")]
    if not tables:
        yield {}
    for table in tables:
        columns = header(table)
        if EACH_TENANT in tags and columns in TENANT_HEADERS:
            found = tenant_rows(columns, config)
        else:
            found = [[cell["value"] for cell in line["cells"]] for line in table["tableBody"]]
        for values in found:
            yield dict(zip(columns, values, strict=True))


def tenant_rows(columns: Sequence[str], config: Config) -> list[list[str]]:
    """Return the rows of an ``@each-tenant`` table with *columns*: one a tenant, in the order of *config*."""
    return [[tenant, str(config.sample_data.users_per_tenant)][: len(columns)] for tenant in config.tenants]


def outline_keywords(feature: Node) -> list[str]:
    """Return what a scenario outline is called in the language of *feature*."""
    dialect = Dialect.for_name(feature["language"])
    return list(dialect.scenario_outline_keywords) if dialect else []


Row = tuple[tuple[str, str], ...]
"""A row of an Examples table: its columns with their values, by name; empty without a table."""


@dataclass(frozen=True, order=True)
class ScenarioId:
    """One scenario of a feature file, or one row of its outline: what there must be one result of."""

    file: str
    name: str
    row: Row = ()
    id: str = field(default="", compare=False)
    """By what a result is known as its own: made of the other three, and kept where one of them is masked."""

    def __post_init__(self) -> None:
        """Make the id, unless it is known."""
        if not self.id:
            named = json.dumps([self.file, self.name, self.row])
            object.__setattr__(self, "id", hashlib.sha256(named.encode()).hexdigest()[:32])

    def __str__(self) -> str:
        """Return it as a reader finds it."""
        values = f" [{', '.join(value for _, value in self.row)}]" if self.row else ""
        return f"{self.file}: {self.name}{values}"


def row(values: Mapping[str, str]) -> Row:
    """Return *values* as a `Row`."""
    return tuple(sorted(values.items()))


def expected_scenarios(root: Path, config: Config) -> list[ScenarioId]:
    """Return what the feature files under *root* promise for the tenants of *config*.

    A file that cannot be parsed promises one scenario, which no result will be of.
    """
    found: list[ScenarioId] = []
    for path in sorted((root / "features").rglob("*.feature")):
        file = path.relative_to(root).as_posix()
        try:
            feature = parse(path.read_text(encoding="utf-8"))
        except (NotGherkinError, UnicodeDecodeError):
            feature = None
        if feature is None:
            found.append(ScenarioId(file, "(a file that cannot be read)"))
            continue
        found += (
            ScenarioId(file, scenario["name"], row(values))
            for scenario, tags in scenarios(feature)
            if runs(tags, config)
            for values in rows(scenario, tags, config)
        )
    return found
