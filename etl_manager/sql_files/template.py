"""The files of the tenant template: what the suite, and not psql, sends to the server, tenant by tenant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath

from etl_manager.sql_files.lexer import Command, Statement, Token, statements, takes_data
from etl_manager.sql_files.rules import TRANSACTION_CONTROL

_NO_TRANSACTION = re.compile(r"(\s*--[^\n]*\n)*\s*--[ \t]*no-transaction\s*\n")
"""The same header as ``sql/shared/template.sql`` reads."""
_QUERIES = {"SELECT", "WITH", "VALUES", "TABLE", "("}

Problem = tuple[int, str]
"""A line of a file, and what is wrong there."""


def transactional(text: str) -> bool:
    """Return whether the change *text* runs in a transaction: it does, unless its head says ``-- no-transaction``."""
    return _NO_TRANSACTION.match(text) is None


def problems_of_change(text: str, parts: Sequence[Statement | Command]) -> Iterator[Problem]:
    """Yield what a change may not hold; *parts* is what *text* is read as."""
    in_transaction = transactional(text)
    for part in parts:
        if why := _not_sent(part) or _not_in_change(part, in_transaction=in_transaction):
            yield part.line, why
    if not in_transaction and len(parts) > 1:
        yield parts[1].line, "a second statement in a file with -- no-transaction: such a change is one statement"


def problems_of_data(parts: Sequence[Statement | Command]) -> Iterator[Problem]:
    """Yield what a data file may not hold."""
    for part in parts:
        if why := _not_sent(part):
            yield part.line, why
    for number, part in enumerate(part for part in parts if isinstance(part, Statement)):
        if number or part.tokens[0].text not in _QUERIES:
            yield part.line, "a data file is one SELECT, which gives the rows of its table"


def problems_of_schemas(parts: Sequence[Statement | Command], tenants: Collection[str]) -> Iterator[Problem]:
    """Yield where *parts* name the schema of one of *tenants*, as far as it can be seen.

    A name that the file also has without a dot behind it is a table's or an alias.
    """
    tokens = [token for part in parts if isinstance(part, Statement) for token in _tokens(part)]
    pairs = list(zip(tokens, [*tokens[1:], Token("other", "", 0)], strict=False))
    unqualified = Counter(name(token) for token, after in pairs if after.text != ".")
    for token, after in pairs:
        if after.text == "." and (schema := name(token)) in tenants and not unqualified[schema]:
            yield token.line, f"names the schema of the tenant {schema}: the template's names have no schema"


def names(parts: Sequence[Statement | Command]) -> set[str]:
    """Return all names that stand in *parts*, also in text that is run, such as the body of a ``DO``."""
    return {name(token) for part in parts if isinstance(part, Statement) for token in _tokens(part)}


def table_of(file: PurePosixPath) -> str:
    """Return the table that the data file *file* is for."""
    return file.stem


def name(token: Token) -> str:
    """Return the name that *token* is, as the catalogue has it; an empty string where it is none."""
    if token.kind == "word":
        return token.text.lower()
    quoted = token.kind == "other" and token.text.startswith('"') and len(token.text) > 1
    return token.text[1:-1].replace('""', '"') if quoted else ""


def _tokens(statement: Statement, depth: int = 0) -> Iterator[Token]:
    """Yield the tokens of *statement*; those of its strings where they are code, with the line where the string begins."""
    is_code = depth or statement.tokens[0].text in {"DO", "CREATE"}
    for token in statement.tokens:
        yield token
        if is_code and token.kind == "string" and depth < 3:
            for inner in statements(token.text):
                yield from (Token(each.kind, each.text, token.line) for each in _tokens(inner, depth + 1))


def _not_sent(part: Statement | Command) -> str:
    """Return why *part* is nothing that the server understands, or an empty string."""
    if isinstance(part, Command):
        return f"\\{part.name} is a command of psql: the template's files are plain SQL, which the server reads"
    return "COPY from data in the file: write INSERT, or a data file" if takes_data(part) else ""


def _not_in_change(part: Statement | Command, *, in_transaction: bool) -> str:
    """Return why the statement *part* cannot be in a change, or an empty string."""
    words = [token.text for token in part.tokens if token.kind == "word"] if isinstance(part, Statement) else []
    if words[:1] and (words[0] in TRANSACTION_CONTROL or words[:2] == ["PREPARE", "TRANSACTION"]):
        return f"{words[0]}: each change is a transaction of its own, with its row in the ledger"
    if words[:1] in (["SET"], ["RESET"]) and "SEARCH_PATH" in words[:3]:
        return "another search_path: a change runs with that of its tenant"
    if in_transaction and "CONCURRENTLY" in words and words[0] != "REFRESH":
        return (
            "CONCURRENTLY cannot run in a transaction: make it a file of its own, with a first line -- no-transaction"
        )
    return ""
