"""The verification's output: psql's result sets, which people read, compared with the facts of the inspection."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from etl_manager.database.difference import Difference
from etl_manager.database.snapshot import DatabaseSnapshot
from etl_manager.errors import VerificationError
from etl_manager.wording import as_csv, bulleted, number_of

_SCHEMAS = ("schemaname",)
_TABLES = ("schemaname", "tablename", "tableowner")
_COUNTS = ("tenant", "table", "rows")
_USER_COUNTS = ("tenant", "user_count")
"""The third result set of the default template, which has one table."""
_DIFFERENCES = ("tenant", "object", "expected", "found", "kind", "remedy")

_FOOTER = re.compile(r"\(([0-9]{1,18}) rows?\)")


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What the verification printed, and the *facts* it agrees with.

    *tables* maps (schema, table) to its owner, *counts* (tenant, table) to its rows.
    """

    schemas: tuple[str, ...]
    tables: Mapping[tuple[str, str], str]
    counts: Mapping[tuple[str, str], int]
    facts: DatabaseSnapshot

    @classmethod
    def read(cls, text: str, facts: DatabaseSnapshot, *, live: bool) -> Verification:
        """Read psql's aligned tables, and compare them with *facts*, the snapshot that the same command read.

        Where it is *live*, tenants may have rows of their own, whose number may change meanwhile.

        Raises:
            VerificationError: When a result set is missing, cut off, not the one that is expected, or disagrees.
        """
        sets = _result_sets(text)
        headers = tuple(each.header for each in sets)
        known = len(sets) == 4 and (headers[0], headers[1], headers[3]) == (_SCHEMAS, _TABLES, _DIFFERENCES)
        if not known or headers[2] not in {_COUNTS, _USER_COUNTS}:
            raise VerificationError(
                f"The verification printed other result sets than expected: {[*headers]}",
                hint="Is sql/aurora/verification/verify-setup.sql the one of this project? reports/run.log has the output.",
            )
        schemas, tables, counts, differences = sets
        read = cls(
            schemas=tuple(row[0] for row in schemas.rows),
            tables={(row[0], row[1]): row[2] for row in tables.rows},
            counts=dict(_count(row, facts) for row in counts.rows),
            facts=facts,
        )
        if problems := [*read._disagreements(live=live), *_unlisted(differences.lines, facts)]:
            raise VerificationError(
                f"The verification's output and the inspection disagree:\n{bulleted(problems)}",
                hint="Something changed the database meanwhile, or the output is not of this database. Run again.",
            )
        return read

    @property
    def differences(self) -> tuple[Difference, ...]:
        """All differences that it shows."""
        return self.facts.differences

    def of(self, tenant: str) -> tuple[Difference, ...]:
        """Return the differences that concern *tenant*."""
        state = self.facts.tenants.get(tenant)
        return state.differences if state else ()

    def csv(self) -> str:
        """Return it as CSV, a line for each tenant and table, and one for each schema that is not configured."""
        lines: list[Sequence[object]] = [("tenant", "schema", "table", "exists", "owner", "rows", "differences")]
        for tenant, state in self.facts.tenants.items():
            schema = "exists" if tenant in self.schemas else "missing"
            for table in (*self.facts.template.tables, None):
                found = [each.problem for each in state.differences if each.table == table]
                if table is not None:
                    owner, rows = self.tables.get((tenant, table)), self.counts.get((tenant, table), "")
                    exists = "missing" if owner is None else "exists"
                    lines.append((tenant, schema, table, exists, owner or "", rows, "; ".join(found) or "none"))
                elif found:
                    lines.append((tenant, schema, "", "", "", "", "; ".join(found)))
        lines += [(stray.tenant, "exists", "", "", "", "", stray.problem) for stray in self.facts.strays]
        return as_csv(lines)

    def _disagreements(self, *, live: bool) -> Iterator[str]:
        facts = self.facts
        schemas = {tenant for tenant, state in facts.tenants.items() if state.schema_exists}
        yield from _compared("schemas", {(name,) for name in self.schemas}, {(name,) for name in schemas})
        there = {
            (tenant, table): rows for tenant, state in facts.tenants.items() for table, rows in state.tables.items()
        }
        yield from _compared("tables", set(self.tables), set(there))
        counted = {name: rows for name, rows in there.items() if rows is not None}
        if live:
            yield from _compared("counted tables", set(self.counts), set(counted))
        else:
            yield from _compared("rows", set(self.counts.items()), set(counted.items()))


def _compared(what: str, printed: set[tuple[object, ...]], found: set[tuple[object, ...]]) -> Iterator[str]:
    for item in sorted(printed - found, key=str):
        yield f"{what}: only the verification has {_name(item)}"
    for item in sorted(found - printed, key=str):
        yield f"{what}: only the inspection has {_name(item)}"


def _name(item: tuple[object, ...]) -> str:
    return " ".join(".".join(map(str, part)) if isinstance(part, tuple) else str(part) for part in item)


def _unlisted(lines: Sequence[str], facts: DatabaseSnapshot) -> Iterator[str]:
    """Yield the differences that only one of the two has.

    Blanks and bars are left out of account: where psql pads letters of double width, columns are not where they seem.
    """
    of_sql = [each for each in facts.differences if each.kind != "encoding"]
    found = {
        _squeezed(each.tenant or "", each.object, each.expected, each.found, each.kind, each.remedy): str(each)
        for each in of_sql
    }
    printed = {_squeezed(line): line.strip() for line in lines}
    for key in printed.keys() - found.keys():
        yield f"differences: only the verification has {printed[key]}"
    for key in found.keys() - printed.keys():
        yield f"differences: only the inspection has {found[key]}"


def _squeezed(*cells: str) -> str:
    return "".join("".join(cells).split()).replace("|", "")


def _count(row: tuple[str, ...], facts: DatabaseSnapshot) -> tuple[tuple[str, str], int]:
    """Return tenant and table with the rows; of a template with one table the result set may leave out its name."""
    tenant, table, rows = row if len(row) == len(_COUNTS) else (row[0], "".join(facts.template.tables), row[1])
    if not re.fullmatch(r"[0-9]{1,18}", rows):
        raise VerificationError(f"The verification's count of the rows of {tenant}.{table} cannot be read: {rows!r}")
    return (tenant, table), int(rows)


class _ResultSet(NamedTuple):
    """One table that psql printed: the cells of each row, and the lines as they are."""

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    lines: list[str]


def _result_sets(text: str) -> list[_ResultSet]:
    """Split psql's aligned output: a header, a ruler of dashes, rows, and a footer that counts them."""
    lines = text.split("\n")
    found = []
    for number, line in enumerate(lines):
        if number and line and set(line) <= {"-", "+"}:
            columns = _columns(line)
            rows: list[str] = []
            for row in lines[number + 1 :]:
                if footer := _FOOTER.fullmatch(row.strip()):
                    if int(footer[1]) != len(rows):
                        raise VerificationError(
                            f"A result set announces {number_of(int(footer[1]), 'row')} and has {len(rows)}"
                        )
                    break
                rows.append(row)
            else:
                raise VerificationError("A result set of the verification is cut off: its footer is missing")
            found.append(_ResultSet(_cells(lines[number - 1], columns), [_cells(row, columns) for row in rows], rows))
    return found


def _columns(ruler: str) -> list[tuple[int, int]]:
    """Return where each column begins and ends; by place, since a value may itself hold a bar."""
    edges = [-1, *(i for i, character in enumerate(ruler) if character == "+"), len(ruler)]
    return [(start + 1, end) for start, end in pairwise(edges)]


def _cells(line: str, columns: list[tuple[int, int]]) -> tuple[str, ...]:
    last = len(columns) - 1
    return tuple(line[start : None if i == last else end].strip() for i, (start, end) in enumerate(columns))
