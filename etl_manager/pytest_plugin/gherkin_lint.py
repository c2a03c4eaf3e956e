"""What is wrong in a feature file that pytest-bdd would let pass in silence, by line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from etl_manager.report.feature_files import (
    EACH_TENANT,
    TENANT_HEADERS,
    Node,
    NotGherkinError,
    header,
    outline_keywords,
    parse,
    scenarios,
)

PLACEHOLDER = re.compile(r"<(\w(?:[^<>]*\w)?)>")
"""What reads as the name of a column; ``< 5 rows and >`` or ``</b>`` can be meant as text only."""

KINDS = {"Context": "Given", "Action": "When", "Outcome": "Then"}


class Problem(NamedTuple):
    """What is wrong at a line of the file."""

    line: int
    text: str


def problems(text: str, known_tags: Collection[str]) -> list[Problem]:
    """Return what is wrong in the feature file *text*, by line; *known_tags* are the tags it may use."""
    try:
        feature = parse(text)
    except NotGherkinError as error:
        return [Problem(error.line, error.text)]
    if feature is None:
        return [Problem(1, "the file is empty: no feature")]
    source = text.splitlines()
    return sorted({*_tags(feature, known_tags), *_names(feature), *_contents(feature, source)})


def _backgrounds(parent: Node) -> Iterator[Node]:
    for child in parent["children"]:
        if "rule" in child:
            yield from _backgrounds(child["rule"])
        elif "background" in child:
            yield child["background"]


def _line(node: Node) -> int:
    return int(node["location"]["line"])


def _tags(feature: Node, known: Collection[str]) -> Iterator[Problem]:
    rules = [child["rule"] for child in feature["children"] if "rule" in child]
    found = [scenario for scenario, _ in scenarios(feature)]
    tables = [table for scenario in found for table in scenario["examples"]]
    for node in [feature, *rules, *found, *tables]:
        for tag in node["tags"]:
            if tag["name"].lstrip("@") not in known:
                yield Problem(_line(tag), f"unknown tag {tag['name']}: pytest.ini has no such marker")


def _names(feature: Node) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for scenario, _ in scenarios(feature):
        name, line = scenario["name"], _line(scenario)
        if not name:
            yield Problem(line, "the scenario has no name")
        elif "::" in name:
            yield Problem(line, f'"::" in the scenario\'s name {name!r}: it could not be selected')
        elif name in first:
            yield Problem(line, f"a second scenario {name!r} (the first: line {first[name]}): one would be lost")
        first.setdefault(name, line)
    if not first:
        yield Problem(_line(feature), "the feature has no scenario")


def _contents(feature: Node, source: list[str]) -> Iterator[Problem]:
    outlines = outline_keywords(feature)
    for background in _backgrounds(feature):
        yield from _misspelt_steps(background, source)
        for kind, step in _steps(background):
            if kind != "Given":
                yield Problem(_line(step), f"{kind} in a Background: it only holds Given steps")
    for scenario, tags in scenarios(feature):
        yield from _misspelt_steps(scenario, source)
        yield from _order(scenario)
        yield from _tables(scenario, tags, outline=scenario["keyword"] in outlines)


def _steps(node: Node) -> Iterator[tuple[str, Node]]:
    """Yield each step with its kind; an And is of the kind before it."""
    kind = ""
    for step in node["steps"]:
        kind = KINDS.get(step["keywordType"], kind)
        yield kind, step


def _misspelt_steps(node: Node, source: list[str]) -> Iterator[Problem]:
    """Find steps whose keyword is misspelt: Gherkin reads what stands before the first good step as description."""
    prose = node["description"].strip()
    if not node["steps"]:
        read = f"; {prose.splitlines()[-1].strip()!r} was read as description" if prose else ""
        yield Problem(_line(node), f"{node['keyword'].lower()} {node['name']!r} has no step{read}")
        return
    above = _line(node["steps"][0]) - 1
    text = source[above - 1].strip()
    if above > _line(node) and text and not text.startswith("#"):
        yield Problem(above, f"{text!r} is read as description, not as a step; set a description off by an empty line")


def _order(scenario: Node) -> Iterator[Problem]:
    before = "nothing"
    for kind, step in _steps(scenario):
        if not kind:
            yield Problem(_line(step), f"the first step is {step['keyword'].strip()!r}: it follows on nothing")
        elif kind == "When" and before == "Then":
            yield Problem(_line(step), "a When after a Then: these are two scenarios")
        before = kind


def _tables(scenario: Node, tags: frozenset[str], *, outline: bool) -> Iterator[Problem]:
    """Find Examples that cannot be filled in: the scenario would run once, with its ``<placeholders>`` as they stand.

    In a plain scenario, which has no Examples, angle brackets are text like any other.
    """
    tables = scenario["examples"]
    headers = [header(table) for table in tables]
    filled = [table for table in tables if table["tableBody"]]
    if EACH_TENANT in tags:
        if len(headers) != 1 or headers[0] not in TENANT_HEADERS or filled:
            yield Problem(
                _line(tables[0] if tables else scenario),
                f"@{EACH_TENANT} wants one Examples table that is the header | tenant | or | tenant | users | and nothing else",
            )
            return
    elif len(filled) < len(tables):
        empty = next(table for table in tables if not table["tableBody"])
        yield Problem(_line(empty), f"Examples without a row; only @{EACH_TENANT} fills a table")
        return
    yield from _repeated_rows(tables)
    if not (outline or tables):
        return
    columns = set.intersection(*map(set, headers)) if headers else set()
    for line, text in _texts(scenario):
        for name in PLACEHOLDER.findall(text):
            if name not in columns:
                lacking = "every Examples table" if tables else "any table"
                yield Problem(line, f"<{name}> is no column of {lacking}; text in angle brackets goes into a column")


def _repeated_rows(tables: list[Node]) -> Iterator[Problem]:
    """Find rows that are there twice: their results could not be told apart, and prove one thing."""
    first: dict[frozenset[tuple[str, str]], int] = {}
    for table in tables:
        columns = header(table)
        for line in table["tableBody"]:
            row = frozenset(zip(columns, (cell["value"] for cell in line["cells"]), strict=True))
            if row in first:
                yield Problem(_line(line), f"the same row of Examples as in line {first[row]}: it proves nothing more")
            first.setdefault(row, _line(line))


def _texts(scenario: Node) -> Iterator[tuple[int, str]]:
    """Yield every text of *scenario* that may hold placeholders."""
    yield _line(scenario), scenario["name"]
    for step in scenario["steps"]:
        yield _line(step), step["text"]
        for row in step.get("dataTable", {"rows": []})["rows"]:
            for cell in row["cells"]:
                yield _line(row), cell["value"]
