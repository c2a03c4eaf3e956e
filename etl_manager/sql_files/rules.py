"""What a phase may not do: destroy, and, in a verification, write; and what the files of the tenant template may not hold.

Those the suite, and not psql, sends to the server, tenant by tenant.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from functools import cache

from etl_manager.sql_files.lexer import Command, Statement, Token, statements, takes_data, words, words_of

_STARTS = {";", "BEGIN", "THEN", "ELSE", "LOOP", ">"}
"""What a statement of a function's body may stand behind; ``>`` ends a label."""
_DROPPED = {"DATABASE", "SCHEMA", "TABLE", "OWNED"}
_WITH_COLUMNS = {"TYPE", "DOMAIN", "EXTENSION"}
"""Dropping one of these with CASCADE drops the columns that are of such a type."""
_NO_DATA = {"CONSTRAINT", "DEFAULT", "NOT", "IDENTITY", "EXPRESSION"}
"""What ALTER TABLE … DROP takes away without losing a row or a column."""
_TEMPORARY = "PG_TEMP"
"""The schema of what goes with the session: no data is kept there, and nothing that stays can depend on it."""
_DEFINED = re.compile(r"CREATE (?:OR REPLACE )?(FUNCTION|PROCEDURE|RULE)\b")
_BARE_VERB = re.compile(r"\s*(DROP|TRUNCATE|DELETE(?: FROM)?)\s+", re.IGNORECASE)
_DEEPEST = 5


@cache
def destroys(statement: Statement, depth: int = 0) -> str:
    """Return by what *statement* destroys, such as ``DROP TABLE``, or an empty string; *depth* is in how many texts it is."""
    tokens = statement.tokens
    if _DEFINED.match(" ".join(words_of(tokens[:4]))):
        return ""  # what is only defined is not run
    if found := _of_pieces(tokens):
        return found
    if tokens[0].text == "DO":
        return _first(_of_body(text, depth + 1) for text in statement.strings)
    return _of_text(statement.strings, depth + 1) if statement.sent_by == "gexec" else ""


def command_destroys(command: Command) -> str:
    """Return by what a backslash *command* destroys, or an empty string."""
    if command.name == "lo_unlink":
        return r"\lo_unlink"
    if command.name == "copy":
        return _first(_of_pieces(each.tokens) for each in statements(command.arguments))
    if command.name == "set":
        return _of_text([command.arguments], 0)
    return _shell_destroys(command.arguments) if command.name == "!" or "`" in command.arguments else ""


def _shell_destroys(line: str) -> str:
    """Return by what the shell's *line* destroys as far as it can be seen, or an empty string."""
    try:
        words = shlex.split(line.replace("`", " "))
    except ValueError:
        words = line.split()
    return "dropdb" if any(word.endswith("dropdb") for word in words) else _of_text(words, 0)


@cache
def defines(statement: Statement) -> tuple[str, str] | None:
    """Return the name of the function or procedure that *statement* defines, and by what its body destroys."""
    words = [token.text for token in statement.tokens if token.kind == "word" or token.text == "("]
    head = _DEFINED.match(" ".join(words))
    if head is None or head[1] == "RULE" or "(" not in words:
        return None
    named = [token.text.strip('"').upper() for token in statement.tokens]
    name = named[named.index("(") - 1]
    body = [*(_of_body(text, 1) for text in statement.strings), _of_pieces(statement.tokens)]
    return (name, found) if (found := _first(body)) else None


@cache
def calls(statement: Statement) -> Set[str]:
    """Return the names in capitals that *statement*, or the body of its ``DO``, calls like a function."""
    if statement.tokens[0].text in {"CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE", "SECURITY"}:
        return frozenset()
    found = frozenset(
        name.text.strip('"').upper()
        for name, bracket in zip(statement.tokens, statement.tokens[1:], strict=False)
        if bracket.text == "("
    )
    bodies = statement.strings if statement.tokens[0].text == "DO" else []
    return found.union(*(calls(inner) for body in bodies for inner in statements(body)))


def _of_body(text: str, depth: int) -> str:
    """Look into the body of a block: its statements, and what they execute."""
    if depth > _DEEPEST:
        return ""
    for statement in statements(text):
        if found := _of_pieces(statement.tokens):
            return found
        if any(token.text == "EXECUTE" for token in statement.tokens):
            said = [piece for piece in _cut(statement.tokens, _STARTS) if piece[0].text not in {"RAISE", "ASSERT"}]
            strings = [token.text for piece in said for token in piece if token.kind == "string"]
            if found := _of_text(strings, depth + 1):
                return found
    return ""


def _of_text(texts: Sequence[str], depth: int) -> str:
    """Look at texts that are run: each by itself, and what they are where they are put together."""
    if depth > _DEEPEST:
        return ""
    for text in dict.fromkeys([*texts, "".join(texts), " ".join(texts)]):
        if bare := _BARE_VERB.fullmatch(text):
            return f"{bare[1].upper()} …"  # of what, only the database knows
        if found := _first(destroys(each, depth) for each in statements(text) if each.tokens):
            return found
    return ""


def _cut(tokens: Sequence[Token], ends: Set[str]) -> Iterator[Sequence[Token]]:
    """Cut *tokens* at each of *ends*, which is left out."""
    begin = 0
    for index, token in enumerate(tokens):
        if token.kind != "string" and token.text in ends:
            if index > begin:
                yield tokens[begin:index]
            begin = index + 1
    if begin < len(tokens):
        yield tokens[begin:]


def _of_pieces(tokens: Sequence[Token]) -> str:
    merging = any(token.text == "MERGE" for token in tokens)
    return _first(_of_piece([_word(token) for token in piece], merging=merging) for piece in _cut(tokens, _STARTS))


def _word(token: Token) -> str:
    """Return a word as it is, and of a string or a quoted name only what it is."""
    return "'" if token.kind == "string" else token.text


def _of_piece(words: list[str], *, merging: bool) -> str:
    following = [*words[1:], ""]
    pairs = list(zip(words, following, strict=True))
    found = {
        "DELETE": ("DELETE", "FROM") in pairs and words[:3] != ["DELETE", "FROM", _TEMPORARY],
        "MERGE … DELETE": merging and words[0] == "DELETE",
        "lo_unlink": ("LO_UNLINK", "(") in pairs,
        "TRUNCATE": words[0] == "TRUNCATE" and following[0] not in {"", ",", "ON", "OR"},
    }
    dropped = _of_drop(following) if words[0] == "DROP" else _of_alter(words, pairs) if words[0] == "ALTER" else ""
    return _first([*(what for what, is_there in found.items() if is_there), dropped])


def _of_alter(words: list[str], pairs: list[tuple[str, str]]) -> str:
    kind = words[2:3] if words[1:2] == ["FOREIGN"] else words[1:2]
    dropped = [after for word, after in pairs if word == "DROP"]
    if kind == ["TABLE"] and any(after not in _NO_DATA for after in dropped):
        return "ALTER TABLE … DROP COLUMN"
    return "ALTER TYPE … DROP ATTRIBUTE" if kind == ["TYPE"] and "ATTRIBUTE" in dropped else ""


def _of_drop(words: list[str]) -> str:
    if words[0] == "TABLE" and all(each[:2] == [_TEMPORARY, "."] for each in _listed(words[1:])):
        return ""
    if words[0] in _DROPPED:
        return f"DROP {words[0]}"
    if words[0] == "%":
        return "DROP …"
    return f"DROP {words[0]} … CASCADE" if words[0] in _WITH_COLUMNS and "CASCADE" in words else ""


def _listed(words: list[str]) -> list[list[str]]:
    """Cut what follows ``DROP TABLE`` into the names that it lists."""
    listed = " ".join(words).removeprefix("IF EXISTS ").split(" , ")
    return [each.split() for each in listed]


def _first(found: Iterable[str]) -> str:
    return next(filter(None, found), "")


_OWN_CONNECTION = '-reuse-previous=on :"database_conninfo"'
"""By these arguments the inspection connects to the tenants' database."""
_OWN_BACKQUOTE = "`cat :'config_file'`"
"""By this ``sql/shared`` reads the configuration."""

_TRANSACTION_CONTROL = {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"}
_CLOSES = ["SET", "DEFAULT_TRANSACTION_READ_ONLY", "ON"]
_OPENS = re.compile(
    r"transaction_read_only|session\s+characteristics|read\s+write|reset\s+all|discard\s+all", re.IGNORECASE
)
_SHELL = {"!", "setenv", "e", "edit", "ef", "ev"}


def _uses_shell(part: Statement | Command) -> bool:
    """Return whether *part* runs a program, or sets what one would be run by."""
    if isinstance(part, Statement):
        return part.words[:1] == ["COPY"] and "PROGRAM" in part.words
    arguments = part.arguments.replace(_OWN_BACKQUOTE, "")
    piped = arguments.startswith("|") or (part.name == "copy" and "PROGRAM" in arguments.upper().split())
    return part.name in _SHELL or piped or "`" in arguments


@cache
def may_write(part: Statement | Command, phase: str) -> str:
    """Return by what *part*, in a file of the read-only *phase*, might write or leave its session, or an empty string."""
    if _uses_shell(part):
        return "a shell command, which could change anything"
    if isinstance(part, Command):
        if part.name in {"c", "connect"} and (phase != "inspection" or part.arguments != _OWN_CONNECTION):
            return "a connection of its own, which would not be read-only"
        return "a setting of psql's own" if part.name == "set" and _OPENS.search(part.arguments) else ""
    for piece in _cut(part.tokens, {";"}):  # of a statement, psql leaves only those that a backslash before it made
        named = words_of(piece)
        if _controls_transaction(named):
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


def _controls_transaction(words: Sequence[str]) -> bool:
    return not _TRANSACTION_CONTROL.isdisjoint(words[:1]) or words[:2] == ["PREPARE", "TRANSACTION"]


def _run_strings(statement: Statement, named: Sequence[str]) -> list[str]:
    """Return the strings of *statement* that are run, or that name a setting."""
    runs = named[:1] == ["DO"] or statement.sent_by == "gexec" or "SET_CONFIG" in named
    return statement.strings if runs else []


_NO_TRANSACTION = re.compile(r"(\s*--[^\n]*\n)*\s*--[ \t]*no-transaction\s*\n")
"""At the head of a change, as ``sql/shared/template.sql`` reads it: it runs in no transaction."""
_QUERIES = {"SELECT", "WITH", "VALUES", "TABLE", "("}

Problem = tuple[int, str]
"""A line of a file of the tenant template, and what is wrong there."""


def problems_of_change(text: str, parts: Sequence[Statement | Command]) -> Iterator[Problem]:
    """Yield what a change may not hold; *parts* is what *text* is read as."""
    in_transaction = _NO_TRANSACTION.match(text) is None
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
    unqualified = Counter(token.name for token, after in pairs if after.text != ".")
    for token, after in pairs:
        if after.text == "." and (schema := token.name) in tenants and not unqualified[schema]:
            yield token.line, f"names the schema of the tenant {schema}: the template's names have no schema"


def names(parts: Sequence[Statement | Command]) -> set[str]:
    """Return all names that stand in *parts*, also in text that is run, such as the body of a ``DO``."""
    return {token.name for part in parts if isinstance(part, Statement) for token in _tokens(part)}


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
    words = part.words if isinstance(part, Statement) else []
    if _controls_transaction(words):
        return f"{words[0]}: each change is a transaction of its own, with its row in the ledger"
    if words[:1] in (["SET"], ["RESET"]) and "SEARCH_PATH" in words[:3]:
        return "another search_path: a change runs with that of its tenant"
    if in_transaction and "CONCURRENTLY" in words and words[0] != "REFRESH":
        return (
            "CONCURRENTLY cannot run in a transaction: make it a file of its own, with a first line -- no-transaction"
        )
    return ""
