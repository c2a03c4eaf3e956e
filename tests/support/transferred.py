"""Projects of which only what is transferred matters; their engine does what a test needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from etl_manager import config
from etl_manager.bastion.workspace import Archive, build

PHASES = ("database", "schema", "data", "verification")


@dataclass
class TransferredProject:
    """A project of which only what is transferred matters."""

    root: Path
    transfer: dict[str, Any] = field(default_factory=dict)

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> Path:
        """Write the file *name*."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    def configured(self) -> config.Config:
        """Return the configuration with this project's transfer."""
        path = self.write("config.json", json.dumps({"bastion": {"autoTransfer": self.transfer}}))
        return config.load(path, self.root)

    def archive(self) -> Archive:
        """Return what is transferred."""
        return build(self.configured())

    def engine(self, script: str) -> None:
        """Let *script* run in place of the engine; it is given the configuration and the SQL file."""
        self.write("scripts/2-sql-execute.sh", f"#!/bin/bash\n{script}\n", 0o755)


@contextmanager
def checkout(root: Path, engine: str) -> Iterator[TransferredProject]:
    """Make a project with an engine of its own, as in a checkout, and a file for each phase."""
    with pytest.MonkeyPatch.context() as patch:
        project = TransferredProject(root)
        patch.setattr("etl_manager.project.PACKAGED", project.root)
        for phase in PHASES:
            project.write(f"sql/aurora/{phase}/{phase}.sql", f"-- {phase}\n")
        project.engine(engine)
        yield project
