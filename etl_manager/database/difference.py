"""One difference between what should be in the database and what is; SQL finds it, and everything that shows it uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from etl_manager.redaction import one_line

Aspect = Literal["schema", "tables", "shape", "changes", "rows", "isolation", "surroundings", "database"]
"""What a difference is about.

A tenant's schema, which tables it has, how they are made, changes, rows, what its role may do; what outside the tenants acts
on their tables; or the database's encoding.
"""

UNCOUNTED = frozenset({"not-readable", "row-level-security"})
"""Kinds that say why the rows of a table cannot all be seen, and so are not counted."""

_ASPECTS: dict[Aspect, frozenset[str]] = {
    "schema": frozenset({"schema-missing", "schema-owner", "not-configured"}),
    "tables": frozenset({"table-missing", "table-extra", "table-kind"}),
    "changes": frozenset({"change-pending", "change-edited", "change-gone", "out-of-order", "ledger-not-readable"}),
    "rows": UNCOUNTED | {"rows-too-few", "rows-too-many", "sample-rows-missing", "sample-rows-altered"},
    "isolation": frozenset({"role-missing", "isolation-missing", "isolation-extra", "isolation-refused"}),
    "surroundings": frozenset(
        {
            "database-differs",
            "database-privileges-differs",
            "setting-extra",
            "setting-differs",
            "event-trigger-extra",
            "subscription-extra",
            "inheritance-extra",
            "foreign-key-extra",
        }
    ),
    "database": frozenset({"encoding"}),
}

_ADDED = frozenset({
    "schema-missing", "change-pending", "table-missing", "view-missing", "sequence-missing", "column-missing",
    "primary-key-missing", "constraint-missing", "index-missing", "trigger-missing", "policy-missing", "grant-missing",
    "rows-too-few", "sample-rows-missing", "role-missing", "isolation-missing",
})  # fmt: skip
"""Kinds that a run repairs: it only adds, and sets owners."""

RIGHTS = frozenset({"grant-missing", "grant-extra", "default-privileges-differs", "row-security-differs", "policy-missing",
                    "policy-extra", "policy-differs", "table-owner", "view-owner", "sequence-owner", "function-owner"})  # fmt: skip
"""Kinds of how tables are made that decide who may do what in a tenant's schema."""

BY_HAND = "correct it by hand: a run changes no rows or columns that are there, and drops nothing"
_HINTS = {
    "not-configured": "name it under tenants or aurora.otherSchemas in config.json, or drop it",
    "rows-too-many": f"accept them by sampleData.otherRows in config.json, or {BY_HAND}",
    "change-edited": "put the file back as it was applied, and write the correction as a further change",
    "change-gone": "put the file back",
    "out-of-order": "rename the file, so that it comes after those that were applied",
}
"""What helps with kinds that a run does not repair."""


@dataclass(frozen=True)
class Difference:
    """One difference, in words of SQL.

    Attributes:
        kind: For programs; the list is in ``sql/shared/observation.sql``, ``surroundings.sql`` and ``compare.sql``.
        tenant: Whose it is; of a schema that is not configured its name, None where it concerns all tenants.
        object: What differs, such as ``column orders.total``.
        expected: What the template says.
        found: What is there.
        remedy: A statement for somebody who may do more than the master user; often empty.
        table: The table it belongs to, where it belongs to one.
    """

    kind: str
    tenant: str | None
    object: str
    expected: str
    found: str
    remedy: str = ""
    table: str | None = None

    @property
    def aspect(self) -> Aspect:
        """What it is about."""
        return next((aspect for aspect, kinds in _ASPECTS.items() if self.kind in kinds), "shape")

    @property
    def repairable(self) -> bool:
        """Whether a run repairs it: with a remedy it is not permitted to."""
        return not self.remedy and (self.kind in _ADDED or self.kind.endswith("-owner"))

    @property
    def problem(self) -> str:
        """What is wrong, without whose."""
        return f"{self.object}: expected {self.expected}, found {self.found}"

    @property
    def found_and_remedy(self) -> str:
        """What is there, and the statement that helps."""
        return f"{self.found}; what helps: {self.remedy}" if self.remedy else self.found

    @property
    def hint(self) -> str:
        """What to do about it, where a run does not repair it."""
        if self.remedy:
            return f"what helps: {self.remedy}"
        return _HINTS.get(self.kind, BY_HAND)

    @property
    def with_hint(self) -> str:
        """The line of a difference that a run leaves as it is: with what to do about it."""
        return str(self) if self.remedy else f"{self}; {self.hint}"

    def __str__(self) -> str:
        """Return the line that a failing scenario shows."""
        line = f"{self.tenant}: {self.problem}" if self.tenant else self.problem
        return one_line(f"{line}; what helps: {self.remedy}" if self.remedy else line)
