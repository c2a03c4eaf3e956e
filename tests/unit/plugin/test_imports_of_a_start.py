"""A run starts with what it needs: no emulated AWS, no container engine, no second witness where none of them is used."""

from __future__ import annotations

import os
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
    # Nor a collection for what a run needs later: SQL is not read, nothing is sealed, sent or rendered.
    assert loaded.isdisjoint({"botocore.parsers", "cryptography", "etl_manager.sql_files.check", "jinja2"})


RUN = """
import sys
import pytest
assert pytest.main(["features/", "-q", "--target", "aws", "-p", "no:cacheprovider"]) == 1
print("loaded:", *sorted(sys.modules))
"""


def test_a_run_on_aws_imports_nothing_of_other_targets(project):
    """It gets as far as asking for credentials, of which there are none."""
    project.append("sentences.py", '\n\n@given("the target is needed")\ndef needed(run):\n    pass\n')
    project.write("features/1.feature", "Feature: F\n  Scenario: S\n    Given the target is needed\n")
    nowhere = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    environment = {**project.environment, **nowhere, "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=project.path, env=environment, capture_output=True, text=True, check=False
    )
    assert "credentials" in done.stdout, done.stdout + done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"boto3", "etl_manager.targets.aws"} <= loaded
    assert loaded.isdisjoint({"docker", "flask", "moto", "ssm_emulator", "testcontainers", "werkzeug"})
