"""Each row of the threat model names a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_row_of_the_threat_model_names_a_test():
    """A defence without a test, or with one that was renamed, is none."""
    rows = re.findall(r"^\| .* \|$", (ROOT / "SECURITY.md").read_text(encoding="utf-8"), re.MULTILINE)[1:]
    assert len(rows) > 20
    for row in rows:
        named = re.search(r"`(tests/[\w/]+\.py)::(test_\w+)` \|$", row)
        assert named, row
        functions = ast.walk(ast.parse((ROOT / named[1]).read_text(encoding="utf-8")))
        assert named[2] in {each.name for each in functions if isinstance(each, ast.FunctionDef)}, row
