"""The check that the code names no table of the tenant template."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

LINT = Path(__file__).parents[3] / ".ci/lint-template"


def test_this_code_names_none():
    """`make lint` runs it over the package."""
    subprocess.run([LINT], check=True)


@pytest.mark.parametrize(
    "line",
    ['TABLE = "users"', "# the Users table", "users_tables = 5", 'f"{tenant}.users"', '"users-tables-exist", "users"'],
)
def test_name_of_a_table_is_found(tmp_path, line):
    """Also beside an id that is allowed, and as a part of a name."""
    (tmp_path / "a.py").write_text(f"x = 1\n{line}\n")
    done = subprocess.run([LINT, tmp_path], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{tmp_path}/a.py:2:" in done.stderr


def test_what_is_fixed_elsewhere_is_none(tmp_path):
    """The prerequisite's id, the configuration's key and the heading of Examples."""
    (tmp_path / "a.py").write_text(
        'id="users-tables-exist"\nusers_per_tenant: int\nusersPerTenant\n(["tenant", "users"])\n'
    )
    subprocess.run([LINT, tmp_path], check=True)
