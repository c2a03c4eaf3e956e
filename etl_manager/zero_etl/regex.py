r"""The regular expressions that a data filter can hold: their grammar, and their meaning.

The filter alphabet leaves characters, ``.``, ``*``, ``+``, ``?``, ``$`` and the backslash (RDS API, ``DataFilter``).
Accepted is what every dialect reads alike: of backslashes the classes ``\d \D \w \W \s \S``, and one before a character
that is no letter or digit. The meaning is that of Java, the language of Maxwell, whose syntax AWS says it uses: ``.`` is no
line terminator, ``\d \w \s`` are ASCII, ``$`` also stands before a final line terminator.
"""

from __future__ import annotations

import re
from functools import lru_cache

_CLASSES = "dDwWsS"
_TERMINATORS = r"\n\r\x85\u2028\u2029"
_MEANING = {".": f"[^{_TERMINATORS}]", "$": rf"(?=(?:\r\n|[{_TERMINATORS}])?\Z)"}


class RegexError(ValueError):
    """What is wrong with a regular expression (`what`), and at which index (`at`)."""

    def __init__(self, what: str, at: int) -> None:
        """Keep both, so that a caller can name the position in its own text."""
        self.what, self.at = what, at
        super().__init__(what)


def tokens(expression: str) -> list[tuple[str, str]]:
    """Split *expression* into ``(atom, quantifier)``; the quantifier is ``*``, ``+``, ``?``, lazy ``*?`` and so on, or empty.

    Raises:
        RegexError: It holds something that is not accepted.
    """
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(expression):
        atom = _atom(expression, at)
        start = at = at + len(atom)
        while at < len(expression) and expression[at] in "*+?":
            at += 1
        quantifier = expression[start:at]
        if len(quantifier) > 2 or quantifier[1:] not in ("", "?"):
            raise RegexError(f"{quantifier!r} repeats a repetition", start)
        found.append((atom, quantifier))
    return found


def _atom(expression: str, at: int) -> str:
    atom = expression[at]
    if atom in "*+?":
        raise RegexError(f"{atom!r} repeats nothing", at)
    if atom == "$" and at + 1 < len(expression):
        raise RegexError("'$' is the end of a name, yet more follows; write '\\$' for the character", at)
    if atom == "\\":
        atom = expression[at : at + 2]
        if len(atom) < 2:
            raise RegexError("the backslash escapes nothing", at)
        if atom[1].isalnum() and atom[1] not in _CLASSES:
            raise RegexError(f"\\{atom[1]} is none of the classes \\d \\D \\w \\W \\s \\S", at)
    return atom


@lru_cache(maxsize=1024)
def compiled(expression: str) -> re.Pattern[str]:
    """Return *expression* for Python's `re`, with the meaning it has here."""
    pieces: list[str] = []
    for atom, quantifier in tokens(expression):
        piece = _MEANING.get(atom, atom if len(atom) == 2 else re.escape(atom)) + quantifier
        if not (quantifier == "*" and pieces[-1:] == [piece]):  # x*x* is x*, and a name is refused far sooner
            pieces.append(piece)
    return re.compile("".join(pieces), re.ASCII)


def longest_literal(expression: str) -> str:
    """Return the longest text that every match of *expression* contains, as far as its form shows it."""
    runs = [""]
    for atom, quantifier in tokens(expression):
        if quantifier or atom in _MEANING or (len(atom) == 2 and atom[1].isalpha()):
            runs.append("")
        else:
            runs[-1] += atom[-1]
    return max(runs, key=len)
