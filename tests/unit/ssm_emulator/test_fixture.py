"""The fixture, as a stranger's project uses it: nothing of this project is there but the plugin."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ssm_emulator
from ssm_emulator.faults import CALLS, COUNTED, OFFLINE, TIMED

PACKAGE = Path(ssm_emulator.__file__).parent
README = (PACKAGE / "README.md").read_text(encoding="utf-8")
ENTRY_POINTS = re.search(
    r"\[project\.entry-points\.pytest11\]\n(.*)\n", (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8")
)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., str]:
    """Run pytest on a test file in a folder with nothing else; return what it printed."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/ssm_emulator").symlink_to(PACKAGE)

    about = tmp_path / "packages/installed-1.dist-info"  # what an installed wheel has for pytest to find
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[pytest11]\n" + ENTRY_POINTS[1].replace('"', "") + "\n")

    def run(content: str, *words: str, **environment: str) -> str:
        (tmp_path / "test_theirs.py").write_text(content)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "packages"), **environment},
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout + done.stderr

    return run


def test_example_of_the_readme(project):
    """What the README shows first is green as it stands there, and prints what it shows."""
    example, shown = re.search(r"```python\n(.*?)```.*?```console\n(.*?)```", README, re.S).groups()
    assert "def test_output_comes_back" in example
    printed = project(example)
    assert "4 passed" in printed
    assert shown.splitlines()[1] in printed


def test_nothing_happens_where_it_is_not_asked_for(project):
    """A test that does not use the fixture loads neither moto nor boto3, and keeps its environment."""
    printed = project(
        "import os, sys\n"
        "def test_as_ever():\n"
        "    assert not sys.modules.keys() & {'moto', 'boto3', 'botocore', 'werkzeug'}\n"
        "    assert os.environ['AWS_PROFILE'] == 'mine'\n",
        AWS_PROFILE="mine",
    )
    assert "1 passed" in printed


def test_operators_settings_are_out_of_the_way_and_come_back(project):
    """Two tests in a row reach an emulator of their own, by boto3's defaults; afterwards all is as before.

    Also where the plugin, which is installed, is named once more.
    """
    printed = project(
        "import boto3, os, pytest\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_reaches_it(ssm_emulator, n):\n"
        "    account = boto3.client('sts').get_caller_identity()['Account']\n"
        "    assert account == ssm_emulator.account\n"
        "    assert 'AWS_PROFILE' not in os.environ\n"
        "def test_after():\n"
        "    assert os.environ['AWS_PROFILE'] == 'mine' and 'AWS_ENDPOINT_URL' not in os.environ\n"
        "    assert boto3.DEFAULT_SESSION is None\n",
        "-p", "ssm_emulator.pytest_plugin",
        AWS_PROFILE="mine", HTTP_PROXY="http://127.0.0.1:1", AWS_SESSION_TOKEN="theirs",
    )  # fmt: skip
    assert "3 passed" in printed


def test_hosts_can_be_overridden(project):
    """Instances of one's own, as the README shows."""
    [override] = re.findall(r"```python\n(@pytest\.fixture.*?)```", README, re.S)
    printed = project(
        f"import pytest\nfrom ssm_emulator import SandboxHost\n{override}"
        "def test_two(ssm_emulator):\n    assert list(ssm_emulator.agents) == ['i-0000000000000000a', 'i-0000000000000000b']\n"
    )
    assert "1 passed" in printed


def test_readme_names_every_fault():
    """The README's table and the emulator know the same faults."""
    table = README.split("## Faults")[1].split("## As on AWS")[0]
    named = set(re.findall(r"^\| .*", table, re.M))
    words = {each for row in named for each in re.findall(r"`([a-z-]+)(?:=[^`]*)?`", row.split("|")[1])}
    assert words == {*TIMED, *COUNTED, *CALLS, OFFLINE}
