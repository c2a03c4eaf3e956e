"""What a data filter consists of, and the limits AWS sets to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from etl_manager.errors import ConfigError

MAX_PATTERNS = 99
"""Patterns of one integration (Aurora User Guide)."""
MAX_PATTERN_LENGTH = 256
"""Characters of one pattern, without its keyword (Aurora User Guide)."""
MAX_FILTER_LENGTH = 25_600
"""Characters of the whole filter (RDS API, ``DataFilter``)."""


class FilterError(ConfigError):
    """A data filter AWS would refuse, or one that cannot be written at all."""


class Keyword(str, Enum):
    """What a pattern does with the tables it matches."""

    INCLUDE = "include"
    EXCLUDE = "exclude"


class Kind(Enum):
    """What a part of a pattern is."""

    NAME = "name"
    ANY = "any"
    REGEX = "regex"


@dataclass(frozen=True)
class Part:
    """The schema or the table of a pattern: a name, ``*``, or a regular expression (its text without the slashes)."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        """Return the part as it stands in a filter."""
        return f"/{self.text}/" if self.kind is Kind.REGEX else self.text


ANY = Part(Kind.ANY, "*")
"""The part that matches every name."""


@dataclass(frozen=True)
class Pattern:
    """One pattern of a filter; `expression` is what AWS counts against its 256 characters."""

    keyword: Keyword
    database: str
    schema: Part
    table: Part

    @property
    def expression(self) -> str:
        """The three parts, without the keyword."""
        return f"{self.database}.{self.schema}.{self.table}"

    def __str__(self) -> str:
        """Return the pattern as it stands in a filter."""
        return f"{self.keyword.value}: {self.expression}"
