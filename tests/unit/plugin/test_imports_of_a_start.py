"""A run starts with what it needs: no emulated AWS, no container engine, no second witness where none of them is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LOOK = """
import sys
import pytest
assert pytest.main(["features/", "--collect-only", "-q", "--target", "aws", "-p", "no:cacheprovider"]) == 0
print("loaded:", *sorted(sys.modules))
"""


def test_collecting_for_aws_imports_nothing_of_other_targets():
    """Each of these takes from 0.1 s to 1 s to import, and a run on AWS has no use for it."""
    done = subprocess.run([sys.executable, "-c", LOOK], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"pytest_bdd", "etl_manager.provisioning.run"} <= loaded
    assert loaded.isdisjoint(
        {"boto3", "docker", "flask", "moto", "psycopg", "ssm_emulator", "testcontainers", "werkzeug"}
    )
