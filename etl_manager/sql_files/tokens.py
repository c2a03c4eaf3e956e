"""What an SQL file is cut into: statements of tokens, and backslash commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


class UnreadableError(ValueError):
    """Text that psql would not read to its end, or not as it stands: *line* is where it begins."""

    def __init__(self, line: int, why: str) -> None:
        """Keep the line apart from the reason."""
        self.line = line
        super().__init__(why)


@dataclass(frozen=True)
class Token:
    """One token. *text* is a word in capitals, the content of a string, or one character of anything else."""

    kind: Literal["word", "string", "other"]
    text: str
    line: int


@dataclass(frozen=True)
class Statement:
    """What psql sends to the server at once; *sent_by* is ``;``, a backslash command such as ``gexec``, or empty."""

    tokens: tuple[Token, ...]
    sent_by: str = ""

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.tokens[0].line

    @property
    def strings(self) -> list[str]:
        """The contents of its strings."""
        return [token.text for token in self.tokens if token.kind == "string"]


@dataclass(frozen=True)
class Command:
    """A backslash command: its name, and its arguments as they stand in the file."""

    name: str
    arguments: str
    line: int


def takes_data(statement: Statement) -> int:
    """Return how many COPY of *statement* read the lines that follow in the file."""
    tokens, found, copying, depth = statement.tokens, 0, False, 0
    for index, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")") if token.kind == "other" else 0
        if token.kind == "word" and token.text == "COPY" and (index == 0 or tokens[index - 1].text == ";"):
            copying = True
        elif token.kind == "other" and token.text == ";":
            copying = False
        elif copying and not depth and token.text == "STDIN" and tokens[index - 1].text == "FROM":
            found, copying = found + 1, False
    return found


def words(arguments: str) -> list[str]:
    """Return the words of a backslash command's *arguments*, without their quotes; a variable keeps its colon."""
    found = re.findall(r"""((?:'(?:[^'\\]|''|\\.)*'|"[^"]*"|`[^`]*`|[^\s'"`])+)""", arguments)
    return [re.sub(r"""(?<!:)'((?:[^'\\]|''|\\.)*)'""", _unquote, word) for word in found]


def _unquote(match: re.Match[str]) -> str:
    return re.sub(r"\\(.)", r"\1", match[1].replace("''", "'"))
