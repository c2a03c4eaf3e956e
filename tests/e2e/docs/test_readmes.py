"""The READMEs tell the truth: their options are the plugin's, and the Japanese one says what the English one does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
JAPANESE = (ROOT / "README.ja.md").read_text(encoding="utf-8")


def section(text: str, *titles: str) -> str:
    """The text under the first of *titles* that is there, up to the next title."""
    for title in titles:
        found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        if found:
            return found[1]
    raise AssertionError(titles)


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


def test_options_are_the_same_in_both_languages():
    """Both tables name the same options in the same order."""
    assert cells(section(JAPANESE, "オプション")) == cells(section(ENGLISH, "Options"))


def test_messages_are_the_same_in_both_languages():
    """Both tables of messages help with the same messages."""
    assert cells(section(JAPANESE, "トラブルシューティング")) == cells(section(ENGLISH, "Reading a red run"))


def test_configuration_and_reports_are_the_same_in_both_languages():
    """Both tell the same keys of config.json and the same files of reports/."""
    assert cells(section(JAPANESE, "config.json")) == cells(section(ENGLISH, "config.json"))
    assert cells(section(JAPANESE, "レポート")) == cells(section(ENGLISH, "Reports"))


def test_phases_and_targets_are_the_same_in_both_languages():
    """Both tell the same four steps and the same targets."""
    assert cells(section(JAPANESE, "4 つのステップ")) == cells(section(ENGLISH, "The four phases"))
    names = [re.findall(r"`(\w+)`", cell) for cell in cells(section(ENGLISH, "Targets"))]
    assert [re.findall(r"`(\w+)`", cell) for cell in cells(section(JAPANESE, "ターゲット"))] == names


def test_commands_are_the_same_in_both_languages():
    """Every command of the Japanese README, in a block or in the text, stands in the English one word for word."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", JAPANESE, re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if line.strip()]
    commands += re.findall(r"`((?:make|sudo|pytest|\./|python)[^`]*)`", JAPANESE)
    assert len(commands) > 8
    assert [command for command in commands if command not in ENGLISH] == []
