"""What ``pg_dump --schema-only --schema=NAME`` printed, made into a change of the tenant template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from etl_manager.sql_files.lexer import Statement, Token, read, statements

_OBJECT_TYPES = {
    "REGCLASS", "REGPROC", "REGPROCEDURE", "REGTYPE", "REGOPER", "REGOPERATOR", "REGCOLLATION", "REGCONFIG",
}  # fmt: skip
"""Types whose texts are names (PostgreSQL manual, "Object Identifier Types")."""
_QUERIES = (
    "CREATE VIEW",
    "CREATE MATERIALIZED VIEW",
    "CREATE RULE",
    "CREATE POLICY",
    "CREATE FUNCTION",
    "CREATE PROCEDURE",
)
"""What may hold aliases, beside names of tables."""
_FUNCTION_BODIES = ("CREATE FUNCTION", "CREATE PROCEDURE")
_END = Token("other", "", 0)
_UNCHECKED_BODIES = "SET LOCAL check_function_bodies = false;"


@dataclass(frozen=True)
class TemplateChange:
    """A change, and what a person has to look at in it: the line, and why."""

    text: str
    doubts: tuple[tuple[int, str], ...]


def change_of(dump: str, schema: str) -> TemplateChange:
    """Return the change that makes in any tenant's schema what *dump* makes in *schema*.

    What only says where and whose it is goes: settings, the schema itself, owners, comments, and psql's commands. Names
    lose *schema*; those of other schemas keep theirs. A grant on the schema is made on that of the tenant.

    Raises:
        UnreadableError: When a quote or a comment of *dump* does not end.
    """
    kept = [part for part in read(dump) if isinstance(part, Statement) and not _is_of_dump(part)]
    texts, doubts, line = [], [], 1
    if any(_begins(part, _FUNCTION_BODIES) for part in kept):  # their tables are made after them
        texts.append(_UNCHECKED_BODIES)
        line += 2
    for part in kept:
        texts.append(_for_any_schema(dump, part, schema))
        doubts += [(line, why) for why in _doubts(part, schema)]
        line += texts[-1].count("\n") + 2
    return TemplateChange("".join(f"{text}\n\n" for text in texts)[:-1], tuple(doubts))


def _begins(part: Statement, heads: Sequence[str]) -> bool:
    head = " ".join(part.words[:4]).replace("CREATE OR REPLACE ", "CREATE ")
    return f"{head} ".startswith(tuple(f"{each} " for each in heads))


def _is_of_dump(part: Statement) -> bool:
    """Return whether *part* says where it was dumped from, and whose it was, and not what a tenant has."""
    words = part.words
    return (
        words[0] in {"SET", "SELECT"}  # settings; SELECT sets the search_path
        or words[:2] == ["CREATE", "SCHEMA"]
        or words[:3] == ["COMMENT", "ON", "SCHEMA"]
        or (words[0] == "ALTER" and [token.text for token in part.tokens[-3:-1]] == ["OWNER", "TO"])
    )


def _for_any_schema(dump: str, part: Statement, schema: str) -> str:
    start, end = part.tokens[0].start, part.tokens[-1].end
    for before, token in pairwise(part.tokens):
        if before.text == "SCHEMA" and token.name == schema:
            return _in_current_schema(dump[start : token.start], dump[token.end : end])
    return _unqualified(dump, part.tokens, schema) + ";"


def _in_current_schema(before: str, after: str) -> str:
    """Return the statement that names the schema between *before* and *after*, for the schema that a change runs in."""
    quoted = "%I".join(text.replace("%", "%%").replace("'", "''") for text in (before, after))
    return f"DO $change$ BEGIN EXECUTE format('{quoted}', current_schema()); END $change$;"


def _unqualified(text: str, tokens: Sequence[Token], schema: str) -> str:
    """Return what of *text* *tokens* are, without *schema* before a name."""
    pieces, position = [], tokens[0].start
    for index, token in enumerate(tokens):
        following = tokens[index + 1 : index + 3]
        if _qualifies(tokens, index, schema):
            pieces.append(text[position : token.start])
            position = following[0].end
        elif token.kind == "string" and len(following) == 2 and _casts_to_object(*following):
            pieces += [text[position : token.start], _literal(_unqualified_name(token.text, schema))]
            position = token.end
    return "".join(pieces) + text[position : tokens[-1].end]


def _casts_to_object(sign: Token, kind: Token) -> bool:
    return sign.text == "::" and kind.text in _OBJECT_TYPES


def _unqualified_name(text: str, schema: str) -> str:
    parts = statements(text)
    return _unqualified(text, parts[0].tokens, schema) if parts else text


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def _qualifies(tokens: Sequence[Token], index: int, schema: str) -> bool:
    """Return whether the token at *index* is *schema*, before the name of what is in it."""
    return (
        tokens[index].name == schema
        and index + 2 < len(tokens)
        and tokens[index + 1].text == "."
        and (index == 0 or tokens[index - 1].text != ".")
    )


def _doubts(part: Statement, schema: str) -> Iterator[str]:
    """Yield why the statement *part* may mean something else in another schema."""
    if _begins(part, _QUERIES) and any(
        token.name == schema and after.text != "." and before.text not in {".", "SCHEMA"}
        for before, token, after in zip(part.tokens, part.tokens[1:], [*part.tokens[2:], _END], strict=False)
    ):
        yield f"{schema} is the name of an alias or a column as well; see that only the schema's was taken out"
    if _begins(part, _FUNCTION_BODIES) and any(
        token.name == schema for string in part.strings for inner in statements(string) for token in inner.tokens
    ):
        yield (
            f"the function's text names {schema}; take the schema out of it, and let the function run in its own: "
            "SET search_path FROM CURRENT"
        )
