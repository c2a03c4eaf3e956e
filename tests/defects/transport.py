"""Alterations of what SSM tells of a command: those that must be found, those that change nothing, and what is accepted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from etl_manager.ssm.script import MARK, read_end_marker
from tests.defects.shell import Answer

SCHEMA, DATA = "sql/aurora/schema/schema.sql", "sql/aurora/data/data.sql"
OUT = "StandardOutputContent"
Alter = Callable[[Answer, Answer], Answer]
"""Makes another answer of one, and of that of an earlier run of the same files."""

UNFINISHED = "did not complete: "
NO_END = "ended without its end marker"
CHANGED = "came back with "
OTHERS = "output of another command"
CONTRADICTION = "SSM says "
SIZES = "does not add up"
OTHER_FILES = "not of the files that were to be run"
GONE = "rest of a long output is gone"


@dataclass(frozen=True)
class Seed:
    """One alteration, and what the error's message holds; *page* is the number of the page that it alters, 0 the output's own."""

    alter: Alter
    told: str
    page: int = 0
    long: bool = False


def _out(edit: Callable[[str], str]) -> Alter:
    """Alter the text that came back, and leave the marker as it is."""
    return lambda answer, _: {**answer, OUT: edit(str(answer[OUT]))}


def _shown(**fields: object) -> Alter:
    return lambda answer, _: {**answer, **fields}


def _marker(pattern: str, by: str) -> Alter:
    """Alter the end marker alone."""

    def edit(text: str) -> str:
        body, mark, marker = text.rpartition(MARK)
        assert re.search(pattern, marker)
        return body + mark + re.sub(pattern, by, marker)

    return _out(edit)


def _sealed(edit: Callable[[str], str]) -> Alter:
    """Alter the output, and make length and digest of the marker fit: what a bastion would print that errs."""

    def altered(text: str) -> str:
        end = read_end_marker(text)
        assert end is not None
        assert end.encoding == "plain"
        content = edit(end.content)
        assert content != end.content
        data = content.encode()
        digest = hashlib.sha256(data).hexdigest()
        marker = f"encoding=plain bytes={len(data)} sha256={digest} status={end.status} size={len(data)} remainder="
        return f"{content}\n{MARK} token={end.token} {marker}\n"

    return _out(altered)


def _frames(edit: Callable[[list[str]], list[str]]) -> Alter:
    return _sealed(lambda content: "".join(edit(re.split(rf"(?={MARK} file )", content)[1:])))


def _swap_names(text: str) -> str:
    return (
        text.replace(f"name={DATA}", "name=x")
        .replace(f"name={SCHEMA}", f"name={DATA}")
        .replace("name=x", f"name={SCHEMA}")
    )


def _first(pattern: str, by: Callable[[int], int]) -> Alter:
    """Alter the first number after *pattern*."""
    return _sealed(
        lambda text: re.sub(rf"{pattern}=(\d+)", lambda found: f"{pattern}={by(int(found[1]))}", text, count=1)
    )


def _end_of(text: str) -> str:
    return text[text.rindex(f"\n{MARK}") :]


def _with_end_of_other(answer: Answer, other: Answer) -> Answer:
    text = str(answer[OUT])
    return {**answer, OUT: text.removesuffix(_end_of(text)) + _end_of(str(other[OUT]))}


def _page(edit: Callable[[str], str], told: str = CHANGED) -> Seed:
    """Alter the first page after the output's own, and its marker so that it fits."""
    return Seed(_sealed(edit), told, page=1, long=True)


NOT_ENDED = {
    "a delivery that timed out": ("TimedOut", "Delivery Timed Out", -1),
    "an execution that timed out": ("TimedOut", "Execution Timed Out", 137),
    "a cancelled command": ("Cancelled", "Cancelled", -1),
    "a command that could not be delivered": ("Failed", "Undeliverable", -1),
    "a command whose parent was stopped": ("Failed", "Terminated", -1),
    "a status that nobody knows": ("Done", "Done", 0),
    "Success, and details of a failure": ("Success", "Undeliverable", 0),
}

SEEDS: dict[str, Seed] = {
    # The end of the output
    "output cut in the middle": Seed(_out(lambda text: text[: len(text) // 2]), NO_END),
    "output cut before its end marker": Seed(_out(lambda text: text[: text.rindex(MARK)]), NO_END),
    "output cut within its end marker": Seed(_out(lambda text: text[:-30]), NO_END),
    "output lost with exit status 0": Seed(_shown(**{OUT: ""}), NO_END),
    "output absent from the answer": Seed(lambda answer, _: {name: answer[name] for name in answer if name != OUT}, NO_END),
    "text after the end marker": Seed(_out(lambda text: f"{text}more\n"), NO_END),
    "line ends made those of Windows": Seed(_out(lambda text: text.replace("\n", "\r\n")), NO_END),
    "digest in the marker cut": Seed(_marker("sha256=.{9}", "sha256="), NO_END),
    "length in the marker no number": Seed(_marker(r"bytes=\d+", "bytes=many"), NO_END),
    "end marker without a token": Seed(_marker(r"token=\w+ ", ""), NO_END),
    # Bytes
    "start of the output lost": Seed(_out(lambda text: text[5:]), CHANGED),
    "line lost": Seed(_out(lambda text: text.replace("second line\n", "", 1)), CHANGED),
    "line doubled": Seed(_out(lambda text: text.replace("second line\n", "second line\n" * 2, 1)), CHANGED),
    "byte changed": Seed(_out(lambda text: text.replace("first line", "First line", 1)), CHANGED),
    "letters of other alphabets replaced": Seed(_out(lambda text: text.replace("ü", "?", 1)), CHANGED),
    "blank at a line's end lost": Seed(_out(lambda text: text.replace("blank \n", "blank\n", 1)), CHANGED),
    "length in the marker wrong": Seed(_marker(r"bytes=\d+", "bytes=7"), CHANGED),
    "digest in the marker wrong": Seed(_marker(r"sha256=\w+", "sha256=" + "0" * 64), CHANGED),
    "encoding in the marker wrong": Seed(_marker("encoding=plain", "encoding=gzip"), CHANGED),
    "end marker doubled": Seed(_out(lambda text: text + _end_of(text)), CHANGED),
    "end marker of an empty output": Seed(_marker(r"bytes=\d+ sha256=\w+", f"bytes=0 sha256={hashlib.sha256(b'').hexdigest()}"), CHANGED),
    # Another command's
    "reply of another command": Seed(lambda _, other: other, OTHERS),
    "output of another command": Seed(lambda answer, other: {**answer, OUT: other[OUT]}, OTHERS),
    "end marker of another command": Seed(_with_end_of_other, OTHERS),
    "end marker of another command after its own": Seed(lambda answer, other: {**answer, OUT: f"{answer[OUT]}{_end_of(str(other[OUT]))}"}, OTHERS),
    "token in the marker changed": Seed(_marker(r"token=\w+", "token=0badcafe"), OTHERS),
    # Exit status
    **{
        f"whole output of {title}": Seed(_shown(Status=status, StatusDetails=details, ResponseCode=code), UNFINISHED)
        for title, (status, details, code) in NOT_ENDED.items()
    },
    "exit status absent": Seed(_shown(ResponseCode=-1), UNFINISHED),
    "exit status no number": Seed(_shown(ResponseCode="0"), UNFINISHED),
    "Failed without a word": Seed(_shown(Status="Failed", StatusDetails="Failed", ResponseCode=1, StandardOutputContent="", StandardErrorContent=""), UNFINISHED),
    "exit status 1 of an output that ended with 0": Seed(_shown(Status="Failed", StatusDetails="Failed", ResponseCode=1), CONTRADICTION),
    "Failed with exit status 0": Seed(_shown(Status="Failed", StatusDetails="Failed"), CONTRADICTION),
    "Success with exit status 1": Seed(_shown(ResponseCode=1), CONTRADICTION),
    "Success of an output that ended with 1": Seed(_marker("status=0", "status=1"), CONTRADICTION),
    "output that could not be written": Seed(lambda answer, _: {**_marker("status=0", "status=78")(answer, answer), "Status": "Failed", "ResponseCode": 78}, "could not be written whole"),
    # The SQL files' parts of it, with length and digest that fit
    "size of a file's output too small": Seed(_first("stdout", lambda size: size - 1), SIZES),
    "size of a file's output too large": Seed(_first("stdout", lambda size: size + 1), SIZES),
    "size of a file's output beyond the end": Seed(_first("stdout", lambda _: 99_999), SIZES),
    "size of a file's log too small": Seed(_first("stderr", lambda size: size - 1), SIZES),
    "size of a file's log too large": Seed(_first("stderr", lambda size: size + 1), SIZES),
    "text after the last file": Seed(_sealed(lambda text: f"{text}more\n"), SIZES),
    "text between two files": Seed(_frames(lambda parts: [parts[0], "more\n", parts[1]]), SIZES),
    "end of the last file cut": Seed(_sealed(lambda text: text[:-1]), SIZES),
    "first file lost": Seed(_frames(lambda parts: parts[1:]), OTHER_FILES),
    "last file lost": Seed(_frames(lambda parts: parts[:-1]), OTHER_FILES),
    "all files lost": Seed(_frames(lambda _: []), "could not be made on the bastion"),
    "files in another order": Seed(_frames(lambda parts: parts[::-1]), OTHER_FILES),
    "file doubled": Seed(_frames(lambda parts: [*parts, parts[-1]]), OTHER_FILES),
    "output of one file under the other": Seed(_sealed(_swap_names), OTHER_FILES),
    "output under a file that was not run": Seed(_sealed(lambda text: text.replace(f"name={DATA}", "name=sql/x.sql")), OTHER_FILES),
    "a file after one that failed": Seed(_first("exit", lambda _: 3), OTHER_FILES),
    # Pages of an output that is longer than SSM keeps
    "page empty": _page(lambda _: "", GONE),
    "page without its start": _page(lambda text: text[8:]),
    "page changed": _page(lambda text: text[:-1] + ("a" if text[-1] != "a" else "b")),
    "page with more than is its own": _page(lambda text: text + text),
    "page of another command": Seed(lambda _, other: other, OTHERS, page=1, long=True),
    "page with the output's start": Seed(_marker("status=0", "status=74"), CONTRADICTION, page=1, long=True),
    "name of the rest lost": Seed(_marker(r"remainder=\S+", "remainder="), CHANGED, long=True),
    "name of the rest another": Seed(_marker(r"remainder=\S+", "remainder=out.x"), GONE, long=True),
    "size of the rest too small": Seed(_marker(r"size=\d+", "size=22000"), CHANGED, long=True),
}  # fmt: skip
"""What was altered → how, and what the error holds."""

HARMLESS: dict[str, Alter] = {
    "SSM's own stderr cut": _shown(StandardErrorContent=""),
    "SSM's own stderr of something else": _shown(StandardErrorContent="nobody reads it"),
    "details absent": lambda answer, _: {name: answer[name] for name in answer if name != "StatusDetails"},
    "fields that nobody knows": _shown(CloudWatchOutputConfig={}, New="x"),
    "line end after the marker lost": _out(str.rstrip),
}
"""What changes nothing of the result."""

ACCEPTED = {
    "an output of a bastion that errs or lies in all consistently: other text, with sizes, digest, token and exit status that fit": (
        "nothing in it differs from a true one; where the database can be reached directly a second connection reads again "
        "what the verification shows"
    ),
}
