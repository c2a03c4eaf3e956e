"""The verification's output as facts: psql's three result sets, and the findings that make the fourth."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from etl_manager.errors import VerificationError
from etl_manager.wording import number_of

_HEADERS = (
    ("schemaname",),
    ("schemaname", "tablename", "tableowner"),
    ("tenant", "user_count"),
    ("tenant", "object", "expected", "found", "kind", "remedy"),
)
UNCOUNTED = {"not-readable", "row-level-security"}
"""Kinds of finding that say why the rows of a tenant could not all be seen, and so are not counted."""

_FOOTER = re.compile(r"\((\d+) rows?\)")


@dataclass(frozen=True)
class Difference:
    """One difference between what should be and what is; of a tenant, or of a schema nobody configured.

    *kind* is for programs; *remedy* is a statement that helps and that the master user may not run, often empty.
    """

    tenant: str
    object: str
    expected: str
    found: str
    kind: str
    remedy: str = ""

    @property
    def problem(self) -> str:
        """What is wrong, without whose."""
        return f"{self.object}: expected {self.expected}, found {self.found}"

    def __str__(self) -> str:
        """Return the line that a failing scenario shows."""
        return f"{self.tenant}: {self.problem}" + (f"; what helps: {self.remedy}" if self.remedy else "")


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What the verification printed. *tables* maps (schema, table) to its owner, *counts* a tenant to its users."""

    schemas: tuple[str, ...]
    tables: Mapping[tuple[str, str], str]
    counts: Mapping[str, int]
    findings: tuple[Difference, ...]

    @classmethod
    def read(cls, text: str) -> Verification:
        """Read psql's aligned tables.

        Raises:
            VerificationError: When a result set is missing, cut off, or not the one that is expected.
        """
        sets = _result_sets(text)
        if tuple(header for header, _ in sets) != _HEADERS:
            raise VerificationError(
                f"The verification printed other result sets than expected: {[header for header, _ in sets]}",
                hint="Is sql/aurora/verification/verify-setup.sql the one of this project? reports/run.log has the output.",
            )
        schemas, tables, counts, findings = (rows for _, rows in sets)
        for tenant, count in counts:
            if not count.isdecimal():
                raise VerificationError(f"The verification's count of the users of {tenant} cannot be read: {count!r}")
        return cls(
            schemas=tuple(row[0] for row in schemas),
            tables={(row[0], row[1]): row[2] for row in tables},
            counts={row[0]: int(row[1]) for row in counts},
            findings=tuple(Difference(*row) for row in findings),
        )

    def of(self, tenant: str) -> tuple[Difference, ...]:
        """Return the findings that concern *tenant*."""
        return tuple(finding for finding in self.findings if finding.tenant == tenant)

    @property
    def uncounted(self) -> frozenset[str]:
        """The tenants of which it says that not all rows could be seen."""
        return frozenset(f.tenant for f in self.findings if f.kind in UNCOUNTED)

    def table(self, tenants: Sequence[str], users: int) -> str:
        """Return it as CSV, a line a tenant with what is expected beside what was found; *users* is expected of each."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["tenant", "schema", "users table", "owner", "users expected", "users found", "differences"])
        for tenant in [*tenants, *dict.fromkeys(finding.tenant for finding in self.strays(tenants))]:
            table = (tenant, "users") in self.tables
            schema = tenant in self.schemas or tenant not in tenants
            writer.writerow(
                [
                    tenant,
                    "exists" if schema else "missing",
                    "exists" if table else "missing" if tenant in tenants else "",
                    self.tables.get((tenant, "users"), ""),
                    users if tenant in tenants else "",
                    self.counts.get(tenant, ""),
                    "; ".join(finding.problem for finding in self.of(tenant)) or "none",
                ]
            )
        return text.getvalue()

    def strays(self, tenants: Sequence[str]) -> tuple[Difference, ...]:
        """Return the findings that concern none of the configured *tenants*."""
        return tuple(finding for finding in self.findings if finding.tenant not in tenants)


def _result_sets(text: str) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Split psql's aligned output: a header, a ruler of dashes, rows, and a footer that counts them."""
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines):
        if number and line and set(line) <= {"-", "+"}:
            columns = _columns(line)
            rows: list[tuple[str, ...]] = []
            for row in lines[number + 1 :]:
                if footer := _FOOTER.fullmatch(row.strip()):
                    if int(footer[1]) != len(rows):
                        raise VerificationError(
                            f"A result set announces {number_of(int(footer[1]), 'row')} and has {len(rows)}"
                        )
                    break
                rows.append(_cells(row, columns))
            else:
                raise VerificationError("A result set of the verification is cut off: its footer is missing")
            found.append((_cells(lines[number - 1], columns), rows))
    return found


def _columns(ruler: str) -> list[tuple[int, int]]:
    """Return where each column begins and ends; by place, since a value may itself hold a bar."""
    edges = [-1, *(i for i, character in enumerate(ruler) if character == "+"), len(ruler)]
    return [(start + 1, end) for start, end in pairwise(edges)]


def _cells(line: str, columns: list[tuple[int, int]]) -> tuple[str, ...]:
    last = len(columns) - 1
    return tuple(line[start : None if i == last else end].strip() for i, (start, end) in enumerate(columns))
