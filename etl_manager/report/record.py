"""The record of a run, ``reports/run.json``: what the verdict is made from, beside the results themselves.

With it the verdict and the summary can be made again anywhere, byte for byte, and so be checked.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from etl_manager.errors import VerificationError
from etl_manager.redaction import redact_all
from etl_manager.report import RECORD
from etl_manager.report.promised import Proof, Row

EXIT_STATUSES = {
    0: "all passed",
    1: "some failed",
    2: "interrupted",
    3: "internal error",
    4: "wrong use",
    5: "nothing run",
}
"""pytest's exit codes."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a phase changed in the database: a repair or a loss never passes unremarked."""

    phase: str
    created: int
    unchanged: int
    repaired: tuple[str, ...]
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Record:
    """A run.

    Attributes:
        run_id: The run.
        started: When it began, in UTC, ISO 8601.
        finished: When it ended.
        mode: ``provision`` or ``verify-only``.
        exit_status: pytest's.
        facts: Where it took place, name → value.
        changes: What each phase changed.
        promised: What the feature files promise.
        left_out: What of it was not selected for this run.
    """

    run_id: str
    started: str
    finished: str
    mode: str
    exit_status: int
    facts: dict[str, str]
    changes: tuple[Changes, ...]
    promised: tuple[Proof, ...]
    left_out: tuple[Proof, ...]

    @property
    def place(self) -> str:
        """What runs are compared by: one on another target, or of another database, tells nothing of this one."""
        return " ".join(self.facts.get(name, "") for name in ("target", "region", "database"))

    def write(self, reports: Path) -> None:
        """Write it into the folder *reports*."""
        data = asdict(self) | {
            "schema_version": 1,
            "promised": list(_folded(self.promised)),
            "left_out": list(_folded(self.left_out)),
        }
        (reports / RECORD).write_text(
            json.dumps(redact_all(data), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    @classmethod
    def read(cls, reports: Path) -> Record:
        """Read the record in the folder *reports*.

        Raises:
            VerificationError: When there is none, or it is none of this version.
        """
        try:
            data = json.loads((reports / RECORD).read_bytes())
            version = data.pop("schema_version")
            changes = tuple(
                Changes(**(item | {name: tuple(item.get(name, ())) for name in ("repaired", "lost")}))
                for item in data.pop("changes")
            )
            promised, left_out = (tuple(_unfolded(data.pop(name))) for name in ("promised", "left_out"))
            record = cls(changes=changes, promised=promised, left_out=left_out, **data)
        except OSError as error:
            raise VerificationError(
                f"There is no record of a run: {error.strerror}",
                where={"file": reports / RECORD},
                remedy="A run makes it: make provision",
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise VerificationError(
                f"The record of the run cannot be read: {error!r}", where={"file": reports / RECORD}
            ) from error
        if version != 1:
            raise VerificationError(f"The record of the run is of version {version}", where={"file": reports / RECORD})
        return record


def _folded(proofs: tuple[Proof, ...]) -> Iterator[dict[str, Any]]:
    """Yield an entry a scenario, so that a thousand rows of it name file and columns once."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[Proof]] = defaultdict(list)
    for proof in proofs:
        groups[proof.file, proof.scenario, tuple(name for name, _ in proof.row)].append(proof)
    for (file, scenario, columns), group in groups.items():
        yield {
            "file": file,
            "scenario": scenario,
            "columns": columns,
            "rows": [[value for _, value in proof.row] for proof in group],
            "ids": [proof.id for proof in group],
        }


def _unfolded(entries: list[dict[str, Any]]) -> Iterator[Proof]:
    for entry in entries:
        for values, proof_id in zip(entry["rows"], entry["ids"], strict=True):
            row: Row = tuple(zip(entry["columns"], values, strict=True))
            yield Proof(entry["file"], entry["scenario"], row, proof_id)
