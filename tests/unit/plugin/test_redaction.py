"""A registered secret is in no output, log or report, however it was spelled on its way there."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import shlex
from urllib.parse import quote, quote_plus

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
    raise errors.DiscoveryError("refused for " + SECRET, context={{"dsn": f"password={{SECRET}}"}})


@then("a phase failed by it")
def phase_failed():
    raise errors.PhaseSkipped("phase schema", "refused for " + SECRET)


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
    monkeypatch.setattr(redaction, "_spellings", {})


LOGGED = [
    *("-rA", "--log-level=DEBUG", "-o", "junit_logging=all", "-o", "log_cli=true", "--log-cli-level=DEBUG"),
    *("--log-file=reports/all.log", "--log-file-level=DEBUG"),
]


@pytest.mark.parametrize("options", [[], ["--tb=long", "-l", "-vv"], ["--tb=native", "-rA"], LOGGED], ids=str)
def test_a_secret_is_nowhere(project, options):
    """Messages, tracebacks, asserts, captured output, warnings, all logs, JUnit and Allure files hold none."""
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


NESTS = {
    "JSON": json.dumps,
    "JSON as it is": lambda text: json.dumps(text, ensure_ascii=False),
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "URL": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "shell": shlex.quote,
    "SQL": lambda text: text.replace("'", "''"),
    "XML": html.escape,
    "PostgreSQL's bytea": lambda text: "".join(c if c.isascii() else f"\\{o:03o}" for c in text for o in c.encode()),
}
SECRETS = [SECRET, "Tr0ub4dor&3<>%x/y+z=", '"starts and ends\\zz9"', "😀-astral-ñ-12", "new\nline\tand tab 1"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("outer", NESTS)
def test_a_spelling_within_a_spelling_is_masked(forgotten, secret, outer):
    """Whatever is escaped, and then escaped again by what shows it, is recognised; what stands around it stays."""
    redaction.register(secret)
    kept = [piece for piece in re.findall(r"[A-Za-z0-9]+", secret) if len(piece) > 1]
    assert kept
    for name, inner in NESTS.items():
        text = NESTS[outer]("before " + inner(secret) + " after")
        shown = redaction.redact(text)
        assert redaction.MASK in shown, (name, text)
        assert "before" in shown, (name, shown)
        assert "after" in shown, (name, shown)
        assert not [piece for piece in kept if re.search(rf"(?<![A-Za-z0-9]){piece}(?![A-Za-z0-9])", shown)], shown


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("skip", range(4))
def test_base64_is_masked_wherever_it_begins(forgotten, secret, encode, skip):
    """A secret in the middle of what is encoded, such as a line of a password file, is recognised too."""
    redaction.register(secret)
    encoded = encode(b"." * skip + secret.encode() + b"." * 5).decode()
    shown = redaction.redact(encoded)
    assert redaction.MASK in shown
    assert len(shown.replace(redaction.MASK, "")) < 20  # what is left belongs to the neighbours


@pytest.mark.parametrize("word", ["postgres", "database", "tenant_a", "5432", "x", "Password1"])
def test_an_ordinary_word_is_masked_only_where_it_is_called_a_password(forgotten, word):
    """A verdict keeps its keys and its values, and a message its sense; what calls the word a password is masked."""
    redaction.register(word)
    assert redaction.is_ordinary(word)
    verdict = {word: 1, "database": word, "tenants": [word], "detail": f"the {word} exists, {word}: 5432 at host:5432"}
    assert redaction.redact_all(verdict) == verdict
    assert json.loads(redaction.redact(json.dumps(verdict))) == verdict
    assert redaction.redact_all({"password": word, "user": word}) == {"password": redaction.MASK, "user": word}
    for text in [
        f"host=h user={word} password={word} dbname=d",
        json.dumps({"username": word, "password": word}),
        repr(json.dumps({"username": word, "password": word})),
        f"PGPASSWORD='{word}' psql",
        f"*:*:*:{word}:{word}",
        f"postgresql://{word}:{word}@host:5432/d",
    ]:
        assert redaction.redact(text).count(redaction.MASK) == 1, text
        assert redaction.redact(text).count(word) == text.count(word) - 1, text


@pytest.mark.parametrize("secret", ["correct-horse", "aB3$xyzq", "changemechangemechangemechange", SECRET])
def test_what_is_no_ordinary_word_is_masked_everywhere(forgotten, secret):
    """A password that means nothing else does no harm where it is taken out."""
    redaction.register(secret)
    assert not redaction.is_ordinary(secret)
    assert redaction.redact(f"the {secret} exists") == f"the {redaction.MASK} exists"


@pytest.mark.parametrize(
    ("password", "command", "refused"),
    [
        ("postgres", "psql -d postgres -c 'select 1'", False),
        ("postgres", "PGPASSWORD=postgres psql", True),
        (SECRET, "psql -d postgres", False),
        (SECRET, f"psql {shlex.quote(SECRET)}", True),
        (SECRET, f"echo {base64.b64encode(SECRET.encode()).decode()} | base64 -d", True),
        (SECRET, f"psql postgresql://u:{quote(SECRET, safe='')}@h", True),
    ],
)
def test_a_command_gives_a_password_away_in_any_spelling(password, command, refused):
    """What is to be sent is looked at by the same rule that masks."""
    assert redaction.gives_away(command, password) is refused


def test_keys_and_signatures_are_masked_without_being_known(forgotten):
    """A private key, and what botocore logs of a URL that it signs, need no registering."""
    key = "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----"
    assert redaction.redact(f"x {key} y") == f"x {redaction.MASK} y"
    assert redaction.redact(f"{key[:40]}") == redaction.MASK
    assert redaction.redact("X-Amz-Signature=" + "0af" * 21 + "b&x=1") == f"X-Amz-Signature={redaction.MASK}&x=1"
    assert redaction.redact("Signature:\n" + "0af" * 21 + "b") == f"Signature:\n{redaction.MASK}"


def test_a_log_record_is_made_without_secrets(forgotten, monkeypatch):
    """Message, arguments, traceback and stack: a handler of anybody's, with a format of its own, has none to show."""
    redaction.register(SECRET)
    seen: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = seen.append
    logger = logging.Logger("botocore.anything")
    logger.addHandler(handler)
    monkeypatch.setattr(logging, "_logRecordFactory", logging.LogRecord)  # the suite's own run redacts, too
    undo = redaction.install()
    try:
        logger.debug("body: %r", json.dumps({"password": SECRET}).encode())
        logger.warning("plain %s", "words")
        logger.error("failed", exc_info=RuntimeError(SECRET))
    finally:
        undo()
    assert seen[1].args == ("words",)
    for record in seen:
        text = logging.Formatter().format(record) + repr(record.__dict__)
        assert "o rd" not in text, text
    assert "RuntimeError: ********" in logging.Formatter().format(seen[2])
    assert logging.getLogRecordFactory() is logging.LogRecord


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


def test_a_text_that_was_shown_before_is_masked_once_its_secret_is_known(forgotten):
    """What is remembered of a text was made without the secret, and is not used again."""
    text = "the password is pa:ss\tw o rd$ indeed"
    assert redaction.redact(text) == text
    redaction.register("pa:ss\tw o rd$")
    assert redaction.redact(text) == f"the password is {redaction.MASK} indeed"
    assert redaction.redact(text) == f"the password is {redaction.MASK} indeed"
