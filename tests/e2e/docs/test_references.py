"""What messages, files and pages refer to is there."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def named(pattern: str, *places: str) -> set[str]:
    """Return what of *pattern* the files of *places* name."""
    command = ["git", "grep", "-IohE", pattern, "--", *places]
    return {*subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()}


def test_every_page_and_module_that_is_named_is_there():
    """A page that a message sends its reader to, or a module that a page names, has not gone or moved."""
    pages = named(r"\bdocs/[a-z0-9-]+\.md\b", "etl_manager", "ssm_emulator", "steps", "sql", "scripts", "Makefile")
    modules = named(
        r"\b(etl_manager|ssm_emulator)/[a-z_/]+\.(py|sh)\b", "docs", "*.md", ":!CHANGELOG.md", ":!SECURITY.md"
    )
    assert len(pages) > 5
    assert len(modules) > 10
    assert {name for name in pages | modules if not (ROOT / name).exists()} == set()
