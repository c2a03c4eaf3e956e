"""What all that is shown or written goes through: terminal, logs, reports, verdict.

Registered secrets are masked in every spelling, and characters that would steer a terminal or hide are shown as text.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Any

MASK = "********"

_ORDINARY_LENGTH = 8
_WORD_LENGTH = 24
_LONGEST_PIECE = 120
"""A shortened repr keeps at most half of pytest's 240 characters on either side of its dots."""
_SHORTEST_PIECE = 4
_SHORTEST_BASE64 = 8
"""Fewer characters of base64 occur by chance."""

_WORD = re.compile(r"[A-Z]?[a-z]+(?:_[a-z]+)*\d{0,2}|[A-Z_]+\d{0,2}|\d+")
_ESCAPE = r"(?:\\|%(?:25)*5[cC])"
"""A backslash; each spelling within another one doubles them: 16 are four within one another."""
_NUMBER, _SEMICOLON = r"(?:\#|%(?:25)*23)", r"(?:;|%(?:25)*3[bB])"
_AND = rf"(?:&|%(?:25)*26)(?:amp{_SEMICOLON})*"
_RUN_OF_QUOTES = rf"(?:{_ESCAPE}|['\"]|%(?:25)*2[27]|{_AND}(?:{_NUMBER}(?:0*39|x0*27)|apos|quot){_SEMICOLON}){{1,32}}"
"""A single quote between two other characters: SQL doubles it, and a shell word closes, quotes it and opens again."""
_SPECIAL = {
    "'": ["''"],
    " ": [r"(?:\+|%(?:25)*2[bB])"],
    "%": ["%%"],
    "\n": [rf"{_ESCAPE}{{1,16}}n"],
    "\t": [rf"{_ESCAPE}{{1,16}}t"],
    "\r": [rf"{_ESCAPE}{{1,16}}r"],
}
"""What else some characters become."""
_CALLED = r"(?i:pass(?:word|wd|phrase)?|pwd)"
_IN_CONTEXT = (
    rf"(?P<before>{_CALLED}(?:[\s\\\"']|&[\w#]{{1,6}};){{0,12}}(?:[=:]|%3D)(?:[\s\\\"'b]|&[\w#]{{1,6}};){{0,12}}"
    r"|://[^\s/@:]*:(?=[^\s/@]*@)|\*:\*:\*:[^:\s]*:)(?:SECRET)(?![\w-])"
)
"""Where a text says itself that what follows is a password: an assignment, a URL, a line of a password file."""


def is_ordinary(secret: str) -> bool:
    """Return whether *secret* is so short, or so common a word, that masking it everywhere would do harm.

    ``postgres`` is a database, a role and a program besides: a text without it says something else. So is everything
    of fewer than 8 characters, a number, and a word of up to 24 letters.
    """
    return len(secret) < _ORDINARY_LENGTH or (len(secret) <= _WORD_LENGTH and _WORD.fullmatch(secret) is not None)


def named_as_password(key: str) -> bool:
    """Return whether *key* is what a password is kept under."""
    return re.search(_CALLED, key) is not None


class Spelling:
    """Recognises one secret, which must not be blank, in texts."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._ordinary = is_ordinary(secret)
        self._anchor = max(re.findall(r"[A-Za-z0-9]+", secret), key=len, default="")

    def masked(self, text: str, mask: str) -> str:
        """Return *text* with *mask* in the place of the secret."""
        if self._anchor in text:  # no spelling changes a letter: cheap where the secret is not there
            text = self._plain.sub(rf"\g<before>{mask}" if self._ordinary else mask, text)
        if not self._ordinary:
            for core, pattern in self._base64:
                if core in text:
                    text = pattern.sub(mask, text)
        return text

    def without_pieces(self, text: str, mask: str) -> str:
        """Return *text* with *mask* in the place of a beginning or an end of the secret beside three dots."""
        if self._ordinary:
            return text
        parts = text.split("...")
        for spelling in self._whole:
            for size in range(min(len(spelling) - 1, _LONGEST_PIECE), _SHORTEST_PIECE - 1, -1):
                head, tail = spelling[:size], spelling[-size:]
                for index, part in enumerate(parts):
                    cut = part
                    if index < len(parts) - 1 and cut.endswith(head):
                        cut = cut[:-size] + mask
                    if index > 0 and cut.startswith(tail):
                        cut = mask + cut[size:]
                    parts[index] = cut
        return "...".join(parts)

    @cached_property
    def _plain(self) -> re.Pattern[str]:
        spelled = _pattern(self._secret)
        return re.compile(_IN_CONTEXT.replace("SECRET", spelled) if self._ordinary else spelled)

    @cached_property
    def _base64(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        """The runs of base64 that hold the secret, wherever in the encoded text it stands, with what finds them."""
        cores = {core for form in _quoted(self._secret) for core in _encoded(form)}
        return tuple(
            (max(re.findall(r"[A-Za-z0-9]+", core), key=len, default=""), re.compile(_pattern(core)))
            for core in sorted(cores, key=len, reverse=True)
        )

    @cached_property
    def _whole(self) -> tuple[str, ...]:
        """The spellings of which a shortened repr may show a piece."""
        ways = {self._secret}
        for _ in range(2):  # twice: a report shows the repr of a line of JSON
            ways |= {way for known in ways for way in (repr(known)[1:-1], *_quoted(known))}
        return tuple(sorted(ways, key=len, reverse=True))


def _quoted(text: str) -> set[str]:
    return {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}


def _encoded(text: str) -> Iterator[str]:
    """Yield what base64 makes of *text* after 0, 1 and 2 other bytes, without what depends on its neighbours."""
    body = text.encode(errors="surrogatepass")
    for skip in range(3):
        whole = base64.b64encode(b"\0" * skip + body).decode()
        core = whole[-(-skip * 8 // 6) : (skip + len(body)) * 8 // 6]
        if len(core) >= _SHORTEST_BASE64:
            yield core
            yield core.translate(str.maketrans("+/", "-_"))
    ending = base64.b64encode(body).decode()
    if len(ending) >= _SHORTEST_BASE64:
        yield ending


def _pattern(secret: str) -> str:
    """Return a pattern of all the ways to write *secret*."""
    inner = "".join(_RUN_OF_QUOTES if character == "'" else _character(character) for character in secret[1:-1])
    return _character(secret[0]) + inner + (_character(secret[-1]) if len(secret) > 1 else "")


def _character(character: str) -> str:
    """Return a pattern of all the ways to write *character*; letters and digits are written in one."""
    if character.isascii() and character.isalnum():
        return character
    code, octets = ord(character), character.encode(errors="surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass")
    entity = html.escape(character)[1:-1]
    named = f"|{entity}" if entity else ""
    ways = [
        rf"{_ESCAPE}{{1,16}}" if character == "\\" else rf"{_ESCAPE}{{0,16}}{re.escape(character)}",
        "".join(rf"{_ESCAPE}{{1,16}}(?i:u{units[at : at + 2].hex()})" for at in range(0, len(units), 2)),
        "".join(rf"{_ESCAPE}{{1,16}}(?i:x{octet:02x})" for octet in octets),  # a repr of bytes
        "".join(rf"{_ESCAPE}{{1,16}}{octet:03o}" for octet in octets),  # printf, bytea
        rf"{_ESCAPE}{{0,16}}" + "".join(rf"%(?:25)*(?i:{octet:02x})" for octet in octets),  # a URL
        rf"{_ESCAPE}{{0,16}}{_AND}(?:{_NUMBER}0*{code}|{_NUMBER}x0*(?i:{code:x}){named}){_SEMICOLON}",  # HTML and XML
    ]
    if code <= 0xFF:
        ways.append(rf"{_ESCAPE}{{1,16}}(?i:x{code:02x})")  # a repr of text
    return f"(?:{'|'.join([*ways, *_SPECIAL.get(character, [])])})"


_ROWS = re.compile(r"(Failing row contains |Key \((?!user_id\))[^)\n]*\)=)\((?!withheld)[^\n]*\)")
"""The values of a row in PostgreSQL's messages (ExecBuildSlotValueDescription, BuildIndexValueDescription)."""
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_SIGNATURE = re.compile(r"(Signature(?:=|%3D|:\s*))[0-9a-f]{64}\b")
"""What turns the rest of a presigned URL, or of an IAM token, into a credential; botocore logs it by itself."""

_spellings: dict[str, Spelling] = {}
"""Secret → how it is recognised, the longest first."""
_lock = threading.Lock()


def register(secret: str) -> None:
    """Remember *secret*, so that `redact` masks it from now on; a blank one is ignored."""
    global _spellings  # noqa: PLW0603 - the one list; replaced as a whole, since other threads read it meanwhile
    if secret.strip() and secret not in _spellings:
        with _lock:
            known = {**_spellings, secret: Spelling(secret)}
            _spellings = dict(sorted(known.items(), key=lambda item: len(item[0]), reverse=True))


def registered() -> tuple[str, ...]:
    """Return the secrets that are masked: for another process of the same run, and for nobody else."""
    return tuple(_spellings)


_UNSEEN = re.compile(
    "\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Control characters but for newline and tab; bidi controls and separators of lines; what has no width; lone surrogates."""
_BREAKS = re.compile("[\r\n\t]")


def visible(text: str) -> str:
    r"""Return *text* with characters that steer a terminal, or cannot be seen, written as in JSON: ``\u001b``.

    JSON stays JSON, and means the same.
    """
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)


def one_line(text: str) -> str:
    r"""Return *text*, a name or a value that a message quotes, as `visible` and on one line: a newline is ``\n``."""
    return _BREAKS.sub(lambda found: json.dumps(found[0])[1:-1], visible(text))


def redact(text: str) -> str:
    """Return *text* as it may be shown: `masked`, then `visible`."""
    return visible(masked(text))


def masked(text: str) -> str:
    """Return *text* with every registered secret masked, however it is spelled, the longest first.

    An ordinary word (see `is_ordinary`) is masked only where the text calls it a password. Where a shortened repr left
    only the beginning or the end of a secret beside its dots, that is masked too.
    """
    known = tuple(_spellings.values())
    return _redacted_before(text, known) if len(text) <= _KEPT_LENGTH else _redacted(text, known)


def _redacted(text: str, known: tuple[Spelling, ...]) -> str:
    for spelling in known:
        text = spelling.masked(text, MASK)
    text = _ROWS.sub(r"\1(withheld)", text)
    if "PRIVATE KEY-----" in text:
        text = _PRIVATE_KEY.sub(MASK, text)
    if "Signature" in text:
        text = _SIGNATURE.sub(rf"\1{MASK}", text)
    if "..." in text:
        for spelling in known:
            text = spelling.without_pieces(text, MASK)
    return text


_KEPT_LENGTH = 256
"""The most characters of a text that is remembered as it was masked: a report repeats its short ones for each tenant."""
_redacted_before = lru_cache(4096)(_redacted)


def redact_all(data: Any) -> Any:
    """Return *data*, as JSON has it, with every text in it redacted; of keys only what cannot be seen."""
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, dict):
        return {
            visible(key) if isinstance(key, str) else key: MASK
            if isinstance(value, str) and value in _spellings and named_as_password(str(key))
            else redact_all(value)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [redact_all(value) for value in data]
    return data


def gives_away(text: str, secret: str) -> bool:
    """Return whether *text* holds *secret* in any spelling; an ordinary word only where it is called a password."""
    return bool(secret.strip()) and Spelling(secret).masked(text, MASK) != text


def install() -> Callable[[], None]:
    """Redact every record that a logger of this process makes from now on; the function returned undoes it.

    Values passed through ``extra`` are not looked at: no format of this project shows them.
    """
    make = logging.getLogRecordFactory()

    def redacted(*words: Any, **options: Any) -> logging.LogRecord:
        record = make(*words, **options)
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - the handler reports a wrong format
            return record
        if (clean := redact(text)) != text:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[0]:
            trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            if (clean := redact(trace)) != trace:
                record.exc_info, record.exc_text = None, clean  # every formatter takes the text that is there
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return record

    logging.setLogRecordFactory(redacted)
    return lambda: logging.setLogRecordFactory(make)
