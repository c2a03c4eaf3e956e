r"""Writes names and groups of names as parts of a pattern that mean the same under both readings.

A *shape* is a string in which one character stands for one element of an expression: itself, or one of the marks below.
Because each element is one character, shapes can be cut, compared and reversed like names.

A regular expression is first tried as it is; where some name of the database is found by it but not matched whole, the
end is anchored by ``$``, then the beginning is freed by a leading ``.*`` (there is no ``^`` in the alphabet), which
makes the two readings agree at the price of matching more.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from etl_manager.zero_etl.evaluate import Names, Reading
from etl_manager.zero_etl.pattern import ANY, Kind, Part

DIGITS, DIGIT, REST, ONE, SYMBOL, SPACE = map(chr, range(0xE000, 0xE006))
r"""The marks: a run of digits ``\d+``, one digit, anything ``.*``; and for characters that cannot be spelled one
character ``.``, one that every dialect takes for no letter or digit ``\W``, one white space ``\s``."""

_ESCAPED = ".*+?$"
_WRITTEN = {DIGITS: r"\d+", DIGIT: r"\d", REST: ".*", ONE: ".", SYMBOL: r"\W", SPACE: r"\s"} | {
    char: "\\" + char for char in _ESCAPED
}
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_ITSELF = _WORD | frozenset("-" + _ESCAPED)
_TERMINATORS = frozenset("\x85\u2028\u2029")  # a dot would not match them
_LOOSE = str.maketrans(dict.fromkeys(_ESCAPED + DIGIT, ONE))
MAX_PART = 88
"""Characters of an expression: a database name of 63 and two such parts stay under the 256 of a pattern."""


def shape_of(name: str) -> str:
    """Return the shape of one name, with a mark for each character that cannot be spelled."""
    return name if _WORD.issuperset(name) else "".join(map(_element, name))


def _element(char: str) -> str:
    if char in _ITSELF:
        return char
    if char.isascii():
        return SPACE if char in " \t\n\r\f\v" else SYMBOL
    return SYMBOL if char in _TERMINATORS else ONE


def is_blurred(name: str) -> bool:
    """Tell whether *name* holds a character that no filter can spell, so that a wider pattern stands for it."""
    return not _ITSELF.issuperset(name)


class Group(NamedTuple):
    """Names that one shape stands for."""

    shape: str
    names: tuple[str, ...]

    def shapes(self) -> tuple[str, ...]:
        """Return the shape, and a narrower one where all names that begin alike also end alike, or the other way round."""
        shapes = [shape_of(name) for name in self.names]
        fixed = self.shape.replace(REST, "")
        room = min(map(len, shapes)) - len(fixed)
        if self.shape in (REST, fixed) or DIGITS in fixed or room < 1:
            return (self.shape,)
        if self.shape.endswith(REST):
            backward = [shape[::-1] for shape in shapes]
            end = common_start(min(backward), max(backward))[:room]
            return (self.shape, self.shape + end[::-1]) if end else (self.shape,)
        start = common_start(min(shapes), max(shapes))[:room]
        return (self.shape, start + self.shape) if start else (self.shape,)


def common_start(first: str, last: str) -> str:
    """Return the common beginning of two texts, and so of all that sort between them."""
    if first == last:
        return first
    return first[: next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def part_of(shape: str, names: Names, covered: Collection[str] = ()) -> Part | None:
    """Return the narrowest part for *shape* on which both readings agree over *names*; None where there is none.

    It matches at least *covered*: not a matter of course, since a dot matches no line terminator.
    """
    if shape == REST:
        return ANY
    if _WORD.issuperset(shape):
        return Part(Kind.NAME, shape)
    expression = _expression(shape)
    if len(expression) > MAX_PART - len(".*$"):
        expression = _expression(shape.translate(_LOOSE))
    free = "" if shape.startswith(REST) else ".*"
    for candidate in (expression, expression + "$", free + expression, free + expression + "$"):
        part = Part(Kind.REGEX, candidate)
        if len(candidate) > MAX_PART:
            break
        matched = names.matching(part, Reading.WHOLE)
        if matched == names.matching(part, Reading.FIND) and matched.issuperset(covered):
            return part
    return None


def _expression(shape: str) -> str:
    return "".join(_WRITTEN.get(element, element) for element in shape)
