"""What import-linter cannot hold: what is loaded when, what a feature may say, and which steps are listed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_heavy_libraries_are_loaded_only_where_they_are_used():
    """The configuration, the model and the help are there without AWS, moto or a database driver."""
    code = (
        "import sys, etl_manager.config, etl_manager.database.drift, etl_manager.database.verification\n"
        "print(sorted(sys.modules.keys() & {'boto3', 'botocore', 'moto', 'psycopg', 'pytest', 'allure', 'cryptography'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


TECHNICAL = {
    "SQL": r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE TABLE|DROP)\b",
    "a path": r"(?<![\w.])/(?:tmp|home|usr|var)\b|\w+\.(?:sql|sh|py|json)\b",
    "a host or an instance": r"\blocalhost\b|\b\d+\.\d+\.\d+\.\d+\b|\bi-[0-9a-f]{8}|amazonaws",
    "a shell": r"\b(?:psql|bash|sh -c|aws ssm|boto3)\b",
}


@pytest.mark.parametrize("thing", TECHNICAL)
def test_features_speak_the_words_of_the_domain(thing):
    """What a reviewer reads holds no SQL, path, host or shell."""
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in sorted((ROOT / "features").glob("*.feature"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(TECHNICAL[thing], line)
    ]
    assert found == []


def test_every_step_module_is_listed_in_the_root_conftest():
    """Steps that are imported instead of listed would lose the difference that a failed assert shows."""
    listed = set(re.findall(r'"(steps\.\w+)"', (ROOT / "conftest.py").read_text()))
    with_steps = {
        f"steps.{path.stem}"
        for path in (ROOT / "steps").glob("*.py")
        if re.search(r"^@(?:given|when|then)\b", path.read_text(encoding="utf-8"), re.M)
    }
    assert listed == with_steps
