"""What steers a terminal, hides or breaks a line is shown as text, wherever text of the database or the config comes out."""

from __future__ import annotations

import io
import json
import os
import pty
import re

import pytest

from etl_manager import redaction
from etl_manager.database.difference import Difference
from etl_manager.database.drift import Change
from etl_manager.errors import SqlError
from etl_manager.gate.inputs import GateFinding
from etl_manager.gate.verdict import write_files
from etl_manager.progress import Console, LiveLine
from etl_manager.report.page import Block, Text, gate_contents, markdown, render
from tests.unit.gate.verdicts import made_verdict

HOSTILE = "\x1b[2J\x1b]0;owned\x07\0\r\x9b31m\x7f\u202egpj.\u2066\u2028\ufeff\U000e0041\ud800 <script>alert(1)</script> `a` | b"
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
FORGED = "a\n2026-01-01 00:00:00,000 INFO forged: ready\n[INFO] Ready for Phase 3"

STEPS = f"""
import logging, warnings
HOSTILE = {HOSTILE!r}
FORGED = {FORGED!r}


@given("hostile text is everywhere")
def everywhere(request):
    print("printed", HOSTILE)
    logging.getLogger("etl_manager.anywhere").info("logged %s %s", HOSTILE, FORGED)
    warnings.warn("warned " + HOSTILE)
    request.config.stash[PROGRESS].say("said " + HOSTILE)
    request.config.stash[PROGRESS].status("doing " + FORGED)
    evidence.attach("text " + HOSTILE, "attached " + HOSTILE)


@then("an error names it")
def named():
    raise errors.SqlError("refused for " + HOSTILE, context={{"role": HOSTILE + FORGED}}, hint="see " + HOSTILE)


@then("a defect shows it")
def defect():
    raise RuntimeError("no such role: " + HOSTILE)


@then("a phase failed by it")
def phase_failed():
    raise errors.PhaseSkipped("phase schema", "refused for " + HOSTILE)
"""
SCENARIOS = ["an error names it", "a defect shows it", "a phase failed by it"]
FEATURE = "Feature: F\n" + "".join(
    f"\n  Scenario: {number}\n    Given hostile text is everywhere\n    Then {text}\n"
    for number, text in enumerate(SCENARIOS)
)


@pytest.mark.parametrize(
    "options", [[], ["--tb=native", "-rA", "-o", "log_cli=true", "--log-file=reports/all.log"]], ids=str
)
def test_a_run_shows_it_as_text(project, options):
    """Terminal, all logs, JUnit and Allure's files hold no such character, and all that was said."""
    project.append("sentences.py", STEPS)
    project.write("features/1.feature", FEATURE)
    found = project.run("features/", "--junitxml=reports/junit.xml", *options)
    texts = {"stdout": found.out, "stderr": found.err}
    texts |= {path.name: path.read_text() for path in project.path.glob("reports/**/*") if path.is_file()}
    assert len(texts) > 6
    for name, text in texts.items():
        assert not (match := STEERING.search(text)), (name, text[max(match.start() - 200, 0) :][:400])
        if name.endswith("-result.json"):
            assert not STEERING.search(json.dumps(json.loads(text), ensure_ascii=False)), name
    for begin in ("said ", "warned ", "refused for ", "no such role: "):
        assert begin + r"\u001b[2J\u001b]0;owned\u0007\u0000\r\u009b31m" in found.out, begin
    assert r"\u202egpj.\u2066\u2028\ufeff\udb40\udc41\ud800 <script>" in texts["run.log"]
    assert "forged: ready" in texts["run.log"]
    assert not re.search(r"^(2026-01-01 00:00:00,000 INFO forged|\[INFO\] Ready)", texts["run.log"], re.M)
    assert r"role \u001b[2J" in found.out
    assert r" | ba\n2026-01-01" in found.out  # of the error's facts


def on_a_terminal(use):
    """Return what *use* writes to a terminal."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8", errors="surrogateescape") as stream:
        use(stream)
        stream.flush()
        written = os.read(ours, 65536)
    os.close(ours)
    return written.decode().removesuffix("\r\n")


def test_command_line_shows_it_as_text(capsys):
    """What is said, warned of and failed for, on both streams."""
    console = Console()
    console.say(HOSTILE)
    console.warn(HOSTILE)
    console.error(SqlError(HOSTILE, context={"role": FORGED}))
    console.status(HOSTILE)
    shown = capsys.readouterr()
    assert not STEERING.search(shown.out + shown.err)
    assert shown.err.count(r"\u001b[2J") == 2
    assert not re.search(r"^\[INFO\]", shown.err, re.M)


def test_output_of_a_command_is_text_on_a_terminal_and_whole_in_a_file():
    """A person looks at a terminal; a program that reads a pipe is given each byte."""
    output = "\x1b[2Ja\udcff\n"
    assert on_a_terminal(lambda stream: Console().output(output, stream)) == r"\u001b[2Ja\udcff"
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    Console().output(output, file)
    assert file.buffer.getvalue() == b"\x1b[2Ja\xff\n"


def test_status_stays_one_line():
    """A line that is replaced could not be taken away if it were two."""
    written: list[str] = []
    line = LiveLine(written.append, lambda: True)
    line.status(FORGED)
    assert "\n" not in "".join(written)


@pytest.mark.parametrize(
    "named",
    [
        Difference("schema-owner", FORGED, FORGED, "a", FORGED, FORGED),
        Change("lost", FORGED, FORGED, FORGED, FORGED),
        GateFinding(FORGED, FORGED, FORGED),
    ],
)
def test_what_names_things_of_the_database_is_one_line(named):
    """A name with a newline begins no line of its own."""
    assert "\n" not in str(named)
    assert r"a\n2026" in str(named)


def test_verdict_and_its_page_show_it_as_text(tmp_path):
    """JSON holds it as text; in Markdown it is neither markup, nor a row or a cell more."""
    verdict = made_verdict(ready=False, reasons=[HOSTILE, FORGED], cluster=HOSTILE)
    write_files(tmp_path, verdict, markdown(gate_contents(verdict)))
    gate, page = (tmp_path / "phase3-gate.json").read_text(), (tmp_path / "phase3-gate.md").read_text()
    data = json.loads(gate)
    assert not STEERING.search(gate + page + "".join(data["reasons"]))
    assert data["reasons"][0].startswith(r"\u001b[2J")
    assert r"\<script\>alert(1)\</script\> \`a\` \| b" in page
    assert not re.search(r"^(2026|\[INFO\])", page, re.M)


@pytest.mark.parametrize("code", [False, True])
def test_cell_of_a_table_stays_one_cell(code):
    """Neither a bar, a backtick, a newline nor an entity ends it, in code or out of it; nothing of it is lost."""
    block = Block("table", rows=(((Text("a"),),), ((Text("x | `y`\n<b>&lt; z", code=code),),)))
    row = markdown([block]).splitlines()[2]
    assert row == r"| x \| \`y\`\\n\<b\>\&lt; z |"


def test_html_page_shows_it_as_text():
    """What is no markup of ours is escaped."""
    html = redaction.redact(
        render("document.html", blocks=list(gate_contents(made_verdict(cluster=HOSTILE))), title="t", report=None)
    )
    assert not STEERING.search(html)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
