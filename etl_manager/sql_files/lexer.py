"""What an SQL file is cut into: statements of tokens, and backslash commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Literal


class UnreadableError(ValueError):
    """Text that psql would not read to its end, or would read otherwise: *line* is where it begins."""

    def __init__(self, line: int, why: str) -> None:
        """Keep the line apart from the reason."""
        self.line = line
        super().__init__(why)


@dataclass(frozen=True)
class Token:
    """One token. *text* is a word in capitals, the content of a string, a name with its quotes, or a sign.

    *start* and *end* are its place in the text, as long as no variable of psql's was expanded before it.
    """

    kind: Literal["word", "string", "other"]
    text: str
    line: int
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        """The name that it is, as the catalogue has it; empty where it is none."""
        if self.kind == "word":
            return self.text.lower()
        quoted = self.kind == "other" and self.text.startswith('"') and len(self.text) > 1
        return self.text[1:-1].replace('""', '"') if quoted else ""


@dataclass(frozen=True, eq=False)
class Statement:
    """What psql sends to the server at once; *sent_by* is ``;``, a backslash command such as ``gexec``, or empty.

    A file is read once, however many others include it: its statements are the same objects, and what is found of each is kept.
    """

    tokens: tuple[Token, ...]
    sent_by: str = ""

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.tokens[0].line

    @property
    def words(self) -> list[str]:
        """Its words, in capitals."""
        return words_of(self.tokens)

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


def words_of(tokens: Iterable[Token]) -> list[str]:
    """Return the words among *tokens*, in capitals."""
    return [token.text for token in tokens if token.kind == "word"]


@cache
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


_JAPANESE = re.compile(r"[\u3040-\u30ff]|[\u4e00-\u9fff]{2}")
"""Kana, or two characters in a row: single letters of Western text, read as Japanese, give neither."""


def decode(raw: bytes) -> str:
    """Return the text of *raw*.

    Raises:
        UnreadableError: When it is not UTF-8, which is what psql is told it is.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableError(1, _advice("UTF-16", "UTF-16"))
    try:
        text = raw.decode("utf-8-sig")  # psql skips a byte order mark too
    except UnicodeDecodeError as error:
        name, iconv = _guess(raw)
        raise UnreadableError(raw.count(b"\n", 0, error.start) + 1, _advice(name, iconv)) from error
    if "\0" in text:
        raise UnreadableError(
            text[: text.index("\0")].count("\n") + 1, "holds a NUL byte: psql would drop the rest of the line"
        )
    return text


def _guess(raw: bytes) -> tuple[str, str]:
    """Return the encoding that *raw* seems to be in, for people and for iconv."""
    for name, iconv, codec in (("EUC-JP", "EUC-JP", "euc_jp"), ("Shift_JIS", "CP932", "cp932")):
        try:
            if _JAPANESE.search(raw.decode(codec)):
                return name, iconv
        except UnicodeDecodeError:
            continue
    return "Latin-1", "ISO-8859-1"


def _advice(name: str, iconv: str) -> str:
    return f"is not UTF-8 but looks like {name}; convert it: iconv -f {iconv} -t UTF-8 FILE > NEW"


_SPACE = r"(?P<space>[^\S\n]+)|(?P<newline>\n)|(?P<comment>--[^\n\r]*)|(?P<block>/\*)"
_QUOTED = (
    r"|(?P<escaped>[eE]'(?:[^'\\]|''|\\[\s\S])*')|(?P<string>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')"
    r'|(?P<name>(?:[uU]&)?"(?:[^"]|"")*")|(?P<dollar>\$(?:[^\W\d]\w*)?\$)'
)
_WORD = r"|(?P<word>[^\W\d][\w$]*)|(?P<number>\d[\d.]*|\$\d+)"
_PSQL = r"""|(?P<cast>::)|(?P<variable>:(?:\w+|'\w+'|"\w+"))|(?P<separator>\\;)|(?P<command>\\[^\s\\]*)"""
_REST = r"|(?P<other>[\s\S])"
_FILE = re.compile(_SPACE + _QUOTED + _WORD + _PSQL + _REST)
_TEXT = re.compile(_SPACE + _QUOTED + _WORD + _REST)
_ARGUMENT = re.compile(r"""'(?:[^'\\\n]|''|\\.)*'|"[^"\n]*"|`[^`\n]*`|[^\\\n'"`]+|['"`]""")
_DATA = re.compile(r"(?:^|\n)\\\.\r?(?=\n|$)")

SENDS = {"g", "gx", "gset", "gexec", "gdesc", "crosstabview", "watch"}
"""Backslash commands that send what stands before them."""
_WHOLE_LINE = {"!", "copy", "ef", "ev", "sf", "sv", "h", "help"}
_MOST_EXPANSIONS = 1000


@cache
def read(text: str) -> tuple[Statement | Command, ...]:
    """Return what psql would make of the file *text*.

    Raises:
        UnreadableError: When a quote or a comment does not end.
    """
    return tuple(_Reader(text, _FILE).read())


@cache
def statements(text: str) -> tuple[Statement, ...]:
    """Return what the server would make of *text*, a ``DO`` block's body or part of a statement; quotes may stay open."""
    return tuple(each for each in _Reader(text, _TEXT).read() if isinstance(each, Statement))


@dataclass
class _Reader:
    text: str
    pattern: re.Pattern[str]
    position: int = 0
    begun: int = 0
    line: int = 1
    tokens: list[Token] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    expansions: int = 0
    awaiting_data: int = 0
    parentheses: int = 0
    blocks: int = 0

    def read(self) -> Iterator[Statement | Command]:
        while match := self.pattern.match(self.text, self.position):
            start, kind, found = self.line, str(match.lastgroup), match[0]
            self.begun = match.start()
            self._advance(match.end())
            if kind == "newline":
                self._skip_data()
            elif kind == "command":
                yield from self._command(found[1:], start)
            elif (
                kind == "other" and found == ";" and self.pattern is _FILE and not self.parentheses and not self.blocks
            ):
                yield from self._end(";")
            else:
                self._take(kind, found, start)
            if self.awaiting_data and self.line > start and kind != "newline":
                raise UnreadableError(start, "the data of a COPY begins in the middle of a quote, comment or command")
        yield from self._end("")

    def _advance(self, end: int) -> None:
        self.line += self.text.count("\n", self.position, end)
        self.position = end

    def _take(self, kind: str, found: str, start: int) -> None:
        """Add one token, or go past what is none."""
        if kind in {"space", "comment"}:
            return
        if kind == "block":
            self._skip_comment(start)
        elif kind == "dollar":
            self._add("string", self._until(found, start), start)
        elif kind in {"string", "escaped"}:
            value = found[found.index("'") + 1 : -1].replace("''", "'")
            value = re.sub(r"\\([\s\S])", r"\1", value) if kind == "escaped" else value
            self._add("string", value, start)
        elif kind == "word":
            self._add("word", found.upper(), start)
            self._count_blocks(found.upper())
        elif kind == "variable" and found[1:] in self.variables:
            self._expand(found[1:], start)
        else:
            if found in {"'", '"'} and self.pattern is _FILE:
                raise UnreadableError(start, f"a quote that begins here with {found} does not end")
            self.parentheses = max(0, self.parentheses + (found == "(") - (found == ")"))
            self._add("other", ";" if kind == "separator" else found, start)

    def _add(self, kind: Literal["word", "string", "other"], text: str, line: int) -> None:
        self.tokens.append(Token(kind, text, line, self.begun, self.position))

    def _skip_comment(self, start: int) -> None:
        depth = 1
        while depth:
            edge = re.compile(r"/\*|\*/").search(self.text, self.position)
            if edge is None:
                self._unended(start, "a comment that begins here with /* does not end: nothing after it would be run")
                return
            depth += 1 if edge[0] == "/*" else -1
            self._advance(edge.end())

    def _until(self, tag: str, start: int) -> str:
        end = self.text.find(tag, self.position)
        if end < 0:
            self._unended(start, f"a quote that begins here with {tag} does not end")
            return ""
        value = self.text[self.position : end]
        self._advance(end + len(tag))
        return value

    def _unended(self, start: int, why: str) -> None:
        if self.pattern is _FILE:
            raise UnreadableError(start, why)
        self._advance(len(self.text))

    def _expand(self, name: str, start: int) -> None:
        """Put a variable's value in its place: psql reads it as if it stood there."""
        self.expansions += 1
        if self.expansions > _MOST_EXPANSIONS:
            raise UnreadableError(start, f"the variable {name} cannot be expanded to an end")
        self.text = self.variables[name] + self.text[self.position :]
        self.position = 0

    def _count_blocks(self, word: str) -> None:
        """Count the ``BEGIN ATOMIC`` of a function in SQL, as psql does: its semicolons do not end the statement."""
        if word not in {"BEGIN", "CASE", "END"}:
            return
        head = words_of(self.tokens)[:4]
        if not re.match(r"CREATE (OR REPLACE )?(FUNCTION|PROCEDURE)\b", " ".join(head)) or self.parentheses:
            return
        if word == "BEGIN" or (word == "CASE" and self.blocks):
            self.blocks += 1
        elif word == "END" and self.blocks:
            self.blocks -= 1

    def _end(self, sent_by: str) -> Iterator[Statement]:
        if self.tokens:
            statement = Statement(tuple(self.tokens), sent_by)
            self.awaiting_data += takes_data(statement) if self.pattern is _FILE else 0
            yield statement
        self.tokens, self.parentheses, self.blocks = [], 0, 0

    def _command(self, name: str, start: int) -> Iterator[Statement | Command]:
        arguments = self._arguments(name)
        if name in SENDS:
            yield from self._end(name)
        elif name in {"r", "reset"}:
            self.tokens, self.parentheses, self.blocks = [], 0, 0
        elif name == "copy":
            self.awaiting_data += takes_data(statements(f"copy {arguments}")[0])
        elif name == "set":
            variable, *values = words(arguments) or [""]
            if "`" in arguments:
                self.variables.pop(variable, None)
            else:
                self.variables[variable] = "".join(self.variables.get(value[1:], value) for value in values)
        yield Command(name, arguments, start)

    def _arguments(self, name: str) -> str:
        """Return the arguments of the command *name*, which end with their line or at the next backslash."""
        begin = self.position
        end = self.text.find("\n", begin)
        line = self.text[begin : end if end >= 0 else len(self.text)]
        if name in _WHOLE_LINE or line.lstrip().startswith("|"):
            self._advance(begin + len(line))
            return line.strip()
        while self.position < begin + len(line) and (part := _ARGUMENT.match(self.text, self.position)):
            self._advance(part.end())
        arguments = self.text[begin : self.position]
        if self.text.startswith("\\\\", self.position):  # the end of the arguments: SQL goes on behind it
            self._advance(self.position + 2)
        return arguments.strip()

    def _skip_data(self) -> None:
        """Go past the data of each COPY of the line that has just ended."""
        for _ in range(self.awaiting_data):
            end = _DATA.search(self.text, self.position - 1)
            self._advance(min(end.end() + 1, len(self.text)) if end else len(self.text))
        self.awaiting_data = 0
