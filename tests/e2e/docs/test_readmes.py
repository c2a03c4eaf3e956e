"""The READMEs tell the truth: their options are the plugin's, and the Japanese one says what the English one does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
JAPANESE = (ROOT / "README.ja.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """The text under *title*, up to the next title."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def cells(table: str) -> list[str]:
    """The first cell of every row of a table."""
    rows = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)
    return rows[1:]


def test_options_are_those_of_the_plugin():
    """README's table of options is the group "provisioning" of pytest's own help, no more and no less."""
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    group = re.search(r"^building and proving the database:\n(.*?)\n\n", shown, re.MULTILINE | re.DOTALL)
    assert group
    known = set(re.findall(r"^  (--[a-z-]+)", group[1], re.MULTILINE))
    told = set(re.findall(r"`(--[a-z-]+)`", " ".join(cells(section(ENGLISH, "Options")))))
    assert told == known


TABLES = {
    "Options": "オプション",
    "Reading a red run": "トラブルシューティング",
    "config.json": "config.json",
    "Reports": "レポート",
    "The four phases": "4 つのステップ",
}


@pytest.mark.parametrize("title", TABLES)
def test_tables_are_the_same_in_both_languages(title):
    """Options, messages, keys, files and phases: the same ones, in the same order."""
    assert cells(section(JAPANESE, TABLES[title])) == cells(section(ENGLISH, title)) != []


def test_commands_are_the_same_in_both_languages():
    """Every command of the Japanese README, in a block or in the text, stands in the English one word for word."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", JAPANESE, re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if line.strip()]
    commands += re.findall(r"`((?:make|sudo|pytest|\./|python)[^`]*)`", JAPANESE)
    assert len(commands) > 8
    assert [command for command in commands if command not in ENGLISH] == []


def test_commands_of_the_orchestrator_run():
    """What the README shows is called as it stands, and would transfer and run what it says."""
    commands = re.findall(r"^\./2-etl-manager\.sh .*$", ENGLISH, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", f"{command} --dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (done.returncode, "DRY RUN COMPLETED" in done.stdout) == (0, True), done.stderr
