"""A registered secret is in no output, log or report, however it was spelled on its way there."""

from __future__ import annotations

import json
import shlex
from urllib.parse import quote

import pytest

from etl_manager import redaction

SECRET = "pa:ss\\w'o rd$\"é"

STEPS = f"""
import json
import logging
import warnings
from etl_manager import redaction
SECRET = {SECRET!r}


@given("a secret is known")
def known(request):
    redaction.register(SECRET)
    print("printed", SECRET)
    logging.getLogger("anywhere").warning("logged %s", SECRET)
    logging.getLogger("etl_manager.anywhere").debug("logged %r", SECRET)
    warnings.warn("warned " + SECRET)
    request.config.stash[PROGRESS].say("said " + SECRET)
    evidence.attach("bytes", "attached " + SECRET)
    evidence.attach("cut in the middle of it", "x" * 65530 + SECRET)
    evidence.attach("facts", json.dumps({{"password": SECRET}}), "json")


def connect(document, password):
    local = {{"document": document, "password": password}}
    raise RuntimeError(f"no connection: {{local}}")


@then("a defect shows it")
def defect():
    connect(json.dumps({{"username": "postgres", "password": SECRET, "engine": "aurora-postgresql"}}), SECRET)


@then("it is shortened")
def shortened():
    padding = "x" * 110
    connect(padding + SECRET + padding, padding + SECRET)


@then("an assert shows it")
def asserted():
    assert {{"password": SECRET}} == {{"password": "other"}}


@then("an error names it")
def named():
    raise errors.DiscoveryError("refused for " + SECRET, where={{"dsn": f"password={{SECRET}}"}})


@then("a phase failed by it")
def phase_failed():
    raise errors.PhaseNotRun("phase schema", "refused for " + SECRET)


@then(parsers.parse("{{password}} is the password"))
def is_the_password(password):
    assert password == "other"
"""

SCENARIOS = ["a defect shows it", "it is shortened", "an assert shows it", "an error names it", "a phase failed by it"]
FEATURE = "Feature: F\n" + "".join(
    f"\n  Scenario: {number}\n    Given a secret is known\n    Then {text}\n" for number, text in enumerate(SCENARIOS)
)


@pytest.fixture
def forgotten(monkeypatch):
    """Give an empty list of secrets for the test."""
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_spellings", ())


@pytest.mark.parametrize("options", [[], ["--tb=long", "-l", "-vv"], ["--tb=native", "-rA"]], ids=str)
def test_a_secret_is_nowhere(project, options):
    """Messages, tracebacks, asserts, arguments, captured output, warnings, log, JUnit and Allure files hold none."""
    project.append("sentences.py", STEPS)
    project.write("features/1.feature", FEATURE)
    found = project.run("features/", "--junitxml=reports/junit.xml", *options)
    assert found.counts == {"failed": 4, "skipped": 1, "warnings": 5}, found.out
    texts = {"stdout": found.out, "stderr": found.err}
    texts |= {path.name: path.read_text() for path in project.path.glob("reports/**/*") if path.is_file()}
    assert len(texts) > 10
    for name, text in texts.items():
        for spelling in (SECRET, repr(SECRET)[1:-1], json.dumps(SECRET)[1:-1], "pa:ss", "o rd$"):
            assert spelling not in text, (name, text[max(text.find(spelling) - 300, 0) :][:600])
    for expected in ("printed ********", "said ********", "warned ********", "refused for ********"):
        assert expected in found.out
    assert "logged '********'" in texts["run.log"]


def test_every_spelling_is_masked(forgotten):
    """A secret is recognised as a repr, in JSON, in a URL, as a shell word, in SQL, in a pgpass line."""
    redaction.register(SECRET)
    for spelling in [
        SECRET,
        repr(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(json.dumps({"p": SECRET})),
        json.dumps(json.dumps({"p": SECRET})),
        f"postgresql://u:{quote(SECRET, safe='')}@h",
        shlex.quote(SECRET),
        SECRET.replace("'", "''"),
        "*:*:*:u:" + SECRET.replace("\\", "\\\\").replace(":", "\\:"),
    ]:
        shown = redaction.redact(f"<{spelling}>")
        assert redaction.MASK in shown, spelling
        assert "rd$" not in shown, shown


def test_the_pieces_beside_dots_are_masked(forgotten):
    """A shortened repr keeps a secret's beginning or end; four characters of it are enough to mask them."""
    redaction.register("correct-horse")
    assert redaction.redact("'dsn=corre...rse tail'") == "'dsn=********...rse tail'"
    assert redaction.redact("x...horse y") == "x...******** y"
    assert redaction.redact("waiting ... for it") == "waiting ... for it"


def test_blank_secrets_mask_nothing(forgotten):
    """An empty password does not turn every text into asterisks."""
    redaction.register(" ")
    redaction.register("")
    assert redaction.redact("a b") == "a b"
