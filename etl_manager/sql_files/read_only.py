"""What a file that only reads must not hold: whatever would open its session for writing, or leave it.

The engine runs such a file in one read-only transaction. PostgreSQL lets nothing in it write, and lets no statement of it
turn it around; what is left to refuse here is ending that transaction, and ways around the database.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from etl_manager.sql_files.tokens import Command, Statement, Token, words

OWN_CONNECTION = '-reuse-previous=on :"database_conninfo"'
"""By these arguments the inspection connects to the tenants' database."""
OWN_BACKQUOTE = "`cat :'config_file'`"
"""By this ``sql/shared`` reads the configuration."""

_CONTROL = {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"}
_CLOSES = ["SET", "DEFAULT_TRANSACTION_READ_ONLY", "ON"]
_OPENS = re.compile(
    r"transaction_read_only|session\s+characteristics|read\s+write|reset\s+all|discard\s+all", re.IGNORECASE
)
_SHELL = {"!", "setenv", "e", "edit", "ef", "ev"}


def uses_shell(part: Statement | Command) -> bool:
    """Return whether *part* runs a program, or sets what one would be run by."""
    if isinstance(part, Statement):
        named = [token.text for token in part.tokens if token.kind == "word"]
        return named[:1] == ["COPY"] and "PROGRAM" in named
    arguments = part.arguments.replace(OWN_BACKQUOTE, "")
    piped = arguments.startswith("|") or (part.name == "copy" and "PROGRAM" in arguments.upper().split())
    return part.name in _SHELL or piped or "`" in arguments


def objection(part: Statement | Command, phase: str) -> str:
    """Return why *part* may not stand in a file of the read-only *phase*, or an empty string."""
    if uses_shell(part):
        return "a shell command, which could change anything"
    if isinstance(part, Command):
        if part.name in {"c", "connect"} and (phase != "inspection" or part.arguments != OWN_CONNECTION):
            return "a connection of its own, which would not be read-only"
        return "a setting of psql's own" if part.name == "set" and _OPENS.search(part.arguments) else ""
    for piece in _pieces(part.tokens):
        named = [token.text for token in piece if token.kind == "word"]
        if (named[:1] and named[0] in _CONTROL) or named[:2] == ["PREPARE", "TRANSACTION"]:
            return f"{named[0]} in a file that runs in one read-only transaction"
        if named != _CLOSES and any(map(_OPENS.search, [" ".join(named), *_run_strings(part, named)])):
            return "a setting that would let the session write"
    return ""


def ends_early(parts: Sequence[Statement | Command]) -> Command | None:
    r"""Return the ``\q`` after which something stands that would never be run."""
    for part in parts[:-1]:
        if isinstance(part, Command) and part.name in {"q", "quit"}:
            return part
    return None


def included(command: Command) -> str | None:
    """Return the file that *command* includes, or None where it includes none."""
    if command.name not in {"i", "include", "ir", "include_relative"}:
        return None
    return " ".join(words(command.arguments)[:1])


def _pieces(tokens: Sequence[Token]) -> list[list[Token]]:
    r"""Cut *tokens* at the semicolons that ``\;`` left in one statement."""
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind == "other" and token.text == ";":
            pieces.append([])
        else:
            pieces[-1].append(token)
    return [piece for piece in pieces if piece]


def _run_strings(statement: Statement, named: Sequence[str]) -> list[str]:
    """Return the strings of *statement* that are run, or that name a setting."""
    runs = named[:1] == ["DO"] or statement.sent_by == "gexec" or "SET_CONFIG" in named
    return statement.strings if runs else []
