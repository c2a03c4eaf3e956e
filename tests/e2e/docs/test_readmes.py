"""The READMEs tell the truth, in both languages: what they show can be run, and their options are the plugin's."""

from __future__ import annotations

import os
import re
import shlex
import subprocess

import pytest

from tests.support import forks
from tests.support.project import ROOT

OPTIONS = {"README.md": "Options", "README.ja.md": "オプション"}
"""Each README, and the title of its table of options."""


def commands(readme: str) -> list[str]:
    """Return the commands that *readme* shows, in a block or in the text."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    return re.findall(r"^\./.+$|(?<=`)(?:make|pytest|python) [^`]+(?=`)", text, re.MULTILINE)


@pytest.mark.parametrize("command", sorted({command for readme in OPTIONS for command in commands(readme)}))
def test_command_can_be_run(command):
    """It is called as it stands, and only looks: every word of it is known, and every file it names is there."""
    program, *words = shlex.split(command)
    if program.startswith("./"):
        done = subprocess.run(
            ["bash", "-c", f"{command} --dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert "DRY RUN COMPLETED" in done.stdout
    elif program == "make":
        done = subprocess.run([program, "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    elif program == "pytest":
        done = forks.run("pytest", *words, "--collect-only", "-p", "no:cacheprovider", cwd=ROOT, env=os.environ)
    else:
        done = forks.run(words[1], *words[2:], "--help", cwd=ROOT, env=os.environ)
    assert done.returncode == 0, done.stderr


def test_commands_are_found():
    """Both languages show the commands of each of the three programs."""
    for name in OPTIONS:
        programs = {shlex.split(command)[0] for command in commands(name)}
        assert programs == {"./2-etl-manager.sh", "make", "pytest", "python"}


@pytest.mark.parametrize("readme", OPTIONS)
def test_options_are_those_of_the_plugin(readme):
    """The table of options is the group "provisioning" of pytest's own help, no more and no less."""
    shown = forks.run("pytest", "--help", cwd=ROOT, env=os.environ).stdout
    known = re.search(r"^building and proving the database:\n(.*?)\n\n", shown, re.MULTILINE | re.DOTALL)
    assert known
    section = (
        (ROOT / readme).read_text(encoding="utf-8").partition(f"\n## {OPTIONS[readme]}\n")[2].partition("\n## ")[0]
    )
    rows = re.findall(r"^\| (.+?) \|", section, re.MULTILINE)
    told = re.findall(r"`(--[a-z-]+)`", " ".join(rows))
    assert sorted(told) == sorted(set(re.findall(r"^  (--[a-z-]+)", known[1], re.MULTILINE)))
